/**
 * The placement lock: redlock, with a lease measured by the monotonic clock. It gives order and
 * spares replicas useless work; it is never what safety rests on (see scripts/reserve.lua).
 */
import type { Redis } from 'ioredis';
import Redlock, { ExecutionError, ResourceLockedError, type Lock } from 'redlock';
import type { Clock } from '../model/ports.js';
import { answered, replies, unavailable } from './failures.js';

/** Who waits is told when the lock is given back, and asks without being told after so long. */
const RETRY_MS = 15;

/** How long a turn waits for the lock. */
const WAIT_MAX_MS = 5_000;

/** Share of a lease that clocks of different machines may disagree by, and Redis's own rounding. */
const DRIFT_FACTOR = 0.01;
const DRIFT_MS = 2;

/** How long a try that failed is remembered: longer than the pause until the next one. */
const WANTED_MS = 40;

/** How long it is told that the lock was given back. Told in vain, it costs somebody one try. */
const FREED_MS = 1_000;

export class PlacementLock {
  readonly #waiting: Redis;
  readonly #redlock: Redlock;
  readonly #key: string;
  readonly #wantedKey: string;
  readonly #freedKey: string;
  readonly #waiter: string;
  readonly #leaseMs: number;
  readonly #clock: Clock;
  /** Whether this one has given the lock back to somebody else. */
  #gaveWay = false;

  /**
   * @param redis a connection of its own, so that nothing large ever stands before the lock
   * @param waiting another one, which stands still while somebody waits
   */
  constructor(
    redis: Redis,
    waiting: Redis,
    options: {
      readonly key: string;
      readonly wantedKey: string;
      readonly freedKey: string;
      /** What tells this process from others that wait. */
      readonly waiter: string;
      readonly leaseMs: number;
      readonly clock: Clock;
    },
  ) {
    this.#waiting = waiting;
    this.#wantedKey = options.wantedKey;
    this.#freedKey = options.freedKey;
    this.#waiter = options.waiter;
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
    // It is nearer to the lock than who is being told: it would always be first.
    if (this.#gaveWay) await this.#untilFreed();
    this.#gaveWay = false;
    for (;;) {
      const since = this.#clock.monotonic();
      try {
        const lock = await this.#redlock.acquire([this.#key], this.#leaseMs);
        return new Lease(lock, {
          sinceMs: since,
          leaseMs: this.#leaseMs,
          clock: this.#clock,
          onRelease: (isWanted) => {
            this.#gaveWay = isWanted;
            this.#tellFreed();
          },
        });
      } catch (error) {
        if (!(await isHeldByAnother(error))) throw unavailable('no answer to the lock', error);
        if (this.#clock.monotonic() > until) throw unavailable('the lock was held all the time');
      }
      await this.#untilFreed();
    }
  }

  /** Redis wakes those who wait one by one, who has waited longest first. */
  async #untilFreed(): Promise<void> {
    const waiting = this.#waiting
      .pipeline()
      .set(this.#wantedKey, this.#waiter, 'PX', WANTED_MS)
      .blpop(this.#freedKey, RETRY_MS / 1_000);
    await replies(waiting);
  }

  /** One word, however often nobody heard it. Whoever misses it asks without being told. */
  #tellFreed(): void {
    const telling = this.#waiting
      .pipeline()
      .del(this.#freedKey)
      .rpush(this.#freedKey, '1')
      .pexpire(this.#freedKey, FREED_MS);
    telling.exec().catch(() => undefined);
  }
}

interface LeaseTerms {
  /** When the request was sent: the lease began then or later. */
  readonly sinceMs: number;
  readonly leaseMs: number;
  readonly clock: Clock;
  /** Called when the lock has been given back, with whether somebody else wanted it. */
  readonly onRelease: (isWanted: boolean) => void;
}

/** Time under the lock. */
export class Lease {
  readonly #terms: LeaseTerms;
  #lock: Lock;
  #sinceMs: number;

  constructor(lock: Lock, terms: LeaseTerms) {
    this.#lock = lock;
    this.#terms = terms;
    this.#sinceMs = terms.sinceMs;
  }

  get expired(): boolean {
    return this.#age() >= this.#terms.leaseMs * (1 - DRIFT_FACTOR) - DRIFT_MS;
  }

  /**
   * Begins a new lease when half of this one is over.
   * @throws DomainError `ledger_unavailable` when the lock is lost
   */
  async extend(): Promise<void> {
    if (this.expired) throw unavailable('the lock lease has run out');
    const { leaseMs, clock } = this.#terms;
    if (this.#age() < leaseMs / 2) return;
    const since = clock.monotonic();
    this.#lock = await answered(this.#lock.extend(leaseMs));
    this.#sinceMs = since;
  }

  /**
   * Gives the lock back. Rejects when it is lost already or Redis does not answer.
   * @param isWanted whether somebody else waits for it: then they come before this process
   */
  async release(isWanted: boolean): Promise<void> {
    await this.#lock.release();
    this.#terms.onRelease(isWanted);
  }

  #age(): number {
    return this.#terms.clock.monotonic() - this.#sinceMs;
  }
}

/** Tells a lock that another replica holds from a Redis that does not answer. */
async function isHeldByAnother(error: unknown): Promise<boolean> {
  if (!(error instanceof ExecutionError)) return false;
  const stats = await error.attempts.at(-1);
  const votes = [...(stats?.votesAgainst.values() ?? [])];
  return votes.length > 0 && votes.every((vote) => vote instanceof ResourceLockedError);
}
