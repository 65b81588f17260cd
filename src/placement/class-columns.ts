/**
 * Limits and bookings of the classes beyond the ranked ones, a column per class, so that a scan
 * need not open a host's objects. A column begins with the first host that has, or has booked,
 * something of its class, and stays.
 */
import type { ResourceClass, Resources } from '../model/resources.js';
import { rankOf } from './ranked-classes.js';
import { spareOf } from './spare.js';

/** One class of every host; a row that has nothing of it is 0. */
export interface ClassColumn {
  limit: Float64Array<ArrayBuffer>;
  allocated: Float64Array<ArrayBuffer>;
  /** What may still be booked; see spare.ts. */
  spare: Int32Array<ArrayBuffer>;
}

export class ClassColumns {
  readonly #columns = new Map<ResourceClass, ClassColumn>();
  /** Per row, how many of these classes have more booked than may be. */
  #overFull: Int32Array<ArrayBuffer>;

  constructor(rows: number) {
    this.#overFull = new Int32Array(rows);
  }

  /** @returns undefined when no host has anything of the class */
  of(name: ResourceClass): ClassColumn | undefined {
    return this.#columns.get(name);
  }

  /** Classes that have a column. */
  names(): Iterable<ResourceClass> {
    return this.#columns.keys();
  }

  /** Whether more is booked in a row than may be, in any of these classes. */
  isOverFull(row: number): boolean {
    return (this.#overFull[row] ?? 0) > 0;
  }

  setLimits(row: number, limits: Resources): void {
    for (const name in limits) if (rankOf(name) < 0) this.#columnOf(name);
    for (const [name, column] of this.#columns) {
      column.limit[row] = limits[name] ?? 0;
      this.#book(column, row, column.allocated[row] ?? 0);
    }
  }

  setAllocated(row: number, allocated: Resources): void {
    for (const name in allocated) if (rankOf(name) < 0) this.#columnOf(name);
    for (const [name, column] of this.#columns) this.#book(column, row, allocated[name] ?? 0);
  }

  /** Adds a request to what is booked in a row (`by` 1), or takes it off (`by` −1). */
  book(row: number, resources: Resources, by: 1 | -1): void {
    for (const name in resources) {
      if (rankOf(name) >= 0) continue;
      const column = this.#columnOf(name);
      this.#book(column, row, (column.allocated[row] ?? 0) + by * (resources[name] ?? 0));
    }
  }

  growRows(rows: number): void {
    this.#overFull = grownWhole(this.#overFull, rows);
    for (const column of this.#columns.values()) {
      column.limit = grown(column.limit, rows);
      column.allocated = grown(column.allocated, rows);
      column.spare = grownWhole(column.spare, rows);
    }
  }

  clear(): void {
    this.#columns.clear();
    this.#overFull.fill(0);
  }

  #book(column: ClassColumn, row: number, amount: number): void {
    const spare = spareOf(column.limit[row] ?? 0, amount);
    const before = column.spare[row] ?? 0;
    column.allocated[row] = amount;
    column.spare[row] = spare;
    if (spare < 0 !== before < 0) {
      this.#overFull[row] = (this.#overFull[row] ?? 0) + (spare < 0 ? 1 : -1);
    }
  }

  #columnOf(name: ResourceClass): ClassColumn {
    let column = this.#columns.get(name);
    if (column === undefined) {
      const rows = this.#overFull.length;
      column = {
        limit: new Float64Array(rows),
        allocated: new Float64Array(rows),
        spare: new Int32Array(rows),
      };
      this.#columns.set(name, column);
    }
    return column;
  }
}

/** The same numbers in a longer array. */
export function grown(from: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const to = new Float64Array(length);
  to.set(from);
  return to;
}

export function grownWhole(from: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const to = new Int32Array(length);
  to.set(from);
  return to;
}
