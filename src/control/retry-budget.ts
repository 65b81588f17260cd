/**
 * How often hosts are asked again. A host that fails costs each of its VMs a try, and those come
 * again; without a limit, a host that is in trouble is asked more than one that is well. So tries
 * that are repeated are a share of those that are not, and a trickle that never ends.
 */
import type { Clock } from '../model/ports.js';

/** Repeats that each first try pays for. */
const SHARE = 0.1;

/** Per second and host, whatever else goes on: a host that is well again is found out soon. */
const FLOOR_PER_S = 2;

/** What a host has when nothing was asked of it for a while. */
const SAVED_MAX = 20;

/** Hosts that are remembered before those with a full budget are forgotten. */
const HOSTS_MAX = 1_000;

interface Budget {
  readonly left: number;
  readonly at: number;
}

export class RetryBudget {
  readonly #clock: Pick<Clock, 'monotonic'>;
  /** One that is not here has all it can have. */
  readonly #hosts = new Map<string, Budget>();

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** A first try is made. */
  earn(hostId: string): void {
    if (this.#hosts.has(hostId)) this.#set(hostId, this.#left(hostId) + SHARE);
  }

  /** @returns whether a try may be repeated now; then it is paid for */
  spend(hostId: string): boolean {
    const left = this.#left(hostId);
    if (left < 1) return false;
    this.#set(hostId, left - 1);
    if (this.#hosts.size > HOSTS_MAX) this.#forget();
    return true;
  }

  /** Hosts that it keeps a count of. */
  get size(): number {
    return this.#hosts.size;
  }

  #left(hostId: string): number {
    const budget = this.#hosts.get(hostId);
    if (budget === undefined) return SAVED_MAX;
    const passedS = (this.#clock.monotonic() - budget.at) / 1_000;
    return Math.min(SAVED_MAX, budget.left + passedS * FLOOR_PER_S);
  }

  #set(hostId: string, left: number): void {
    this.#hosts.set(hostId, { left: Math.min(SAVED_MAX, left), at: this.#clock.monotonic() });
  }

  #forget(): void {
    for (const hostId of this.#hosts.keys()) {
      if (this.#left(hostId) >= SAVED_MAX) this.#hosts.delete(hostId);
    }
  }
}
