/**
 * What the loops of the control plane share: look at everything on a tick and when poked, survive
 * every failure, stop in order. What a look is, is the loop's own business.
 */
import type { Clock } from '../model/ports.js';
import { WakeUp } from '../std/wake-up.js';

export interface LoopOptions {
  readonly clock: Clock;
  readonly tickMs: number;
  /** One look. @returns true when there is more to do at once */
  look(): Promise<boolean>;
  /** A look failed; the next tick tries again. */
  onFailure(error: unknown): void;
}

export class Loop {
  readonly #options: LoopOptions;
  readonly #wakeUp: WakeUp;
  #stopping = false;
  #running: Promise<void> | null = null;

  constructor(options: LoopOptions) {
    this.#options = options;
    this.#wakeUp = new WakeUp(options.clock);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Looks now instead of at the next tick. */
  poke(): void {
    this.#wakeUp.poke();
  }

  /** Resolves when the look under way is over. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.poke();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      let more = false;
      try {
        more = await this.#options.look();
      } catch (error) {
        this.#options.onFailure(error);
      }
      if (!more) await this.#wakeUp.sleep(this.#options.tickMs);
    }
  }
}
