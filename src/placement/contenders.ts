/**
 * The rows that can take a request, groups and names left aside. Rows are listed without a jump: each
 * is written down, and only one that has room moves the place where the next is written.
 */
import { hasRoom, type Other, type PreparedRequest } from './filter.js';
import type { HostSet } from './host-sets.js';
import { RANKED, type HostTable } from './host-table.js';
import { askedOf, isCut } from './spare.js';

export interface Field {
  /** Rows that meet the zone and labels; null when all do. */
  readonly among: HostSet | null;
  /** Rows that are left out. */
  readonly beside: ReadonlySet<number>;
}

export class Contenders {
  readonly #table: HostTable;
  #rows = new Int32Array(0);
  #count = 0;
  /** 1 for a row that is left out; all 0 between two looks. */
  #isOut = new Uint8Array(0);

  constructor(table: HostTable) {
    this.#table = table;
  }

  /** The first `count` are the ones, in rising order. */
  get rows(): Int32Array {
    return this.#rows;
  }

  get count(): number {
    return this.#count;
  }

  /** Looks at every row. Allocates nothing but what the first look at a larger fleet needs. */
  find(request: PreparedRequest, { among, beside }: Field): void {
    const { ranked, others } = request;
    if (this.#rows.length < this.#table.open.length) {
      this.#rows = new Int32Array(this.#table.open.length);
    }
    let isRough = ranked.some(isCut);
    if (others === null) {
      this.#listRoomy(ranked);
    } else {
      this.#listRoomyToo(ranked, others[0], others[1]);
      for (let at = 2; at < others.length; at += 2) this.#keepRoomy(others[at], others[at + 1]);
      isRough ||= others.some(({ amount }) => isCut(amount));
    }
    if (among !== null) this.#keepAmong(among);
    if (beside.size > 0) this.#leaveOut(beside);
    if (isRough) this.#keepExact(request);
  }

  /** All rows that have room in the ranked classes. */
  #listRoomy(ranked: Float64Array): void {
    const { size, spare } = this.#table;
    const rows = this.#rows;
    const asked0 = askedOf(ranked[0] ?? 0);
    const asked1 = askedOf(ranked[1] ?? 0);
    const asked2 = askedOf(ranked[2] ?? 0);
    let count = 0;
    for (let row = 0; row < size; row += 1) {
      const at = row * RANKED;
      const lack =
        ((spare[at] ?? 0) - asked0) |
        ((spare[at + 1] ?? 0) - asked1) |
        ((spare[at + 2] ?? 0) - asked2);
      rows[count] = row;
      count += (lack >>> 31) ^ 1;
    }
    this.#count = count;
  }

  /** As `listRoomy`, and in one or two other classes: less than to go through the rows again. */
  #listRoomyToo(ranked: Float64Array, one: Other | undefined, other = one): void {
    if (one?.column === undefined || other?.column === undefined) {
      this.#count = 0;
      return;
    }
    const { size, spare } = this.#table;
    const rows = this.#rows;
    const spare3 = one.column.spare;
    const spare4 = other.column.spare;
    const asked0 = askedOf(ranked[0] ?? 0);
    const asked1 = askedOf(ranked[1] ?? 0);
    const asked2 = askedOf(ranked[2] ?? 0);
    const asked3 = askedOf(one.amount);
    const asked4 = askedOf(other.amount);
    let count = 0;
    for (let row = 0; row < size; row += 1) {
      const at = row * RANKED;
      const lack =
        ((spare[at] ?? 0) - asked0) |
        ((spare[at + 1] ?? 0) - asked1) |
        ((spare[at + 2] ?? 0) - asked2) |
        ((spare3[row] ?? 0) - asked3) |
        ((spare4[row] ?? 0) - asked4);
      rows[count] = row;
      count += (lack >>> 31) ^ 1;
    }
    this.#count = count;
  }

  /** Two classes at a time: to go through the rows costs more than to look at one. */
  #keepRoomy(one: Other | undefined, other = one): void {
    if (one?.column === undefined || other?.column === undefined) {
      this.#count = 0;
      return;
    }
    const [rows, listed] = [this.#rows, this.#count];
    const spare0 = one.column.spare;
    const spare1 = other.column.spare;
    const asked0 = askedOf(one.amount);
    const asked1 = askedOf(other.amount);
    let count = 0;
    for (let at = 0; at < listed; at += 1) {
      const row = rows[at] ?? 0;
      rows[count] = row;
      const lack = ((spare0[row] ?? 0) - asked0) | ((spare1[row] ?? 0) - asked1);
      count += (lack >>> 31) ^ 1;
    }
    this.#count = count;
  }

  #keepAmong(among: HostSet): void {
    const [rows, listed] = [this.#rows, this.#count];
    let count = 0;
    for (let at = 0; at < listed; at += 1) {
      const row = rows[at] ?? 0;
      rows[count] = row;
      count += ((among[row >>> 5] ?? 0) >>> (row & 31)) & 1;
    }
    this.#count = count;
  }

  #leaveOut(beside: ReadonlySet<number>): void {
    if (this.#isOut.length < this.#rows.length) this.#isOut = new Uint8Array(this.#rows.length);
    const [rows, listed] = [this.#rows, this.#count];
    const isOut = this.#isOut;
    for (const row of beside) isOut[row] = 1;
    let count = 0;
    for (let at = 0; at < listed; at += 1) {
      const row = rows[at] ?? 0;
      rows[count] = row;
      count += (isOut[row] ?? 0) ^ 1;
    }
    for (const row of beside) isOut[row] = 0;
    this.#count = count;
  }

  /** For amounts that `spare` cannot tell. */
  #keepExact(request: PreparedRequest): void {
    const [rows, listed] = [this.#rows, this.#count];
    let count = 0;
    for (let at = 0; at < listed; at += 1) {
      const row = rows[at] ?? 0;
      rows[count] = row;
      if (hasRoom(this.#table, row, request)) count += 1;
    }
    this.#count = count;
  }
}
