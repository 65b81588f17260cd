/** What happened in a history, in order: a hash over all of it, and the last lines for people. */

const LINES_MAX = 400;

export class Trace {
  readonly #lines: string[] = [];
  #length = 0;
  #high = 0x811c9dc5;
  #low = 0xc9dc5118;

  /** @param atMs virtual time */
  note(atMs: number, what: string): void {
    const line = `${atMs.toFixed(1)} ${what}`;
    // Two hashes of 32 bits: no chance meeting of two different traces.
    for (let at = 0; at < line.length; at += 1) {
      const code = line.charCodeAt(at);
      this.#high = Math.imul(this.#high ^ code, 0x01000193);
      this.#low = Math.imul(this.#low + code, 0x85ebca6b) ^ (this.#low >>> 13);
    }
    this.#lines[this.#length % LINES_MAX] = line;
    this.#length += 1;
  }

  get length(): number {
    return this.#length;
  }

  /** The same for two histories only if they were the same, line by line. */
  get hash(): string {
    return [this.#high, this.#low, this.#length].map((part) => (part >>> 0).toString(16)).join('-');
  }

  /** The newest lines, oldest first. */
  last(count: number): readonly string[] {
    const from = Math.max(0, this.#length - Math.min(count, LINES_MAX));
    return Array.from(
      { length: this.#length - from },
      (_, index) => this.#lines[(from + index) % LINES_MAX] ?? '',
    );
  }
}
