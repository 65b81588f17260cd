/** Time under the placement lock: the mirror to decide on, and the script that books. */
import type { Redis } from 'ioredis';
import type { BookReply, Booking, Log, PlacementTurn } from '../model/ports.js';
import type { HostTable } from '../placement/host-table.js';
import { askFor, outcomesOf } from './asking.js';
import { rebuilding, unavailable } from './failures.js';
import type { HighWater } from './high-water.js';
import { bookPrefixes, type CellKeys } from './keys.js';
import type { Lease } from './lock.js';
import type { Mirror } from './mirror.js';
import { runScript } from './scripts.js';

export interface TurnParts {
  readonly redis: Redis;
  readonly keys: CellKeys;
  readonly mirror: Mirror;
  readonly highWater: HighWater;
  readonly logLengthMax: number;
  readonly log: Log;
}

export class Turn implements PlacementTurn<HostTable> {
  readonly #parts: TurnParts;
  readonly #lease: Lease;
  readonly #fence: number;
  #over = false;

  /** @param fence the number under which this turn books */
  constructor(parts: TurnParts, lease: Lease, fence: number) {
    this.#parts = parts;
    this.#lease = lease;
    this.#fence = fence;
  }

  get fleet(): HostTable {
    return this.#parts.mirror.table;
  }

  get epoch(): number {
    return this.#parts.mirror.epoch;
  }

  get isWanted(): boolean {
    return this.#parts.mirror.lockIsWanted;
  }

  async catchUp(): Promise<void> {
    this.#checkOpen();
    await this.#lease.extend();
    await this.#parts.mirror.catchUp();
  }

  async book(bookings: readonly Booking[]): Promise<BookReply> {
    const { mirror } = this.#parts;
    if (bookings.length === 0) return { outcomes: [], seq: mirror.seq };
    try {
      this.#checkOpen();
      // Refused here, a late call costs nobody a round trip; the fence refuses it in any case.
      if (this.#lease.expired) throw unavailable('the lock lease has run out');
      return await this.#book(bookings);
    } catch (error) {
      // The mirror shows bookings of which nobody knows whether they stand.
      mirror.markDirty();
      throw error;
    }
  }

  /**
   * A later turn of the same process has begun. Unless this one had ended, it has outlived its
   * lease: it may no longer touch the mirror, and may have left proposals there.
   */
  revoke(): void {
    if (this.#over) return;
    this.#over = true;
    this.#parts.mirror.markDirty();
  }

  async end(): Promise<void> {
    this.#over = true;
    try {
      await this.#lease.release(this.isWanted);
    } catch (error) {
      this.#parts.log.debug('the placement lock runs out by itself', { error });
    }
  }

  async #book(bookings: readonly Booking[]): Promise<BookReply> {
    const { redis, keys, mirror, highWater, logLengthMax } = this.#parts;
    const { incarnation } = mirror;
    const { meta, log } = keys;
    // Those of the ledger that was decided on; the script refuses if another one is in place.
    const ledger = keys.ledger(incarnation);
    const { reserved, vms, groups } = ledger;
    const reply = await runScript(redis, 'reserve', {
      keys: { meta, log, reserved, vms, groups },
      args: {
        incarnation,
        fence: this.#fence,
        seen: highWater.seen(incarnation),
        logLengthMax,
        prefixes: bookPrefixes(ledger),
        bookings: JSON.stringify(bookings.map(askFor)),
      },
    });
    switch (reply.code) {
      case 'FOREIGN':
        throw rebuilding('the ledger is another one than the fleet was read from');
      case 'ROLLED_BACK':
        highWater.markLost(incarnation);
        throw rebuilding('Redis has lost changes: its sequence number went back');
      case 'FENCED':
        throw unavailable('a later turn has begun');
      case 'DONE': {
        const [seq = '', entryId = '', used = '{}', counts = '{}', texts = '[]'] = reply.rest;
        const outcomes = outcomesOf(texts);
        if (!this.#over) mirror.apply({ used, groups: counts }, Number(seq), entryId);
        // Nobody told which groups the places had that a refused one was to take: the mirror
        // may show them given back.
        if (outcomes.some(({ kind }, at) => kind !== 'booked' && bookings[at]?.frees.length)) {
          mirror.markDirty();
        }
        return { outcomes, seq: Number(seq) };
      }
    }
  }

  #checkOpen(): void {
    if (this.#over) throw unavailable('the turn is over');
  }
}
