/**
 * The fleet as placement looks at it: one row per host, the ranked classes in flat Float64Arrays
 * so that a scan touches memory in order, every other class in plain objects.
 * Holds numbers; decides nothing.
 */
import type { Membership } from '../model/groups.js';
import { isOpen, isOverFull, type FleetHost, type HostFacts } from '../model/host.js';
import { RANKED_CLASSES, type Resources } from '../model/resources.js';
import { FleetTotals } from './fleet-totals.js';
import { GroupTable } from './group-table.js';

/** Ranked classes per row in the flat arrays. */
export const RANKED = RANKED_CLASSES.length;

const ROWS_MIN = 64;

const NO_GROUPS: readonly Membership[] = [];

export class HostTable {
  /** Row `r` and class `c` stand at `r * RANKED + c`. */
  capacity = new Float64Array(ROWS_MIN * RANKED);
  limit = new Float64Array(ROWS_MIN * RANKED);
  allocated = new Float64Array(ROWS_MIN * RANKED);
  /** 1 when the host takes new VMs: it is up, enabled and not over-full. */
  open = new Uint8Array(ROWS_MIN);
  /** Order of registration, the last tie-break. */
  seq = new Float64Array(ROWS_MIN);
  /** Who is where of which group. */
  readonly groups = new GroupTable();

  readonly #largest = new Float64Array(RANKED);
  #largestIsKnown = false;
  readonly #totals = new FleetTotals();
  #totalsAreKnown = false;
  readonly #facts: HostFacts[] = [];
  readonly #booked: Record<string, number>[] = [];
  readonly #rowOf = new Map<string, number>();

  static of(hosts: Iterable<FleetHost>): HostTable {
    const table = new HostTable();
    for (const host of hosts) table.upsert(host, host.allocated);
    return table;
  }

  get size(): number {
    return this.#facts.length;
  }

  /** Of each ranked class, the largest capacity that one host has. */
  get largest(): Float64Array {
    if (!this.#largestIsKnown) {
      this.#largest.fill(0);
      for (let at = 0; at < this.size * RANKED; at += 1) {
        const index = at % RANKED;
        this.#largest[index] = Math.max(this.#largest[index] ?? 0, this.capacity[at] ?? 0);
      }
      this.#largestIsKnown = true;
    }
    return this.#largest;
  }

  /** Sums over all hosts. */
  get totals(): FleetTotals {
    if (!this.#totalsAreKnown) {
      this.#totals.measure(this.capacity.subarray(0, this.size * RANKED));
      this.#totalsAreKnown = true;
    }
    return this.#totals;
  }

  /** Row of a host, or -1. Rows change when a host is removed; never keep one across an await. */
  rowOf(hostId: string): number {
    return this.#rowOf.get(hostId) ?? -1;
  }

  factsAt(row: number): HostFacts {
    const facts = this.#facts[row];
    if (facts === undefined) throw new RangeError(`no row ${row.toString()}`);
    return facts;
  }

  allocatedAt(row: number): Resources {
    return this.#bookedAt(row);
  }

  /** Adds a host or replaces what is known of it. */
  upsert(facts: HostFacts, allocated: Resources): void {
    let row = this.rowOf(facts.id);
    if (row < 0) {
      row = this.#facts.length;
      this.#grow(row + 1);
      this.#rowOf.set(facts.id, row);
    }
    this.#facts[row] = facts;
    this.#largestIsKnown = false;
    this.seq[row] = facts.seq;
    RANKED_CLASSES.forEach((resource, index) => {
      const capacity = facts.capacity[resource] ?? 0;
      if (this.capacity[row * RANKED + index] !== capacity) this.#totalsAreKnown = false;
      this.capacity[row * RANKED + index] = capacity;
      this.limit[row * RANKED + index] = facts.limits[resource] ?? 0;
    });
    this.#setAllocated(row, allocated);
  }

  /** Takes a host out; its members of groups stay known. The last row moves into its place. */
  remove(hostId: string): void {
    const row = this.rowOf(hostId);
    if (row < 0) return;
    const last = this.size - 1;
    const moved = this.factsAt(last);
    const booked = this.allocatedAt(last);
    this.#facts.length = last;
    this.#booked.length = last;
    this.#rowOf.delete(hostId);
    this.#largestIsKnown = false;
    this.#empty(last);
    if (row === last) return;
    this.#rowOf.set(moved.id, row);
    this.upsert(moved, booked);
  }

  /** Replaces what is booked on a host; a host that is not there is ignored. */
  setAllocated(hostId: string, allocated: Resources): void {
    const row = this.rowOf(hostId);
    if (row >= 0) this.#setAllocated(row, allocated);
  }

  /** Adds a request to what is booked in a row, and the VM to its groups there. */
  book(row: number, resources: Resources, groups = NO_GROUPS): void {
    this.#change(row, resources, groups, 1);
  }

  /**
   * Takes a booking off a row and its groups, as if it were given back. The exact opposite of
   * `book`, in either order: one that was not there is below 0 until it is booked again.
   */
  unbook(row: number, resources: Resources, groups = NO_GROUPS): void {
    this.#change(row, resources, groups, -1);
  }

  clear(): void {
    for (let row = 0; row < this.size; row += 1) this.#empty(row);
    this.#facts.length = 0;
    this.#booked.length = 0;
    this.#rowOf.clear();
    this.groups.clear();
    this.#largestIsKnown = false;
  }

  /** Every host with its bookings, in no particular order. */
  *hosts(): Generator<FleetHost> {
    for (let row = 0; row < this.size; row += 1) {
      yield { ...this.factsAt(row), allocated: this.allocatedAt(row) };
    }
  }

  #change(row: number, resources: Resources, groups: readonly Membership[], by: 1 | -1): void {
    const booked = this.#bookedAt(row);
    for (const [resource, amount] of Object.entries(resources)) {
      booked[resource] = (booked[resource] ?? 0) + by * amount;
    }
    if (groups.length > 0) this.groups.count(groups, this.factsAt(row).id, by);
    this.#show(row, booked);
  }

  #setAllocated(row: number, allocated: Resources): void {
    const booked = { ...allocated };
    this.#booked[row] = booked;
    this.#show(row, booked);
  }

  /** Brings the flat arrays up to what is booked. */
  #show(row: number, booked: Resources): void {
    const facts = this.factsAt(row);
    this.open[row] = isOpen(facts) && !isOverFull(facts.limits, booked) ? 1 : 0;
    RANKED_CLASSES.forEach((resource, index) => {
      this.#setRanked(row * RANKED + index, index, booked[resource] ?? 0);
    });
  }

  #setRanked(at: number, index: number, amount: number): void {
    this.#totals.book(index, this.allocated[at] ?? 0, amount);
    this.allocated[at] = amount;
  }

  /** A row that no host has any more counts in no sum. */
  #empty(row: number): void {
    for (let index = 0; index < RANKED; index += 1) {
      this.capacity[row * RANKED + index] = 0;
      this.#setRanked(row * RANKED + index, index, 0);
    }
    this.#totalsAreKnown = false;
  }

  #bookedAt(row: number): Record<string, number> {
    const booked = this.#booked[row];
    if (booked === undefined) throw new RangeError(`no row ${row.toString()}`);
    return booked;
  }

  #grow(rows: number): void {
    if (rows <= this.open.length) return;
    const size = this.open.length * 2;
    const copy = (from: Float64Array<ArrayBuffer>, length: number) => {
      const to = new Float64Array(length);
      to.set(from);
      return to;
    };
    this.capacity = copy(this.capacity, size * RANKED);
    this.limit = copy(this.limit, size * RANKED);
    this.allocated = copy(this.allocated, size * RANKED);
    this.seq = copy(this.seq, size);
    const open = new Uint8Array(size);
    open.set(this.open);
    this.open = open;
  }
}
