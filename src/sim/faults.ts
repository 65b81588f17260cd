/**
 * The faults of one history: which kinds it has (a random few, so that rare mixes get deep), how
 * often, and how slow the network is. Drawn from the seed alone.
 */
import type { Prng } from '../std/prng.js';
import { NO_CUTS } from './cuts.js';

export type PortName = 'ledger' | 'catalogue' | 'agents';

/**
 * What may happen to one call of a port.
 * - `crash-before`, `crash-after`: the replica dies before its request is sent, or when it was done.
 * - `reply-lost`: it was done, and nobody hears of it.
 * - `twice`: it is done, and once more a little later.
 * - `late`: it is done when the caller has long given up.
 * - `refused`: it was not done, and the caller hears that there is no answer.
 * - `aborted`: its transaction met another one and was rolled back, once or some times; the catalogue
 *   tries again by itself, and gives up in the end.
 */
export const CALL_FAULTS = [
  'crash-before',
  'crash-after',
  'reply-lost',
  'twice',
  'late',
  'refused',
  'aborted',
] as const;
export type CallFault = (typeof CALL_FAULTS)[number];

/**
 * What may happen to a part.
 * - `kill`: kill -9 of a replica; another process takes its place.
 * - `pause`: a replica stands still and then goes on as if nothing had been.
 * - `cut`: a replica no longer reaches one of its ports.
 * - `host-cut`, `host-off`: a host is not reached, or is dark.
 * - `vanish`: more than half of the hosts, or all, are not reached. `flap`: one goes and comes.
 * - `flush`: the ledger is emptied. `rollback`: it loses its last writes.
 */
export const PART_FAULTS = [
  'kill',
  'pause',
  'cut',
  'host-cut',
  'host-off',
  'vanish',
  'flap',
  'flush',
  'rollback',
] as const;
export type PartFault = (typeof PART_FAULTS)[number];

export type FaultName = CallFault | PartFault;

/** Calls of which a repeat, by a retry somewhere below us, can happen and means something. */
const REPEATABLE: ReadonlySet<string> = new Set([
  'record',
  'releaseVm',
  'saveProgress',
  'settleReleases',
  'status',
  'ensureVm',
  'startVm',
  'stopVm',
  'removeVm',
]);

/** Highest share of calls that one kind of fault befalls. */
const RATE_MAX = 0.04;

/** Faults of parts in one minute, at most, of one kind. */
const PARTS_PER_MINUTE_MAX = 40;

/** How long nobody waits for an answer any more. */
export const LIMIT_MS: Readonly<Record<PortName, number>> = {
  ledger: 600,
  catalogue: 800,
  agents: 500,
};

/**
 * How long after that a late call may still be done. PostgreSQL ends a statement that takes too
 * long; a script that waits in a paused Redis, or an order before a hung agent, may wait longer.
 */
export const LATE_MS: Readonly<Record<PortName, number>> = {
  ledger: 3_000,
  catalogue: 200,
  agents: 3_000,
};

/** What befalls the calls of a process, and how long they take: drawn by chance, or planned. */
export interface CallPlan {
  /** What happens to a call that is about to be sent. */
  draw(site: string, port: PortName): CallFault | null;
  /** How long a message is on its way. */
  latencyMs(): number;
  /** When a call that is late is done. */
  lateMs(port: PortName): number;
  /** How long after its first doing a call is done once more. */
  repeatMs(port: PortName): number;
  /** How often in a row a call is aborted. */
  aborts(): number;
}

/** Times that the catalogue tries a transaction, as its `answered` does. */
export const TRIES_MAX = 4;

export class Faults {
  readonly #prng: Prng;
  readonly #rates: ReadonlyMap<CallFault, number>;
  readonly #parts: readonly PartFault[];
  readonly #partsPerMinute: number;
  readonly #slowShare: number;
  readonly #slowMsMax: number;
  readonly #counts = new Map<FaultName, number>();
  readonly #without: ReadonlySet<number>;
  #turns = 0;
  #active = false;

  /** @param without faults that do not happen, by the number of their turn */
  constructor(prng: Prng, without: ReadonlySet<number> = NO_CUTS.faults) {
    this.#prng = prng;
    this.#without = without;
    const plan = prng.fork('plan');
    const rates = new Map<CallFault, number>();
    for (const fault of CALL_FAULTS) {
      if (plan.chance(0.4)) rates.set(fault, plan.next() * plan.next() * RATE_MAX);
    }
    this.#rates = rates;
    this.#parts = PART_FAULTS.filter(() => plan.chance(0.35));
    this.#partsPerMinute = plan.next() * PARTS_PER_MINUTE_MAX;
    this.#slowShare = plan.next() * 0.5;
    this.#slowMsMax = plan.pick([2, 20, 80]);
  }

  /** How often each fault was injected. */
  get counts(): ReadonlyMap<FaultName, number> {
    return this.#counts;
  }

  begin(): void {
    this.#active = true;
  }

  /** From here on nothing fails. */
  end(): void {
    this.#active = false;
  }

  get isActive(): boolean {
    return this.#active;
  }

  /** Faults whose turn has come, those left out among them. */
  get turns(): number {
    return this.#turns;
  }

  /** What befalls the calls of one process. Its chances are its own: no other process shifts them. */
  of(process: string): CallPlan {
    const prng = this.#prng.fork(`calls of ${process}`);
    const latencyMs = () => (prng.chance(this.#slowShare) ? prng.next() * this.#slowMsMax : 0);
    return {
      draw: (site, port) => (this.#active ? this.#drawCall(site, port, prng.next()) : null),
      latencyMs,
      lateMs: (port) => LIMIT_MS[port] + prng.next() * LATE_MS[port],
      repeatMs: () => 1 + latencyMs(),
      aborts: () => prng.between(1, TRIES_MAX),
    };
  }

  /** Pause before the next fault of a part; null when this history has none. */
  pauseMs(prng: Prng): number | null {
    if (this.#parts.length === 0 || this.#partsPerMinute === 0) return null;
    return (2 * prng.next() * 60_000) / this.#partsPerMinute;
  }

  drawPart(prng: Prng): PartFault | null {
    return this.#happens(prng.pick(this.#parts));
  }

  #drawCall(site: string, port: PortName, chance: number): CallFault | null {
    let left = chance;
    for (const [fault, rate] of this.#rates) {
      left -= rate;
      if (left >= 0) continue;
      const isPossible =
        (fault !== 'twice' || REPEATABLE.has(site)) &&
        (fault !== 'aborted' || port === 'catalogue');
      return isPossible ? this.#happens(fault) : null;
    }
    return null;
  }

  #happens<T extends FaultName>(fault: T): T | null {
    const turn = this.#turns;
    this.#turns += 1;
    if (this.#without.has(turn)) return null;
    this.#counts.set(fault, (this.#counts.get(fault) ?? 0) + 1);
    return fault;
  }
}
