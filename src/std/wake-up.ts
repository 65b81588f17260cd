/** A sleep that can be cut short, for loops that run on a tick and on demand. */

/** What cuts a sleep short: as much of an AbortSignal as a sleep needs. */
export type Alarm = Pick<AbortSignal, 'aborted' | 'addEventListener' | 'removeEventListener'>;

interface Sleeper {
  sleep(ms: number, alarm?: Alarm): Promise<void>;
}

/** An alarm of one sleep: loops sleep and are poked so often that an AbortController is dear. */
class Bell implements Alarm {
  aborted = false;
  #listener: (() => void) | null = null;

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listener = listener;
  }

  removeEventListener(): void {
    this.#listener = null;
  }

  ring(): void {
    if (this.aborted) return;
    this.aborted = true;
    this.#listener?.();
  }
}

export class WakeUp {
  readonly #clock: Sleeper;
  #poked = false;
  #sleeping: Bell | null = null;

  constructor(clock: Sleeper) {
    this.#clock = clock;
  }

  /** Ends the present sleep, or the next one before it begins. */
  poke(): void {
    this.#poked = true;
    this.#sleeping?.ring();
  }

  /** Resolves after `ms`, or as soon as it is poked. */
  async sleep(ms: number): Promise<void> {
    if (!this.#poked) {
      this.#sleeping = new Bell();
      await this.#clock.sleep(ms, this.#sleeping);
      this.#sleeping = null;
    }
    this.#poked = false;
  }
}
