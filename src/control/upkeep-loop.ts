/**
 * Chores that one replica does for all of them: expiries, purges, samples. Each chore looks at the
 * catalogue by itself, so that missing a turn, or doing it twice, does no harm.
 */
import { Loop } from './loop.js';
import type { Ports } from './ports.js';

const LEASE = 'upkeep';
const TICK_MS = 1_000;

/** Longer than some ticks, so that the chores stay with one replica while it lives. */
const LEASE_MS = 5_000;

export interface Chore {
  /** For the log. */
  readonly name: string;
  /** Pause between two runs; a failed one is run again at the next tick. */
  readonly everyMs: number;
  run(): Promise<void>;
}

/** The loop that runs the chores while this replica holds their lease. */
export class UpkeepLoop {
  readonly #ports: Ports;
  readonly #replicaId: string;
  readonly #chores: readonly Chore[];
  readonly #doneAt = new Map<Chore, number>();
  readonly #loop: Loop;

  constructor(ports: Ports, replicaId: string, chores: readonly Chore[]) {
    this.#ports = ports;
    this.#replicaId = replicaId;
    this.#chores = chores;
    this.#loop = new Loop({
      clock: ports.clock,
      tickMs: TICK_MS,
      look: async () => {
        await this.#look();
        return false;
      },
      onFailure: (error) => {
        ports.log.debug('upkeep comes back later', { error });
      },
    });
  }

  start(): void {
    this.#loop.start();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
    await this.#ports.catalogue.releaseLease(LEASE, this.#replicaId).catch((error: unknown) => {
      this.#ports.log.debug('the upkeep lease runs out by itself', { error });
    });
  }

  async #look(): Promise<void> {
    const { catalogue, clock, log } = this.#ports;
    if (!(await catalogue.acquireLease(LEASE, this.#replicaId, LEASE_MS))) return;
    for (const chore of this.#chores) {
      if (clock.monotonic() - (this.#doneAt.get(chore) ?? -Infinity) < chore.everyMs) continue;
      try {
        await chore.run();
        this.#doneAt.set(chore, clock.monotonic());
      } catch (error) {
        log.warn('a chore failed and is tried again', { chore: chore.name, error });
      }
    }
  }
}
