/**
 * Watches whether the ledger can be believed, and has it rebuilt when not: it is empty, not the one
 * that was agreed on, behind what the catalogue has recorded (a Redis that lost writes), or the
 * catalogue has refused what it granted. Runs on every replica; a lease lets one of them rebuild.
 */
import { hasCode } from '../model/errors.js';
import type { Readiness } from './control.js';
import { Loop } from './loop.js';
import type { Ports } from './ports.js';
import { rebuild, type RebuildCause } from './rebuild.js';

const TICK_MS = 500;

/** Shortest time between two rebuilds that a disagreement asks for, so that a bug cannot spin. */
const DISAGREEMENT_EVERY_MS = 5_000;

export class LedgerLoop {
  readonly #ports: Ports;
  readonly #loop: Loop;
  #disagreement: Disagreement | null = null;
  #rebuiltAt = -Infinity;

  constructor(ports: Ports) {
    this.#ports = ports;
    this.#loop = new Loop({
      clock: ports.clock,
      tickMs: TICK_MS,
      look: async () => {
        await this.runOnce();
        return false;
      },
      onFailure: (error) => {
        ports.log.debug('ledger loop comes back later', { error });
      },
    });
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /** The catalogue refused what the ledger granted: have the ledger of that epoch rebuilt. */
  disagree(reason: string, epoch: number): void {
    this.#disagreement = { reason, epoch };
    this.#loop.poke();
  }

  /** Looks now instead of at the next tick. */
  poke(): void {
    this.#loop.poke();
  }

  /** Rebuilds if need be. @returns whether it did */
  async runOnce(): Promise<boolean> {
    if ((await this.#cause()) === null) return false;
    try {
      const report = await rebuild(this.#ports, () => this.#cause(), this.#ports.log);
      if (report === null) return false;
      this.#rebuiltAt = this.#ports.clock.monotonic();
      return true;
    } catch (error) {
      if (hasCode(error, 'ledger_rebuilding')) return false;
      throw error;
    }
  }

  async #cause(): Promise<RebuildCause | null> {
    const { fault, epoch } = await faultOf(this.#ports);
    if (fault !== null) return { reason: fault, isBelieved: false };
    // A ledger that was made since then is another one.
    if (this.#disagreement !== null && this.#disagreement.epoch < epoch) this.#disagreement = null;
    const since = this.#ports.clock.monotonic() - this.#rebuiltAt;
    if (this.#disagreement === null || since < DISAGREEMENT_EVERY_MS) return null;
    // It would go on to promise what the catalogue refuses, and callers would hear that there is no room.
    return { reason: this.#disagreement.reason, isBelieved: false };
  }
}

interface Disagreement {
  readonly reason: string;
  readonly epoch: number;
}

/** Why the ledger cannot be believed; `fault` is null when it can. */
async function faultOf({
  catalogue,
  ledger,
}: Ports): Promise<{ readonly fault: string | null; readonly epoch: number }> {
  // The catalogue is asked first: what it has recorded by then, the ledger must have seen.
  const { epoch, incarnation, highWater } = await catalogue.epoch();
  const state = await ledger.state();
  const fault =
    state.incarnation === null
      ? 'empty'
      : state.epoch !== epoch
        ? 'other_epoch'
        : state.incarnation !== incarnation
          ? 'not_agreed'
          : state.seq < highWater
            ? 'lost_writes'
            : null;
  return { fault, epoch };
}

/** The state of both stores, asked now. */
export async function readiness(ports: Ports): Promise<Readiness> {
  const catalogue = await ports.catalogue.ping().then(
    () => ({ state: 'ready' as const, detail: null }),
    () => ({ state: 'unavailable' as const, detail: 'PostgreSQL does not answer' }),
  );
  const ledger = await ledgerReadiness(ports, catalogue.state === 'ready');
  return {
    ready: ledger.state === 'ready' && catalogue.state === 'ready',
    dependencies: { ledger, catalogue },
  };
}

async function ledgerReadiness(
  ports: Ports,
  catalogueAnswers: boolean,
): Promise<Readiness['dependencies']['ledger']> {
  try {
    if (!catalogueAnswers) {
      await ports.ledger.state();
      return { state: 'ready', detail: 'Redis answers; not compared with the catalogue' };
    }
    const { fault } = await faultOf(ports);
    return fault === null
      ? { state: 'ready', detail: null }
      : { state: 'rebuilding', detail: `the ledger is rebuilt from the catalogue: ${fault}` };
  } catch {
    return { state: 'unavailable', detail: 'Redis does not answer' };
  }
}
