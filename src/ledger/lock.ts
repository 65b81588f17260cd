/**
 * The placement lock: redlock, with a lease measured by the monotonic clock. It gives order and
 * spares replicas useless work; it is never what safety rests on (see scripts/reserve.lua).
 */
import type { Redis } from 'ioredis';
import Redlock, { ExecutionError, ResourceLockedError, type Lock } from 'redlock';
import type { Clock } from '../model/ports.js';
import { answered, replies, unavailable } from './failures.js';

/**
 * Who waits is told when the lock is given back, and asks without being told after so long: whoever
 * should have told, or was told instead, may be dead. As long, too, others go first whom it was given to.
 */
const RETRY_MS = 100;

/** How long a turn waits for the lock. */
const WAIT_MAX_MS = 5_000;

/** Share of a lease that clocks of different machines may disagree by, and Redis's own rounding. */
const DRIFT_FACTOR = 0.01;
const DRIFT_MS = 2;

/** How long it is remembered that anybody waits: longer than the pause until the next try. */
const WANTED_MS = 250;

/** How long it is told that the lock was given back. Told in vain, it costs somebody one try. */
const FREED_MS = 1_000;

/**
 * Gives the lock back and says so, in one step: one word, however often nobody heard it, which is the
 * value that the lock had.
 */
const releaseScript = (freedKey: string): string => `
  if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
  redis.call('DEL', KEYS[1], '${freedKey}')
  redis.call('RPUSH', '${freedKey}', ARGV[1])
  redis.call('PEXPIRE', '${freedKey}', ${FREED_MS.toString()})
  return 1
`;

export class PlacementLock {
  readonly #waiting: Redis;
  readonly #redlock: Redlock;
  readonly #key: string;
  readonly #waitersKey: string;
  readonly #freedKey: string;
  readonly #waiter: string;
  readonly #leaseMs: number;
  readonly #clock: Clock;
  /** When this one gave the lock back to somebody else; -Infinity when nobody else wanted it. */
  #gaveWayAt = -Infinity;
  /** The value of the lock when this one had it last. */
  #lastValue = '';

  /**
   * @param redis a connection of its own, so that nothing large ever stands before the lock
   * @param waiting another one, which stands still while somebody waits
   */
  constructor(
    redis: Redis,
    waiting: Redis,
    options: {
      readonly key: string;
      readonly waitersKey: string;
      readonly freedKey: string;
      /** What tells this process from others that wait. */
      readonly waiter: string;
      readonly leaseMs: number;
      readonly clock: Clock;
    },
  ) {
    this.#waiting = waiting;
    this.#waitersKey = options.waitersKey;
    this.#freedKey = options.freedKey;
    this.#waiter = options.waiter;
    const settings = { retryCount: 0, driftFactor: DRIFT_FACTOR };
    this.#redlock = new Redlock([redis], settings, {
      releaseScript: () => releaseScript(options.freedKey),
    });
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
    await this.#letOthersGoFirst();
    for (;;) {
      const since = this.#clock.monotonic();
      try {
        const lock = await this.#redlock.acquire([this.#key], this.#leaseMs);
        this.#lastValue = lock.value;
        return new Lease(lock, {
          sinceMs: since,
          leaseMs: this.#leaseMs,
          clock: this.#clock,
          onRelease: (isWanted) => {
            this.#gaveWayAt = isWanted ? this.#clock.monotonic() : -Infinity;
          },
        });
      } catch (error) {
        if (!(await isHeldByAnother(error))) throw unavailable('no answer to the lock', error);
        if (this.#clock.monotonic() > until) throw unavailable('the lock was held all the time');
      }
      await this.#untilFreed();
    }
  }

  /** Who has just given the lock back is nearer to it than who is being told: it would always win. */
  async #letOthersGoFirst(): Promise<void> {
    const hasJustGivenWay = this.#clock.monotonic() - this.#gaveWayAt < RETRY_MS;
    this.#gaveWayAt = -Infinity;
    // A courtesy: whether the lock can be had, the try itself tells.
    if (hasJustGivenWay) await this.#untilFreed().catch(() => undefined);
  }

  /** Redis wakes those who wait one by one, in the order of their last tries. */
  async #untilFreed(): Promise<void> {
    const waiting = this.#waiting
      .pipeline()
      .hset(this.#waitersKey, this.#waiter, '')
      .pexpire(this.#waitersKey, WANTED_MS)
      .blpop(this.#freedKey, RETRY_MS / 1_000);
    const word = (await replies(waiting)).at(-1) as readonly [key: string, value: string] | null;
    // Its own word was left for it, so nobody waits: a name that is still there may be of one that died,
    // and would be kept alive by this one's. Who is between two tries writes its name again.
    if (word?.[1] === this.#lastValue) await answered(this.#waiting.del(this.#waitersKey));
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
