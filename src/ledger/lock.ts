/**
 * The placement lock: redlock, with a lease measured by the monotonic clock. It gives order and
 * spares replicas useless work; it is never what safety rests on (see scripts/reserve.lua).
 */
import type { Redis } from 'ioredis';
import Redlock, { ExecutionError, ResourceLockedError, type Lock } from 'redlock';
import type { Clock } from '../model/ports.js';
import { answered, unavailable } from './failures.js';

/** Pause between two tries for a lock that another replica holds: 3 to 7 ms. */
const RETRY_MS = 5;
const RETRY_JITTER_MS = 2;

/** How long a turn waits for the lock. */
const WAIT_MAX_MS = 5_000;

/** Share of a lease that clocks of different machines may disagree by, and Redis's own rounding. */
const DRIFT_FACTOR = 0.01;
const DRIFT_MS = 2;

/** How long a try that failed is remembered: longer than the pause until the next one. */
const WANTED_MS = 40;

export class PlacementLock {
  readonly #redis: Redis;
  readonly #redlock: Redlock;
  readonly #key: string;
  readonly #wantedKey: string;
  readonly #leaseMs: number;
  readonly #clock: Clock;

  /** @param redis a connection of its own, so that nothing large ever stands before the lock */
  constructor(
    redis: Redis,
    options: {
      readonly key: string;
      readonly wantedKey: string;
      readonly leaseMs: number;
      readonly clock: Clock;
    },
  ) {
    this.#redis = redis;
    this.#wantedKey = options.wantedKey;
    this.#redlock = new Redlock([redis], { retryCount: 0, driftFactor: DRIFT_FACTOR });
    this.#key = options.key;
    this.#leaseMs = options.leaseMs;
    this.#clock = options.clock;
  }

  /**
   * Waits for the lock.
   * @throws DomainError `ledger_unavailable` when Redis does not answer, or after five seconds
   */
  async acquire(): Promise<Lease> {
    const until = this.#clock.monotonic() + WAIT_MAX_MS;
    for (;;) {
      const since = this.#clock.monotonic();
      try {
        const lock = await this.#redlock.acquire([this.#key], this.#leaseMs);
        return new Lease(lock, since, this.#leaseMs, this.#clock);
      } catch (error) {
        if (!(await isHeldByAnother(error))) throw unavailable('no answer to the lock', error);
        if (this.#clock.monotonic() > until) throw unavailable('the lock was held all the time');
      }
      await answered(this.#redis.set(this.#wantedKey, '1', 'PX', WANTED_MS));
      await this.#clock.sleep(RETRY_MS + (Math.random() * 2 - 1) * RETRY_JITTER_MS);
    }
  }
}

/** Time under the lock. */
export class Lease {
  readonly #clock: Clock;
  readonly #leaseMs: number;
  #lock: Lock;
  /** When the request was sent: the lease began then or later. */
  #sinceMs: number;

  constructor(lock: Lock, sinceMs: number, leaseMs: number, clock: Clock) {
    this.#lock = lock;
    this.#sinceMs = sinceMs;
    this.#leaseMs = leaseMs;
    this.#clock = clock;
  }

  get expired(): boolean {
    return this.#age() >= this.#leaseMs * (1 - DRIFT_FACTOR) - DRIFT_MS;
  }

  /**
   * Begins a new lease when half of this one is over.
   * @throws DomainError `ledger_unavailable` when the lock is lost
   */
  async extend(): Promise<void> {
    if (this.expired) throw unavailable('the lock lease has run out');
    if (this.#age() < this.#leaseMs / 2) return;
    const since = this.#clock.monotonic();
    this.#lock = await answered(this.#lock.extend(this.#leaseMs));
    this.#sinceMs = since;
  }

  /** Gives the lock back. Rejects when it is lost already or Redis does not answer. */
  async release(): Promise<void> {
    await this.#lock.release();
  }

  #age(): number {
    return this.#clock.monotonic() - this.#sinceMs;
  }
}

/** Tells a lock that another replica holds from a Redis that does not answer. */
async function isHeldByAnother(error: unknown): Promise<boolean> {
  if (!(error instanceof ExecutionError)) return false;
  const stats = await error.attempts.at(-1);
  const votes = [...(stats?.votesAgainst.values() ?? [])];
  return votes.length > 0 && votes.every((vote) => vote instanceof ResourceLockedError);
}
