/**
 * What the tables of the catalogue's double are made of: rows by key that are replaced and never
 * changed, lists that only grow, and the way back for a transaction that fails.
 */

/** Knows how to undo what the transaction under way has written, the latest first. */
export class Journal {
  readonly #undos: (() => void)[] = [];

  note(undo: () => void): void {
    this.#undos.push(undo);
  }

  /** A point to which `undoTo` goes back. */
  mark(): number {
    return this.#undos.length;
  }

  undoTo(mark: number): void {
    while (this.#undos.length > mark) this.#undos.pop()?.();
  }

  /** From here on it stands. */
  commit(): void {
    this.#undos.length = 0;
  }
}

/** Told of each row that comes, changes or goes; also when that is undone. Keeps the indexes. */
export type Watch<Row> = (before: Row | undefined, after: Row | undefined) => void;

export class Table<Row extends object> {
  readonly #rows = new Map<string, Row>();
  readonly #journal: Journal;
  readonly #watch: Watch<Row> | null;

  constructor(journal: Journal, watch: Watch<Row> | null = null) {
    this.#journal = journal;
    this.#watch = watch;
  }

  get size(): number {
    return this.#rows.size;
  }

  get(key: string): Row | undefined {
    return this.#rows.get(key);
  }

  has(key: string): boolean {
    return this.#rows.has(key);
  }

  /** In no order that a caller may rely on. */
  rows(): IterableIterator<Row> {
    return this.#rows.values();
  }

  put(key: string, row: Row): void {
    this.#replace(key, row);
  }

  /** @returns whether there was one */
  delete(key: string): boolean {
    if (!this.#rows.has(key)) return false;
    this.#replace(key, undefined);
    return true;
  }

  #replace(key: string, row: Row | undefined): void {
    const before = this.#rows.get(key);
    this.#write(key, before, row);
    this.#journal.note(() => this.#write(key, row, before));
  }

  #write(key: string, before: Row | undefined, after: Row | undefined): void {
    if (after === undefined) this.#rows.delete(key);
    else this.#rows.set(key, after);
    this.#watch?.(before, after);
  }
}

/** Rows in the order in which they came. */
export class List<Row> {
  #rows: Row[] = [];
  readonly #journal: Journal;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  get rows(): readonly Row[] {
    return this.#rows;
  }

  append(row: Row): void {
    this.#rows.push(row);
    this.#journal.note(() => this.#rows.pop());
  }

  /** Takes the oldest out. */
  take(most: number): readonly Row[] {
    if (this.#rows.length === 0) return [];
    const taken = this.#rows.slice(0, most);
    this.#set(this.#rows.slice(most));
    return taken;
  }

  /** Drops those of the oldest `most` that are `old`. @returns what was dropped */
  forget(most: number, isOld: (row: Row) => boolean): readonly Row[] {
    const oldest = this.#rows.slice(0, most);
    const dropped = oldest.filter(isOld);
    if (dropped.length > 0) {
      this.#set([...oldest.filter((row) => !isOld(row)), ...this.#rows.slice(most)]);
    }
    return dropped;
  }

  #set(rows: Row[]): void {
    const before = this.#rows;
    this.#rows = rows;
    this.#journal.note(() => {
      this.#rows = before;
    });
  }
}

const NOBODY: ReadonlySet<string> = new Set();

/** Keys of rows, by something that several of them share. */
export class Index {
  readonly #keys = new Map<string, Set<string>>();

  of(shared: string): ReadonlySet<string> {
    return this.#keys.get(shared) ?? NOBODY;
  }

  /** null: it was, or is, under nothing. */
  move(key: string, from: string | null, to: string | null): void {
    if (from === to) return;
    if (from !== null) {
      const keys = this.#keys.get(from);
      keys?.delete(key);
      if (keys?.size === 0) this.#keys.delete(from);
    }
    if (to === null) return;
    const keys = this.#keys.get(to);
    if (keys === undefined) this.#keys.set(to, new Set([key]));
    else keys.add(key);
  }
}
