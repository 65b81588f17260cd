/** A sleep that can be cut short, for loops that run on a tick and on demand. */

interface Sleeper {
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export class WakeUp {
  readonly #clock: Sleeper;
  #poked = false;
  #sleeping: AbortController | null = null;

  constructor(clock: Sleeper) {
    this.#clock = clock;
  }

  /** Ends the present sleep, or the next one before it begins. */
  poke(): void {
    this.#poked = true;
    // A reason of our own: without one, each poke makes an exception that nobody looks at.
    this.#sleeping?.abort('poked');
  }

  /** Resolves after `ms`, or as soon as it is poked. */
  async sleep(ms: number): Promise<void> {
    if (!this.#poked) {
      this.#sleeping = new AbortController();
      await this.#clock.sleep(ms, this.#sleeping.signal);
      this.#sleeping = null;
    }
    this.#poked = false;
  }
}
