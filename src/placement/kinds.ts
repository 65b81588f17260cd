/**
 * Hosts that are alike: rows with the same amounts get the same number, so that what depends on
 * amounts alone is worked out once for all of them. A number is free again when its last row has
 * changed.
 */

const KINDS_MIN = 64;

/** No kind, or the end of a chain. */
const NONE = -1;

const grown = (from: Int32Array, length: number): Int32Array<ArrayBuffer> => {
  const to = new Int32Array(length).fill(NONE);
  to.set(from);
  return to;
};

export class Kinds {
  /** Number of each row's kind; -1 for a row that has none. */
  of: Int32Array<ArrayBuffer>;
  readonly #width: number;
  /** The amounts of each kind, one after another, and the same as words for the hash. */
  #amounts: Float64Array<ArrayBuffer>;
  #words: Int32Array<ArrayBuffer>;
  /** Rows of each kind. */
  #rows = new Int32Array(KINDS_MIN);
  /** The next kind with the same hash, or the next free number. */
  #next = new Int32Array(KINDS_MIN).fill(NONE);
  /** First kind of each hash; as many as there are numbers. */
  #heads = new Int32Array(KINDS_MIN).fill(NONE);
  #free = NONE;
  #numbers = 0;
  #inUse = 0;
  readonly #wanted: Float64Array<ArrayBuffer>;
  readonly #wantedWords: Int32Array<ArrayBuffer>;

  /** @param width amounts of a row */
  constructor(width: number, rows: number) {
    this.#width = width;
    this.of = new Int32Array(rows).fill(NONE);
    this.#amounts = new Float64Array(KINDS_MIN * width);
    this.#words = new Int32Array(this.#amounts.buffer);
    this.#wanted = new Float64Array(width);
    this.#wantedWords = new Int32Array(this.#wanted.buffer);
  }

  /** How many different kinds there are. */
  get size(): number {
    return this.#inUse;
  }

  /** All numbers are below this. */
  get numbers(): number {
    return this.#numbers;
  }

  growRows(rows: number): void {
    if (rows > this.of.length) this.of = grown(this.of, rows);
  }

  /** One of the amounts of a kind. */
  amountAt(kind: number, index: number): number {
    return this.#amounts[kind * this.#width + index] ?? 0;
  }

  /** Where the amounts of a row are to be written before `settle`. */
  get wanted(): Float64Array {
    return this.#wanted;
  }

  /** Gives a row the number of its amounts, which stand in `wanted`. */
  settle(row: number): void {
    const before = this.of[row] ?? NONE;
    if (before !== NONE && this.#isWanted(before)) return;
    if (before !== NONE) this.#leave(before);
    let kind = this.#heads[this.#headOf(this.#wantedWords, 0)] ?? NONE;
    while (kind !== NONE && !this.#isWanted(kind)) kind = this.#next[kind] ?? NONE;
    if (kind === NONE) kind = this.#begin();
    this.#rows[kind] = (this.#rows[kind] ?? 0) + 1;
    this.of[row] = kind;
  }

  /** The row is gone. */
  drop(row: number): void {
    const kind = this.of[row] ?? NONE;
    if (kind === NONE) return;
    this.of[row] = NONE;
    this.#leave(kind);
  }

  clear(): void {
    this.of.fill(NONE);
    this.#heads.fill(NONE);
    this.#next.fill(NONE);
    this.#rows.fill(0);
    this.#free = NONE;
    this.#numbers = 0;
    this.#inUse = 0;
  }

  #isWanted(kind: number): boolean {
    const base = kind * this.#width;
    for (let at = 0; at < this.#width; at += 1) {
      if (this.#amounts[base + at] !== this.#wanted[at]) return false;
    }
    return true;
  }

  /** Takes a number for the wanted amounts, which no row has yet. */
  #begin(): number {
    let kind = this.#free;
    if (kind === NONE) {
      kind = this.#numbers;
      if (kind === this.#rows.length) this.#grow();
      this.#numbers += 1;
    } else {
      this.#free = this.#next[kind] ?? NONE;
    }
    this.#amounts.set(this.#wanted, kind * this.#width);
    this.#rows[kind] = 0;
    this.#inUse += 1;
    this.#chain(kind);
    return kind;
  }

  #chain(kind: number): void {
    const head = this.#headOf(this.#words, kind * 2 * this.#width);
    this.#next[kind] = this.#heads[head] ?? NONE;
    this.#heads[head] = kind;
  }

  /** One row fewer; the number is free when it was the last. */
  #leave(kind: number): void {
    const left = (this.#rows[kind] ?? 0) - 1;
    this.#rows[kind] = left;
    if (left > 0) return;
    const head = this.#headOf(this.#words, kind * 2 * this.#width);
    const next = this.#next[kind] ?? NONE;
    if (this.#heads[head] === kind) {
      this.#heads[head] = next;
    } else {
      let before = this.#heads[head] ?? NONE;
      while (this.#next[before] !== kind) before = this.#next[before] ?? NONE;
      this.#next[before] = next;
    }
    this.#next[kind] = this.#free;
    this.#free = kind;
    this.#inUse -= 1;
  }

  /** Room for twice as many; every number is in use when this is called. */
  #grow(): void {
    const kinds = this.#numbers * 2;
    const amounts = new Float64Array(kinds * this.#width);
    amounts.set(this.#amounts);
    this.#amounts = amounts;
    this.#words = new Int32Array(amounts.buffer);
    this.#rows = grown(this.#rows, kinds);
    this.#next = new Int32Array(kinds).fill(NONE);
    this.#heads = new Int32Array(kinds).fill(NONE);
    for (let kind = 0; kind < this.#numbers; kind += 1) this.#chain(kind);
  }

  /** Bucket of amounts by their bits: multiply and shift, as in MurmurHash3's finalizer. */
  #headOf(words: Int32Array, from: number): number {
    let hash = 0;
    for (let at = from; at < from + 2 * this.#width; at += 1) {
      hash = Math.imul(hash ^ (words[at] ?? 0), 0x85ebca6b);
      hash ^= hash >>> 13;
    }
    return hash & (this.#heads.length - 1);
  }
}
