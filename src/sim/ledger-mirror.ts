/**
 * A replica's copy of the double's books, kept current from their stream as the real mirror is: it
 * notices a ledger that was replaced, entries that are missing, and numbers that come twice.
 */
import type { HostFacts } from '../model/host.js';
import type { DomainError } from '../model/errors.js';
import type { Resources } from '../model/resources.js';
import { HostTable } from '../placement/host-table.js';
import type { LedgerBooks } from './ledger-books.js';
import type { FullReading, LogEntry, Sums } from './ledger-shapes.js';
import { rebuilding, unavailable, type Link } from './link.js';

/** What a replica knows for certain of the ledger's progress, in both of its mirrors. */
export interface LedgerMemory {
  incarnation: string;
  seq: number;
  /** This incarnation was caught with fewer changes than it once had. */
  isLost: boolean;
}

/** Full readings in one catching up, when the ledger is replaced meanwhile. */
const LOADS_MAX = 3;

export class LedgerMirror {
  readonly table = new HostTable();
  readonly #books: LedgerBooks;
  readonly #link: Link;
  readonly #memory: LedgerMemory;
  #incarnation = '';
  #epoch = 0;
  #seq = 0;
  #stamp = 0;
  #dirty = true;
  /** Readings follow one another: two at once would apply entries in the wrong order. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(books: LedgerBooks, link: Link, memory: LedgerMemory) {
    this.#books = books;
    this.#link = link;
    this.#memory = memory;
  }

  get incarnation(): string {
    return this.#incarnation;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get seq(): number {
    return this.#seq;
  }

  /** The highest number seen in an incarnation. */
  seenIn(incarnation: string): number {
    return incarnation === this.#memory.incarnation ? this.#memory.seq : 0;
  }

  markDirty(): void {
    this.#dirty = true;
  }

  markLost(): void {
    this.#note(0);
    this.#memory.isLost = true;
  }

  /**
   * Reads what has changed.
   * @param raise whether to take the next fence, which shuts out every earlier turn
   * @returns the fence
   */
  catchUp(raise: boolean): Promise<number> {
    const reading = this.#last.then(() => this.#catchUp(raise));
    this.#last = reading.catch(() => undefined);
    return reading;
  }

  /** Takes over what a booking has left; read once more if somebody else's change lies between. */
  apply(sums: Sums, seq: number, stamp: number | null): void {
    this.#setSums(sums);
    if (stamp !== null && seq === this.#seq + 1) {
      this.#seq = seq;
      this.#stamp = stamp;
    }
    this.#note(seq);
  }

  async #catchUp(raise: boolean): Promise<number> {
    for (let loads = 0; ;) {
      if (this.#dirty) {
        if (loads === LOADS_MAX) throw unavailable('the ledger changes faster than it can be read');
        loads += 1;
        await this.#load();
      }
      const seenBefore = this.seenIn(this.#incarnation);
      const news = await this.#link(raise ? 'fence' : 'read', () =>
        this.#books.read(this.#stamp, raise),
      );
      this.#believe(news.incarnation);
      if (news.incarnation !== this.#incarnation) {
        this.#dirty = true;
        continue;
      }
      if (news.seq < seenBefore) throw this.#lost();
      this.#replay(news.entries ?? []);
      if (!this.#dirty && this.#seq >= news.seq) return news.fence;
      this.#dirty = true;
    }
  }

  async #load(): Promise<void> {
    const { state, all } = await this.#link('load', () => ({
      state: this.#books.state,
      all: this.#books.readAll(),
    }));
    this.#show(this.#believe(state.incarnation), state.seq, all);
  }

  /** @throws DomainError when there is no ledger, or one that is not to be believed */
  #believe(incarnation: string | null): string {
    const { isLost, incarnation: known } = this.#memory;
    if (incarnation !== null && !(isLost && incarnation === known)) return incarnation;
    throw rebuilding(incarnation === null ? 'there is no ledger' : 'it has lost changes');
  }

  #show(incarnation: string, seq: number, all: FullReading): void {
    const used = new Map<string, Resources>(all.used);
    this.table.clear();
    for (const facts of all.facts) this.#setHost(facts, used.get(facts.id) ?? {});
    for (const entry of all.groups) this.table.groups.set(...entry);
    this.#incarnation = incarnation;
    this.#epoch = all.epoch;
    this.#seq = seq;
    this.#stamp = all.stamp;
    this.#dirty = false;
  }

  #replay(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      if (entry.seq !== null && entry.seq <= this.#seq) throw this.#lost();
      if (entry.seq !== this.#seq + 1) {
        this.#dirty = true;
        return;
      }
      if (entry.facts !== null) this.#setHost(entry.facts, {});
      this.#setSums(entry);
      this.#seq = entry.seq;
      this.#stamp = entry.stamp;
    }
    if (entries.length > 0) this.#note(this.#seq);
  }

  /** A retired host is no host any more, except that its groups know of its VMs. */
  #setHost(facts: HostFacts, used: Resources): void {
    if (facts.mode === 'retired') this.table.remove(facts.id);
    else this.table.upsert(facts, used);
  }

  #setSums({ used, groups }: Sums): void {
    for (const [hostId, amounts] of used) this.table.setAllocated(hostId, amounts);
    for (const entry of groups) this.table.groups.set(...entry);
  }

  #note(seq: number): void {
    const memory = this.#memory;
    if (memory.incarnation !== this.#incarnation) {
      memory.incarnation = this.#incarnation;
      memory.seq = seq;
      memory.isLost = false;
    } else if (seq > memory.seq) {
      memory.seq = seq;
    }
  }

  #lost(): DomainError {
    this.markLost();
    this.#dirty = true;
    return rebuilding('the ledger has lost changes');
  }
}
