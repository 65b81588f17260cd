/**
 * Faults that are planned, one call each: "the second time that anybody records a batch, the answer
 * is lost". Counts the calls of every site on the way, so that a run without faults tells which
 * there are.
 */
import type { Prng } from '../../std/prng.js';
import { LATE_MS, LIMIT_MS, type CallFault, type CallPlan, type PortName } from '../faults.js';

/**
 * What may befall a call here.
 * - `crash-before`, `crash-after`, `reply-lost`, `late`, `twice`: as in faults.ts.
 * - `twice-late`: it is done, and once more when the next try has long begun.
 */
export const MODES = ['crash-before', 'crash-after', 'reply-lost', 'twice', 'late'] as const;
export type Mode = (typeof MODES)[number] | 'twice-late';

/** A port and what is asked of it, as `catalogue.record`. */
export type Site = `${PortName}.${string}`;

export interface PlannedFault {
  readonly site: Site;
  /** Which call of this site, from 1, counted over all replicas; for a second fault see `again`. */
  readonly nth: number;
  readonly mode: Mode;
  /** Whether the count begins when the fault before it has happened: the retry is meant. */
  readonly again?: boolean;
}

export class PlannedCalls implements CallPlan {
  readonly #faults: readonly PlannedFault[];
  readonly #latency: Prng | null;
  readonly #nowMs: () => number;
  readonly #counts = new Map<Site, number>();
  readonly #fired: PlannedFault[] = [];
  #since = new Map<Site, number>();
  #armed = false;
  #repeatsLate = false;
  #quietFromMs = 0;

  /** @param latency how long messages are on their way; null: no time at all */
  constructor(faults: readonly PlannedFault[], nowMs: () => number, latency: Prng | null = null) {
    this.#faults = faults;
    this.#nowMs = nowMs;
    this.#latency = latency;
  }

  /** From here on calls are counted, and faults happen. */
  arm(): void {
    this.#armed = true;
  }

  /** How often each site was called. */
  get counts(): ReadonlyMap<Site, number> {
    return this.#counts;
  }

  /** The faults that have happened. */
  get fired(): readonly PlannedFault[] {
    return this.#fired;
  }

  /** The instant after which nothing that was delayed comes any more. */
  get quietFromMs(): number {
    return this.#quietFromMs;
  }

  draw(name: string, port: PortName): CallFault | null {
    if (!this.#armed) return null;
    const site: Site = `${port}.${name}`;
    this.#counts.set(site, (this.#counts.get(site) ?? 0) + 1);
    this.#since.set(site, (this.#since.get(site) ?? 0) + 1);
    const due = this.#faults.find((fault) => fault.site === site && this.#isDue(fault));
    if (due === undefined) return null;
    this.#fired.push(due);
    this.#since = new Map();
    this.#repeatsLate = due.mode === 'twice-late';
    this.#quietFromMs = Math.max(this.#quietFromMs, this.#nowMs() + this.lateMs(port) + 1);
    return due.mode === 'twice-late' ? 'twice' : due.mode;
  }

  latencyMs(): number {
    return this.#latency?.chance(0.5) === true ? this.#latency.next() * LATENCY_MS_MAX : 0;
  }

  lateMs(port: PortName): number {
    return LIMIT_MS[port] + LATE_MS[port];
  }

  repeatMs(port: PortName): number {
    return this.#repeatsLate ? this.lateMs(port) : 0;
  }

  aborts(): number {
    return 0;
  }

  #isDue(fault: PlannedFault): boolean {
    if (this.#fired.includes(fault)) return false;
    if (fault.again !== true) return this.#counts.get(fault.site) === fault.nth;
    return this.#fired.length > 0 && this.#since.get(fault.site) === fault.nth;
  }
}

const LATENCY_MS_MAX = 20;
