/**
 * A new ledger on its way: what the catalogue has, put in part by part beside the ledger in place.
 * Whoever reads page by page beside live traffic reads no single instant; so what has changed since
 * before the first page is put in over it, as often as it takes to come close.
 */
import { DomainError } from '../model/errors.js';
import { factsOf, type Host } from '../model/host.js';
import type { CatalogueMark, LedgerPart, LedgerSwap } from '../model/ports.js';
import type { Ports } from './ports.js';

/** Hosts or bookings of a part: some milliseconds of Redis's time and of ours. */
const PART_MAX = 500;

/** With so few changes since the last look, the next look is as short as it gets. */
const CLOSE_ENOUGH = 100;
const CATCH_UPS_MAX = 5;

/** Marks are good for as long as bookings that have ended are kept; see rebuild-upkeep.ts. */
export const STAGING_MAX_MS = 1_800_000;

/** A part takes a small part of this: where none comes for so long, the process has died. */
export const STAGING_IDLE_MS = 60_000;

const NOTHING: LedgerPart = { hosts: [], gone: [], allocations: [] };

export class Staging {
  readonly incarnation: string;
  readonly #ports: Ports;
  readonly #startedMs: number;
  /** Of hosts that are in, by id. */
  readonly #revisions = new Map<string, number>();
  #mark: CatalogueMark;
  #parts = 0;
  #vms = 0;

  private constructor(ports: Ports, mark: CatalogueMark) {
    this.#ports = ports;
    this.#mark = mark;
    this.incarnation = ports.newId();
    this.#startedMs = ports.clock.monotonic();
  }

  /** Puts in everything, and then most of what has changed meanwhile. */
  static async begin(ports: Ports): Promise<Staging> {
    // There may not be room for many of them.
    await ports.ledger.clearAway(STAGING_IDLE_MS);
    const staging = new Staging(ports, await ports.catalogue.mark());
    await staging.#putHosts();
    await staging.#putBookings();
    for (let times = 1; times < CATCH_UPS_MAX; times += 1) {
      if ((await staging.catchUp()) < CLOSE_ENOUGH) break;
    }
    return staging;
  }

  /** VMs that are in; reservations are none. */
  get vms(): number {
    return this.#vms;
  }

  /** Puts in what has changed since it did so last. @returns how much that was */
  async catchUp(): Promise<number> {
    const { hosts, gone, allocations } = await this.#changes();
    for (const part of partsOf(hosts)) await this.#put({ ...NOTHING, hosts: part.map(factsOf) });
    for (const part of partsOf(gone)) await this.#put({ ...NOTHING, gone: part });
    for (const part of partsOf(allocations)) await this.#put({ ...NOTHING, allocations: part });
    return hosts.length + gone.length + allocations.length;
  }

  /** @returns false when a ledger of this epoch or a later one is in place */
  swap(under: Omit<LedgerSwap, 'parts'>): Promise<boolean> {
    return this.#ports.ledger.swap(this.incarnation, { ...under, parts: this.#parts });
  }

  /**
   * Tells the ledger, now that it is in place, what has ended or changed since the last catching up.
   * Whoever does it later tells it himself; doing it twice changes nothing.
   */
  async tellTheRest(): Promise<void> {
    const { ledger } = this.#ports;
    const { hosts, gone } = await this.#changes();
    if (gone.length > 0) await ledger.release(gone);
    if (hosts.length > 0) await ledger.pushHosts(hosts.map(factsOf));
  }

  async #changes(): ReturnType<Ports['catalogue']['changesSince']> {
    const { catalogue, clock } = this.#ports;
    if (clock.monotonic() - this.#startedMs > STAGING_MAX_MS) {
      throw new DomainError('ledger_rebuilding', 'The rebuild took too long and begins anew.');
    }
    const changes = await catalogue.changesSince(this.#mark, this.#revisions);
    this.#mark = changes.mark;
    this.#note(changes.hosts);
    return changes;
  }

  async #putHosts(): Promise<void> {
    const { catalogue } = this.#ports;
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof catalogue.hosts>> = await catalogue.hosts({
        limit: PART_MAX,
        cursor,
      });
      this.#note(page.items);
      // Also an empty one: without hosts there must be a first part all the same.
      await this.#put({ ...NOTHING, hosts: page.items.map(factsOf) });
      cursor = page.nextCursor;
    } while (cursor !== null);
  }

  /** The next page is read while the last one is put in. */
  async #putBookings(): Promise<void> {
    const { catalogue } = this.#ports;
    let page = await catalogue.bookings({ limit: PART_MAX, cursor: null });
    for (;;) {
      const { items, nextCursor } = page;
      const next =
        nextCursor === null ? null : catalogue.bookings({ limit: PART_MAX, cursor: nextCursor });
      // Where putting in fails, nobody waits for it.
      next?.catch(() => undefined);
      await this.#put({ ...NOTHING, allocations: items });
      if (next === null) return;
      page = await next;
    }
  }

  #note(hosts: readonly Host[]): void {
    for (const { id, revision } of hosts) this.#revisions.set(id, revision);
  }

  async #put(part: LedgerPart): Promise<void> {
    this.#parts += 1;
    this.#vms += await this.#ports.ledger.stage(this.incarnation, this.#parts, part);
  }
}

function* partsOf<Item>(items: readonly Item[]): Generator<readonly Item[]> {
  for (let from = 0; from < items.length; from += PART_MAX)
    yield items.slice(from, from + PART_MAX);
}
