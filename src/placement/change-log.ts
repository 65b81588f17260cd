/**
 * Which rows of a table have changed, in order, so that what was worked out for every row can be
 * mended where it is no longer true. Remembers the latest changes only; whoever comes later works
 * everything out again.
 */

/** Most changes that are remembered; a power of two. More than this are never cheaper to mend. */
const KEPT = 16_384;

/** Room for as many at first, also a power of two: many a table lives shortly. */
const KEPT_AT_FIRST = 64;

export class ChangeLog {
  #rows = new Int32Array(KEPT_AT_FIRST);
  #now = 0;
  /** Marks before this one say nothing: everything was replaced since. */
  #beginning = 0;

  /** Grows with every change: the present, for a later `since`. */
  get now(): number {
    return this.#now;
  }

  note(row: number): void {
    while (this.#now >= this.#rows.length && this.#rows.length < KEPT) this.#grow();
    this.#rows[this.#now & (this.#rows.length - 1)] = row;
    this.#now += 1;
  }

  /** Everything has changed. */
  noteAll(): void {
    this.#now += 1;
    this.#beginning = this.#now;
  }

  /** How many changes came after a mark; Infinity when they are not all remembered. */
  since(mark: number): number {
    const changes = this.#now - mark;
    return mark < this.#beginning || changes > KEPT ? Infinity : changes;
  }

  /** The row of a remembered change, numbered from the mark that stood before it. */
  rowAt(change: number): number {
    return this.#rows[change & (this.#rows.length - 1)] ?? 0;
  }

  /** Before any change was written over another: each keeps its place. */
  #grow(): void {
    const grown = new Int32Array(2 * this.#rows.length);
    grown.set(this.#rows);
    this.#rows = grown;
  }
}
