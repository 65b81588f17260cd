/**
 * The fleet as placement looks at it: one row per host, the amounts in flat Float64Arrays so that a
 * scan touches memory in order, and beside them what a scan would otherwise work out again for
 * every row. Notes which rows change. Holds numbers; decides nothing.
 */
import type { Membership } from '../model/groups.js';
import { isOpen, type FleetHost, type HostFacts } from '../model/host.js';
import { RANKED_CLASSES, type ResourceClass, type Resources } from '../model/resources.js';
import { ChangeLog } from './change-log.js';
import { ClassColumns, grown, grownWhole } from './class-columns.js';
import { FleetTotals } from './fleet-totals.js';
import { GroupTable } from './group-table.js';
import { HostNames } from './host-names.js';
import { Kinds } from './kinds.js';
import { rankedAmounts, rankOf } from './ranked-classes.js';
import { ratio } from './ratio.js';
import { CLOSED, spareOf } from './spare.js';

/** Ranked classes per row in the flat arrays. */
export const RANKED = RANKED_CLASSES.length;

const ROWS_MIN = 64;

const NO_GROUPS: readonly Membership[] = [];

export class HostTable {
  /** Row `r` and class `c` stand at `r * RANKED + c`. */
  capacity = new Float64Array(ROWS_MIN * RANKED);
  limit = new Float64Array(ROWS_MIN * RANKED);
  allocated = new Float64Array(ROWS_MIN * RANKED);
  /** Share of the capacity that is not booked: `ratio(capacity − allocated, capacity)`. */
  remaining = new Float64Array(ROWS_MIN * RANKED);
  /** Unweighted length of the vector of these shares, per row: the first tie-break. */
  room = new Float64Array(ROWS_MIN);
  /** What may still be booked, or CLOSED in each class of a host that is not open; see spare.ts. */
  spare = new Int32Array(ROWS_MIN * RANKED);
  /** 1 when the host takes new VMs: it is up, enabled and not over-full. */
  open = new Uint8Array(ROWS_MIN);
  /** Order of registration, the last tie-break. */
  seq = new Float64Array(ROWS_MIN);
  /** Who is where of which group. */
  readonly groups = new GroupTable();
  /** Limits and bookings of every other class. */
  readonly columns = new ClassColumns(ROWS_MIN);
  /** Which rows have equal capacities of the ranked classes. */
  readonly shapes = new Kinds(RANKED, ROWS_MIN);
  /** Rows of which anything has changed. */
  readonly changes = new ChangeLog();
  /** Rows whose facts have changed, or that another host has. */
  readonly factChanges = new ChangeLog();

  readonly #kinds = new Kinds(3 * RANKED, ROWS_MIN);
  /** When the table was last looked at for its kinds. */
  #kindsMark = -Infinity;
  readonly #largest = new Float64Array(RANKED);
  #largestIsKnown = false;
  #largestRevision = 0;
  readonly #names = new HostNames();
  readonly #totals = new FleetTotals();
  #totalsAreKnown = false;
  readonly #facts: HostFacts[] = [];
  /** 1 when the host is up and enabled. */
  #isUp = new Uint8Array(ROWS_MIN);
  readonly #rowOf = new Map<string, number>();
  /** Amounts of the booking that is being written down. */
  readonly #ranked = new Float64Array(RANKED);

  static of(hosts: Iterable<FleetHost>): HostTable {
    const table = new HostTable();
    for (const host of hosts) table.upsert(host, host.allocated);
    return table;
  }

  get size(): number {
    return this.#facts.length;
  }

  /**
   * Which rows have equal capacities, limits and bookings of the ranked classes. Worked out for the
   * rows that have changed, when it is asked for: not every ranking does.
   */
  get kinds(): Kinds {
    const { changes } = this;
    this.#kinds.growRows(this.open.length);
    if (changes.since(this.#kindsMark) <= this.size) {
      for (let at = this.#kindsMark; at < changes.now; at += 1) this.#settleKind(changes.rowAt(at));
    } else {
      this.#kinds.clear();
      for (let row = 0; row < this.size; row += 1) this.#settleKind(row);
    }
    this.#kindsMark = changes.now;
    return this.#kinds;
  }

  /** Of each ranked class, the largest capacity that one host has. */
  get largest(): Float64Array {
    if (!this.#largestIsKnown) this.#findLargest();
    return this.#largest;
  }

  /** Grows when `largest` becomes other than it was. */
  get largestRevision(): number {
    if (!this.#largestIsKnown) this.#findLargest();
    return this.#largestRevision;
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

  /** Rows of the hosts that are called so, by id or by name. */
  rowsCalled(name: string): readonly number[] {
    const rows = [...this.#names.idsOf(name)].map((id) => this.rowOf(id));
    const own = this.rowOf(name);
    return own < 0 || rows.includes(own) ? rows : [own, ...rows];
  }

  factsAt(row: number): HostFacts {
    const facts = this.#facts[row];
    if (facts === undefined) throw noRow(row);
    return facts;
  }

  /** What is booked in a row; classes of which nothing is booked are absent. */
  allocatedAt(row: number): Resources {
    if (this.#facts[row] === undefined) throw noRow(row);
    const booked: Record<string, number> = {};
    for (const name of [...RANKED_CLASSES, ...this.columns.names()]) {
      const amount = this.bookedAt(row, name);
      if (amount !== 0) booked[name] = amount;
    }
    return booked;
  }

  /** How much of a class is booked in a row. */
  bookedAt(row: number, name: ResourceClass): number {
    const index = rankOf(name);
    const booked =
      index < 0 ? this.columns.of(name)?.allocated[row] : this.allocated[row * RANKED + index];
    return booked ?? 0;
  }

  /** Adds a host or replaces what is known of it. */
  upsert(facts: HostFacts, allocated: Resources): void {
    let row = this.rowOf(facts.id);
    if (row < 0) {
      row = this.#facts.length;
      this.#grow(row + 1);
      this.#rowOf.set(facts.id, row);
    }
    this.#put(row, facts, allocated);
  }

  /** Takes a host out; its members of groups stay known. The last row moves into its place. */
  remove(hostId: string): void {
    const row = this.rowOf(hostId);
    if (row < 0) return;
    const last = this.size - 1;
    const moved = this.factsAt(last);
    const booked = this.allocatedAt(last);
    this.#names.remove(this.factsAt(row));
    this.#rowOf.delete(hostId);
    this.#largestIsKnown = false;
    this.#empty(last);
    this.#facts.length = last;
    this.shapes.drop(last);
    this.changes.note(last);
    this.factChanges.note(last);
    if (row === last) return;
    this.#rowOf.set(moved.id, row);
    this.#names.remove(moved);
    this.#put(row, moved, booked);
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
    this.#rowOf.clear();
    this.#names.clear();
    this.groups.clear();
    this.columns.clear();
    this.shapes.clear();
    this.#largestIsKnown = false;
    this.changes.noteAll();
    this.factChanges.noteAll();
  }

  /** Every host with its bookings, in no particular order. */
  *hosts(): Generator<FleetHost> {
    for (let row = 0; row < this.size; row += 1) {
      yield { ...this.factsAt(row), allocated: this.allocatedAt(row) };
    }
  }

  #change(row: number, resources: Resources, groups: readonly Membership[], by: 1 | -1): void {
    const facts = this.factsAt(row);
    const ranked = rankedAmounts(resources, this.#ranked);
    for (let index = 0; index < RANKED; index += 1) {
      const at = row * RANKED + index;
      this.#setRanked(at, index, (this.allocated[at] ?? 0) + by * (ranked[index] ?? 0));
    }
    this.columns.book(row, resources, by);
    if (groups.length > 0) this.groups.count(groups, facts.id, by);
    this.#show(row);
  }

  #put(row: number, facts: HostFacts, allocated: Resources): void {
    const before = this.#facts[row];
    if (before?.id === facts.id) this.#names.remove(before);
    this.#names.add(facts);
    this.#facts[row] = facts;
    this.#largestIsKnown = false;
    this.#isUp[row] = isOpen(facts) ? 1 : 0;
    this.seq[row] = facts.seq;
    for (const [index, name] of RANKED_CLASSES.entries()) {
      const capacity = facts.capacity[name] ?? 0;
      if (this.capacity[row * RANKED + index] !== capacity) this.#totalsAreKnown = false;
      this.capacity[row * RANKED + index] = capacity;
      this.shapes.wanted[index] = capacity;
      this.limit[row * RANKED + index] = facts.limits[name] ?? 0;
    }
    this.shapes.settle(row);
    this.columns.setLimits(row, facts.limits);
    this.factChanges.note(row);
    this.#setAllocated(row, allocated);
  }

  #setAllocated(row: number, allocated: Resources): void {
    const ranked = rankedAmounts(allocated, this.#ranked);
    for (let index = 0; index < RANKED; index += 1) {
      this.#setRanked(row * RANKED + index, index, ranked[index] ?? 0);
    }
    this.columns.setAllocated(row, allocated);
    this.#show(row);
  }

  /** Brings what follows from limits and bookings of a row up to date. */
  #show(row: number): void {
    let isOverFull = this.columns.isOverFull(row);
    let squared = 0;
    for (let at = row * RANKED; at < (row + 1) * RANKED; at += 1) {
      const allocated = this.allocated[at] ?? 0;
      const capacity = this.capacity[at] ?? 0;
      const remaining = ratio(capacity - allocated, capacity);
      this.remaining[at] = remaining;
      squared += remaining * remaining;
      if (allocated > (this.limit[at] ?? 0)) isOverFull = true;
    }
    this.room[row] = Math.sqrt(squared);
    this.#setOpen(row, this.#isUp[row] === 1 && !isOverFull);
    this.changes.note(row);
  }

  #settleKind(row: number): void {
    if (row >= this.size) {
      this.#kinds.drop(row);
      return;
    }
    for (let index = 0; index < RANKED; index += 1) {
      const at = row * RANKED + index;
      this.#kinds.wanted[index] = this.capacity[at] ?? 0;
      this.#kinds.wanted[RANKED + index] = this.limit[at] ?? 0;
      this.#kinds.wanted[2 * RANKED + index] = this.allocated[at] ?? 0;
    }
    this.#kinds.settle(row);
  }

  #setOpen(row: number, takesVms: boolean): void {
    this.open[row] = takesVms ? 1 : 0;
    for (let at = row * RANKED; at < (row + 1) * RANKED; at += 1) {
      this.spare[at] = takesVms ? spareOf(this.limit[at] ?? 0, this.allocated[at] ?? 0) : CLOSED;
    }
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

  #findLargest(): void {
    const found = new Float64Array(RANKED);
    for (let at = 0; at < this.size * RANKED; at += 1) {
      const index = at % RANKED;
      found[index] = Math.max(found[index] ?? 0, this.capacity[at] ?? 0);
    }
    if (found.some((amount, index) => amount !== this.#largest[index])) {
      this.#largest.set(found);
      this.#largestRevision += 1;
    }
    this.#largestIsKnown = true;
  }

  #grow(rows: number): void {
    if (rows <= this.open.length) return;
    const size = this.open.length * 2;
    this.capacity = grown(this.capacity, size * RANKED);
    this.limit = grown(this.limit, size * RANKED);
    this.allocated = grown(this.allocated, size * RANKED);
    this.remaining = grown(this.remaining, size * RANKED);
    this.spare = grownWhole(this.spare, size * RANKED);
    this.room = grown(this.room, size);
    this.seq = grown(this.seq, size);
    this.open = grownFlags(this.open, size);
    this.#isUp = grownFlags(this.#isUp, size);
    this.columns.growRows(size);
    this.shapes.growRows(size);
  }
}

const noRow = (row: number): RangeError => new RangeError(`no row ${row.toString()}`);

function grownFlags(from: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const to = new Uint8Array(length);
  to.set(from);
  return to;
}
