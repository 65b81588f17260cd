/**
 * The fleet as placement looks at it: one row per host, the ranked classes in flat Float64Arrays
 * so that a scan touches memory in order, every other class in plain objects.
 * Holds numbers; decides nothing.
 */
import { isOpen, type FleetHost, type HostFacts } from '../model/host.js';
import { RANKED_CLASSES, type Resources } from '../model/resources.js';

/** Ranked classes per row in the flat arrays. */
export const RANKED = RANKED_CLASSES.length;

const ROWS_MIN = 64;

export class HostTable {
  /** Row `r` and class `c` stand at `r * RANKED + c`. */
  capacity = new Float64Array(ROWS_MIN * RANKED);
  limit = new Float64Array(ROWS_MIN * RANKED);
  allocated = new Float64Array(ROWS_MIN * RANKED);
  /** 1 when the host takes new VMs. */
  open = new Uint8Array(ROWS_MIN);
  /** Order of registration, the last tie-break. */
  seq = new Float64Array(ROWS_MIN);

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
    this.open[row] = isOpen(facts) ? 1 : 0;
    this.seq[row] = facts.seq;
    RANKED_CLASSES.forEach((resource, index) => {
      this.capacity[row * RANKED + index] = facts.capacity[resource] ?? 0;
      this.limit[row * RANKED + index] = facts.limits[resource] ?? 0;
    });
    this.#setAllocated(row, allocated);
  }

  /** Replaces what is booked on a host; a host that is not there is ignored. */
  setAllocated(hostId: string, allocated: Resources): void {
    const row = this.rowOf(hostId);
    if (row >= 0) this.#setAllocated(row, allocated);
  }

  /** Adds a request to what is booked in a row. */
  book(row: number, resources: Resources): void {
    const booked = this.#bookedAt(row);
    for (const [resource, amount] of Object.entries(resources)) {
      booked[resource] = (booked[resource] ?? 0) + amount;
    }
    this.#mirrorRanked(row, booked);
  }

  clear(): void {
    this.#facts.length = 0;
    this.#booked.length = 0;
    this.#rowOf.clear();
  }

  /** Every host with its bookings, in no particular order. */
  *hosts(): Generator<FleetHost> {
    for (let row = 0; row < this.size; row += 1) {
      yield { ...this.factsAt(row), allocated: this.allocatedAt(row) };
    }
  }

  #setAllocated(row: number, allocated: Resources): void {
    const booked = { ...allocated };
    this.#booked[row] = booked;
    this.#mirrorRanked(row, booked);
  }

  #mirrorRanked(row: number, booked: Resources): void {
    RANKED_CLASSES.forEach((resource, index) => {
      this.allocated[row * RANKED + index] = booked[resource] ?? 0;
    });
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
