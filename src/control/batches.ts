/**
 * What comes one by one is gathered and handed on in batches, one batch after another: the first at
 * once, the next when it is done with what has come meanwhile.
 */
export class Batches<Item> {
  readonly #most: number;
  readonly #handle: (items: readonly Item[]) => Promise<void>;
  readonly #waiting: Item[] = [];
  #work: Promise<void> | null = null;
  readonly #failures: unknown[] = [];

  /** @param most items of one batch */
  constructor(most: number, handle: (items: readonly Item[]) => Promise<void>) {
    this.#most = most;
    this.#handle = handle;
  }

  add(...items: readonly Item[]): void {
    this.#waiting.push(...items);
    this.#work ??= this.#run();
  }

  /** Waits until all is handed on. @throws the first failure; later batches are tried all the same */
  async end(): Promise<void> {
    await this.#work;
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  async #run(): Promise<void> {
    // What comes in the same moment belongs together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const items = this.#waiting.splice(0, this.#most);
      await this.#handle(items).catch((error: unknown) => this.#failures.push(error));
    }
    this.#work = null;
  }
}
