/**
 * What comes one by one is gathered and handed on in batches, one batch after another: the first at
 * once, the next when it is done with what has come meanwhile.
 */

interface Waiting<Item> {
  readonly item: Item;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

export class Batches<Item> {
  readonly #most: number;
  readonly #handle: (items: readonly Item[]) => Promise<void>;
  readonly #waiting: Waiting<Item>[] = [];
  #work: Promise<void> | null = null;
  readonly #failures: unknown[] = [];

  /** @param most items of one batch */
  constructor(most: number, handle: (items: readonly Item[]) => Promise<void>) {
    this.#most = most;
    this.#handle = handle;
  }

  /** What fails is told at the end. */
  add(...items: readonly Item[]): void {
    for (const item of items) {
      this.#put({ item, done: () => undefined, failed: (error) => this.#failures.push(error) });
    }
  }

  /** Waits until it is handed on. @throws what its batch failed of */
  hand(item: Item): Promise<void> {
    return new Promise((done, failed) => {
      this.#put({ item, done, failed });
    });
  }

  /** Waits until all is handed on. @throws the first failure; later batches are tried all the same */
  async end(): Promise<void> {
    await this.#work;
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  #put(waiting: Waiting<Item>): void {
    this.#waiting.push(waiting);
    this.#work ??= this.#run();
  }

  async #run(): Promise<void> {
    // What comes in the same moment belongs together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#most);
      try {
        await this.#handle(batch.map(({ item }) => item));
        for (const { done } of batch) done();
      } catch (error) {
        for (const { failed } of batch) failed(error);
      }
    }
    this.#work = null;
  }
}
