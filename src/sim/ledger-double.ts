/**
 * The ledger's double: one replica's hand on the books that all share, with what makes the real one
 * hard: a lock with a lease, a fence, a mirror that follows the stream, a memory of the highest
 * number seen. Every trip to the books goes through a link, on which a reply may be lost.
 */
import type { HostFacts } from '../model/host.js';
import type {
  BookReply,
  Booking,
  Clock,
  Ledger,
  LedgerBooking,
  LedgerPart,
  LedgerState,
  LedgerSwap,
  PlacementTurn,
} from '../model/ports.js';
import type { HostTable } from '../placement/host-table.js';
import type { LedgerBooks } from './ledger-books.js';
import { LedgerMirror, type LedgerMemory } from './ledger-mirror.js';
import { rebuilding, unavailable, type Link } from './link.js';

export interface LedgerDoubleOptions {
  readonly books: LedgerBooks;
  readonly link: Link;
  readonly clock: Clock;
  /** Names this hand's turns. */
  newId(): string;
  /** A number in [0, 1). */
  random(): number;
  readonly lockLeaseMs?: number;
}

const LOCK_LEASE_MS = 3_000;

/** How long a turn waits for the lock, and the longest pause between two tries. */
const LOCK_WAIT_MAX_MS = 5_000;
const LOCK_PAUSE_MAX_MS = 80;

/** Share of a lease that nobody relies on. */
const LEASE_SHARE = 0.98;

/** @returns a hand on the ledger */
export const createLedgerDouble = (options: LedgerDoubleOptions): Ledger<HostTable> =>
  new LedgerDouble(options);

class LedgerDouble implements Ledger<HostTable> {
  readonly #options: LedgerDoubleOptions;
  readonly #memory: LedgerMemory = { incarnation: '', seq: 0, isLost: false };
  /** The mirror of turns carries bookings that are only proposed; the other never does. */
  readonly #turnMirror: LedgerMirror;
  readonly #viewMirror: LedgerMirror;
  #turn: Turn | null = null;

  constructor(options: LedgerDoubleOptions) {
    this.#options = options;
    const { books, link } = options;
    this.#turnMirror = new LedgerMirror(books, link, this.#memory);
    this.#viewMirror = new LedgerMirror(books, link, this.#memory);
  }

  async state(): Promise<LedgerState> {
    const { books, link } = this.#options;
    const before = { ...this.#memory };
    const state = await link('state', () => books.state);
    const memory = this.#memory;
    if (state.incarnation === before.incarnation && state.seq < before.seq) {
      if (memory.incarnation === before.incarnation) memory.isLost = true;
    }
    const lost = memory.isLost && state.incarnation === memory.incarnation;
    return lost ? { ...state, incarnation: null } : state;
  }

  async openTurn(): Promise<PlacementTurn<HostTable>> {
    const { books, link, clock } = this.#options;
    const leaseMs = this.#options.lockLeaseMs ?? LOCK_LEASE_MS;
    const token = this.#options.newId();
    const sinceMs = await this.#acquire(token, leaseMs);
    this.#turn?.revoke();
    try {
      const fence = await this.#turnMirror.catchUp(true);
      const lease: Lease = { token, leaseMs, sinceMs };
      this.#turn = new Turn({ books, link, clock, mirror: this.#turnMirror, lease, fence });
      return this.#turn;
    } catch (error) {
      await link('unlock', () => books.unlock(token)).catch(() => undefined);
      throw error;
    }
  }

  async view(): Promise<HostTable> {
    await this.#viewMirror.catchUp(false);
    return this.#viewMirror.table;
  }

  async commit(bookings: readonly LedgerBooking[]): Promise<readonly LedgerBooking[]> {
    const { books, link } = this.#options;
    if (bookings.length === 0) return [];
    return link('commit', () => bookings.filter((booking) => !books.commit(booking)));
  }

  async release(bookings: readonly LedgerBooking[]): Promise<void> {
    const { books, link } = this.#options;
    if (bookings.length === 0) return;
    await link('release', () => {
      for (const booking of bookings) books.release(booking);
    });
  }

  async pushHosts(hosts: readonly HostFacts[]): Promise<void> {
    const { books, link } = this.#options;
    if (hosts.length === 0) return;
    await link('pushHosts', () => {
      for (const facts of hosts) books.setHost(facts);
    });
  }

  overdueBookings(olderThanMs: number, limit: number): Promise<readonly LedgerBooking[]> {
    return this.#options.link('overdue', () => this.#options.books.overdue(olderThanMs, limit));
  }

  totals() {
    const { books, link } = this.#options;
    return link('totals', () => (books.state.incarnation === null ? new Map() : books.totals()));
  }

  async stage(incarnation: string, number: number, part: LedgerPart): Promise<number> {
    const { books, link } = this.#options;
    const more = await link('stage', () => books.stage(incarnation, number, part));
    if (more === null) throw rebuilding('a part of the new ledger is lost');
    return more;
  }

  async swap(incarnation: string, swap: LedgerSwap): Promise<boolean> {
    const { books, link } = this.#options;
    const code = await link('swap', () => books.swap(incarnation, swap));
    if (code === 'INCOMPLETE') throw rebuilding('a part of the new ledger is lost');
    return code === 'SWAPPED';
  }

  clearAway(idleMs: number): Promise<void> {
    const { books, link } = this.#options;
    return link('clearAway', () => books.clearAway(idleMs));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** @returns when the request was sent that got the lock */
  async #acquire(token: string, leaseMs: number): Promise<number> {
    const { books, link, clock } = this.#options;
    const untilMs = clock.monotonic() + LOCK_WAIT_MAX_MS;
    for (let pauseMs = 4; ; pauseMs = Math.min(LOCK_PAUSE_MAX_MS, pauseMs * 2)) {
      const sinceMs = clock.monotonic();
      if (await link('lock', () => books.lock(token, leaseMs))) return sinceMs;
      if (clock.monotonic() > untilMs) throw unavailable('the lock was held all the time');
      await clock.sleep(pauseMs * (0.5 + this.#options.random()));
    }
  }
}

interface Lease {
  readonly token: string;
  readonly leaseMs: number;
  /** When the request was sent: the lease began then or later. */
  sinceMs: number;
}

interface TurnParts {
  readonly books: LedgerBooks;
  readonly link: Link;
  readonly clock: Clock;
  readonly mirror: LedgerMirror;
  readonly lease: Lease;
  readonly fence: number;
}

class Turn implements PlacementTurn<HostTable> {
  readonly #parts: TurnParts;
  #over = false;
  #isWanted: boolean;

  constructor(parts: TurnParts) {
    this.#parts = parts;
    this.#isWanted = parts.books.lockIsWanted;
  }

  get fleet(): HostTable {
    return this.#parts.mirror.table;
  }

  get epoch(): number {
    return this.#parts.mirror.epoch;
  }

  get isWanted(): boolean {
    return this.#isWanted;
  }

  async catchUp(): Promise<void> {
    const { books, link, clock, lease, mirror } = this.#parts;
    this.#checkOpen();
    this.#checkLease();
    if (clock.monotonic() - lease.sinceMs >= lease.leaseMs / 2) {
      const sinceMs = clock.monotonic();
      const isOurs = await link('extend', () => books.extend(lease.token, lease.leaseMs));
      if (!isOurs) throw unavailable('the lock is lost');
      lease.sinceMs = sinceMs;
    }
    await mirror.catchUp(false);
    this.#isWanted = books.lockIsWanted;
  }

  async book(bookings: readonly Booking[]): Promise<BookReply> {
    const { mirror } = this.#parts;
    if (bookings.length === 0) return { outcomes: [], seq: mirror.seq };
    try {
      this.#checkOpen();
      this.#checkLease();
      return await this.#book(bookings);
    } catch (error) {
      // The mirror shows bookings of which nobody knows whether they stand.
      mirror.markDirty();
      throw error;
    }
  }

  /** A later turn has begun: this one has outlived its lease and may have left proposals behind. */
  revoke(): void {
    if (this.#over) return;
    this.#over = true;
    this.#parts.mirror.markDirty();
  }

  async end(): Promise<void> {
    const { books, link, lease } = this.#parts;
    this.#over = true;
    await link('unlock', () => books.unlock(lease.token)).catch(() => undefined);
  }

  async #book(bookings: readonly Booking[]): Promise<BookReply> {
    const { books, link, mirror, fence } = this.#parts;
    const { incarnation } = mirror;
    const request = { incarnation, fence, seen: mirror.seenIn(incarnation), bookings };
    const reply = await link('book', () => books.book(request));
    switch (reply.code) {
      case 'FOREIGN':
        throw rebuilding('the ledger is another one than the fleet was read from');
      case 'ROLLED_BACK':
        mirror.markLost();
        throw rebuilding('the ledger has lost changes');
      case 'FENCED':
        throw unavailable('a later turn has begun');
      case 'DONE': {
        const { outcomes, seq, stamp, sums } = reply;
        if (!this.#over) mirror.apply(sums, seq, stamp);
        if (outcomes.some(({ kind }, at) => kind !== 'booked' && bookings[at]?.frees.length)) {
          mirror.markDirty();
        }
        return { outcomes, seq };
      }
    }
  }

  #checkOpen(): void {
    if (this.#over) throw unavailable('the turn is over');
  }

  #checkLease(): void {
    const { clock, lease } = this.#parts;
    if (clock.monotonic() - lease.sinceMs >= lease.leaseMs * LEASE_SHARE) {
      throw unavailable('the lock lease has run out');
    }
  }
}
