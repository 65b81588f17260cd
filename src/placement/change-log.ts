/**
 * Which rows of a table have changed, in order, so that what was worked out for every row can be
 * mended where it is no longer true. Remembers the latest changes only; whoever comes later works
 * everything out again.
 */

/** Changes that are remembered; a power of two. More than this are never cheaper to mend. */
const KEPT = 16_384;

export class ChangeLog {
  readonly #rows = new Int32Array(KEPT);
  #now = 0;
  /** Marks before this one say nothing: everything was replaced since. */
  #beginning = 0;

  /** Grows with every change: the present, for a later `since`. */
  get now(): number {
    return this.#now;
  }

  note(row: number): void {
    this.#rows[this.#now & (KEPT - 1)] = row;
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
    return this.#rows[change & (KEPT - 1)] ?? 0;
  }
}
