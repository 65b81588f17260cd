/**
 * Limits and bookings of the classes beyond the ranked ones, a column per class, so that a scan
 * need not open a host's objects. A column begins with the first host that has, or has booked,
 * something of its class, and stays.
 */
import { RANKED_CLASSES, type ResourceClass, type Resources } from '../model/resources.js';
import { spareOf } from './spare.js';

/** One class of every host; a row that has nothing of it is 0. */
export interface ClassColumn {
  limit: Float64Array<ArrayBuffer>;
  allocated: Float64Array<ArrayBuffer>;
  /** What may still be booked; see spare.ts. */
  spare: Int32Array<ArrayBuffer>;
}

const RANKED: ReadonlySet<ResourceClass> = new Set(RANKED_CLASSES);

export const isRanked = (name: ResourceClass): boolean => RANKED.has(name);

export class ClassColumns {
  readonly #columns = new Map<ResourceClass, ClassColumn>();
  #rows: number;

  constructor(rows: number) {
    this.#rows = rows;
  }

  /** @returns undefined when no host has anything of the class */
  of(name: ResourceClass): ClassColumn | undefined {
    return this.#columns.get(name);
  }

  setLimits(row: number, limits: Resources): void {
    for (const name in limits) if (!isRanked(name)) this.#begin(name);
    for (const [name, column] of this.#columns) column.limit[row] = limits[name] ?? 0;
  }

  /** @returns whether more is booked in the row than may be, in any of these classes */
  setAllocated(row: number, allocated: Resources): boolean {
    for (const name in allocated) {
      if (!isRanked(name) && !this.#columns.has(name)) this.#begin(name);
    }
    let isOverFull = false;
    for (const [name, column] of this.#columns) {
      const booked = allocated[name] ?? 0;
      const limit = column.limit[row] ?? 0;
      column.allocated[row] = booked;
      column.spare[row] = spareOf(limit, booked);
      isOverFull ||= booked > limit;
    }
    return isOverFull;
  }

  growRows(rows: number): void {
    this.#rows = rows;
    for (const column of this.#columns.values()) {
      column.limit = grown(column.limit, rows);
      column.allocated = grown(column.allocated, rows);
      column.spare = grownWhole(column.spare, rows);
    }
  }

  clear(): void {
    this.#columns.clear();
  }

  #begin(name: ResourceClass): void {
    if (this.#columns.has(name)) return;
    this.#columns.set(name, {
      limit: new Float64Array(this.#rows),
      allocated: new Float64Array(this.#rows),
      spare: new Int32Array(this.#rows),
    });
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
