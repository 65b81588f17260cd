/**
 * The ledger on Redis: who has booked what. Fast, shared by all replicas, and disposable: whatever
 * it says can be rebuilt from the catalogue, and nothing is believed that no rebuild has confirmed.
 */
import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { HostFacts } from '../model/host.js';
import type {
  Clock,
  Ledger,
  LedgerBooking,
  LedgerPart,
  LedgerState,
  LedgerSwap,
  Log,
  PlacementTurn,
} from '../model/ports.js';
import type { Resources } from '../model/resources.js';
import type { LedgerBooks, LedgerInspection, LedgerMark } from '../model/stores/verify.js';
import type { HostTable } from '../placement/host-table.js';
import { connect, disconnect, READY_LIMIT_MS, untilReady } from './connection.js';
import { checkEviction } from './eviction.js';
import { answered } from './failures.js';
import { HighWater } from './high-water.js';
import { amountsAsText, openFlag, usedOfHash } from './host-hash.js';
import { markOf, readBooks } from './inspect.js';
import { cellKeys, type CellKeys } from './keys.js';
import { PlacementLock } from './lock.js';
import { Mirror } from './mirror.js';
import { readHashes } from './read-hashes.js';
import type { RedisTarget } from './redis-target.js';
import { clearAway, stagePart, swapIn } from './rebuild.js';
import { runScript, runScriptForEach } from './scripts.js';
import { Turn } from './turn.js';

/** A full reading of the largest cell is well within this. */
const COMMAND_TIMEOUT_MS = 1_500;
/**
 * Who gets no answer to the lock asks once more, to give back what it may have got: both together
 * must leave time to tell the callers within two seconds.
 */
const LOCK_TIMEOUT_SHARE = 1 / 2;
const LOCK_LEASE_MS = 3_000;
const LOG_LENGTH_MAX = 10_000;

/** Bookings that one call marks: well below a tenth of a second of Redis's time. */
const COMMIT_MAX = 500;

export interface LedgerOptions {
  /** Name of the cell; part of every key. */
  readonly cell: string;
  readonly url: RedisTarget;
  readonly log: Log;
  readonly clock: Clock;
  readonly lockLeaseMs?: number;
  /** Changes that a mirror may miss before it must read everything again. */
  readonly logLengthMax?: number;
  readonly commandTimeoutMs?: number;
  /** How long a start waits for Redis; ten seconds when nobody says. */
  readonly readyLimitMs?: number;
}

/**
 * Connects to Redis and checks that it is fit to keep bookings.
 * @throws DomainError `ledger_unavailable` when it does not answer in time; Error when
 *   it may throw keys away
 */
export async function createLedger(
  options: LedgerOptions,
): Promise<Ledger<HostTable> & LedgerInspection> {
  const log = options.log.child({ part: 'ledger' });
  const commandTimeoutMs = options.commandTimeoutMs ?? COMMAND_TIMEOUT_MS;
  const open = (name: string, share = 1) =>
    connect(options.url, { name, commandTimeoutMs: commandTimeoutMs * share, log });
  const connections = {
    writes: open('writes'),
    reads: open('reads'),
    lock: open('lock', LOCK_TIMEOUT_SHARE),
    waiting: open('waiting', LOCK_TIMEOUT_SHARE),
  };
  const readyLimitMs = options.readyLimitMs ?? READY_LIMIT_MS;
  try {
    await Promise.all(Object.values(connections).map((one) => untilReady(one, readyLimitMs)));
    await checkEviction(connections.reads, options.url, log);
  } catch (error) {
    for (const connection of Object.values(connections)) connection.disconnect();
    throw error;
  }
  return new RedisLedger(options, connections, log);
}

interface Connections {
  /** Everything that changes bookings goes through one, so that it happens in the order sent. */
  readonly writes: Redis;
  readonly reads: Redis;
  readonly lock: Redis;
  /** Stands still while this process waits for the lock. */
  readonly waiting: Redis;
}

class RedisLedger implements Ledger<HostTable>, LedgerInspection {
  readonly #log: Log;
  readonly #redis: Connections;
  readonly #keys: CellKeys;
  readonly #logLengthMax: number;
  readonly #lock: PlacementLock;
  readonly #highWater = new HighWater();
  /** The mirror of turns carries bookings that are only proposed; the other never does. */
  readonly #turnMirror: Mirror;
  readonly #viewMirror: Mirror;
  #turn: Turn | null = null;
  #nextView: Promise<HostTable> | null = null;
  #presentView: Promise<unknown> = Promise.resolve();

  constructor(options: LedgerOptions, redis: Connections, log: Log) {
    this.#log = log;
    this.#redis = redis;
    this.#keys = cellKeys(options.cell);
    this.#logLengthMax = options.logLengthMax ?? LOG_LENGTH_MAX;
    const waiter = randomUUID();
    this.#lock = new PlacementLock(redis.lock, redis.waiting, {
      key: this.#keys.lock,
      waitersKey: this.#keys.lockWaiters,
      freedKey: this.#keys.lockFreed,
      waiter,
      leaseMs: options.lockLeaseMs ?? LOCK_LEASE_MS,
      clock: options.clock,
    });
    const common = { keys: this.#keys, highWater: this.#highWater, waiter };
    this.#turnMirror = new Mirror({ ...common, redis: redis.writes });
    this.#viewMirror = new Mirror({ ...common, redis: redis.reads });
  }

  async state(): Promise<LedgerState> {
    const before = this.#highWater.latest;
    const [incarnation = null, epoch, seqText] = await answered(
      this.#redis.reads.hmget(this.#keys.meta, 'incarnation', 'epoch', 'seq'),
    );
    const seq = Number(seqText ?? 0);
    if (incarnation === before.incarnation && seq < before.seq) {
      this.#highWater.markLost(incarnation);
    }
    // A ledger that has lost changes counts as none, so that it is rebuilt.
    const lost = incarnation !== null && this.#highWater.isLost(incarnation);
    return { incarnation: lost ? null : incarnation, epoch: Number(epoch ?? 0), seq };
  }

  async openTurn(): Promise<PlacementTurn<HostTable>> {
    const lease = await this.#lock.acquire();
    this.#turn?.revoke();
    try {
      const fence = await this.#turnMirror.catchUpFenced();
      this.#turn = new Turn(
        {
          redis: this.#redis.writes,
          keys: this.#keys,
          mirror: this.#turnMirror,
          highWater: this.#highWater,
          logLengthMax: this.#logLengthMax,
          log: this.#log,
        },
        lease,
        fence,
      );
      return this.#turn;
    } catch (error) {
      await lease.release(false).catch(() => undefined);
      throw error;
    }
  }

  /** The table changes with the next call: look at it before the next await. */
  view(): Promise<HostTable> {
    // Everybody who comes while a reading is under way shares the one after it.
    this.#nextView ??= this.#presentView.then(async () => {
      this.#nextView = null;
      const reading = this.#viewMirror.catchUp();
      this.#presentView = reading.catch(() => undefined);
      await reading;
      return this.#viewMirror.table;
    });
    return this.#nextView;
  }

  async commit(bookings: readonly (LedgerBooking & { readonly assignment: number })[]) {
    const { meta, prefix } = this.#keys;
    const unknown: (typeof bookings)[number][] = [];
    for (let from = 0; from < bookings.length; from += COMMIT_MAX) {
      const chunk = bookings.slice(from, from + COMMIT_MAX);
      const recorded = chunk.map(({ bookingId, vmId, assignment }) => ({
        bookingId,
        vmId,
        assignment: assignment.toString(),
      }));
      const { rest } = await runScript(this.#redis.writes, 'commit', {
        keys: { meta },
        args: { prefix, bookings: JSON.stringify(recorded) },
      });
      unknown.push(...chunk.filter((_booking, place) => rest.includes(place.toString())));
    }
    return unknown;
  }

  async release(bookings: readonly LedgerBooking[]): Promise<void> {
    const { meta, log, prefix } = this.#keys;
    await runScriptForEach(
      this.#redis.writes,
      'release',
      bookings.map(({ bookingId, vmId, hostId }) => ({
        keys: { meta, log },
        args: { bookingId, vmId, hostId, logLengthMax: this.#logLengthMax, prefix },
      })),
    );
  }

  async pushHosts(hosts: readonly HostFacts[]): Promise<void> {
    const { meta, log, prefix } = this.#keys;
    await runScriptForEach(
      this.#redis.writes,
      'set-host',
      hosts.map((facts) => ({
        keys: { meta, log },
        args: {
          hostId: facts.id,
          revision: facts.revision,
          up: openFlag(facts),
          facts: JSON.stringify(facts),
          limits: amountsAsText(facts.limits),
          logLengthMax: this.#logLengthMax,
          prefix,
        },
      })),
    );
  }

  async overdueBookings(olderThanMs: number, limit: number): Promise<readonly LedgerBooking[]> {
    const { rest } = await runScript(this.#redis.reads, 'overdue', {
      keys: { meta: this.#keys.meta },
      args: { prefix: this.#keys.prefix, olderThan: olderThanMs, limit },
    });
    const found: LedgerBooking[] = [];
    for (let at = 0; at + 2 < rest.length; at += 3) {
      const [bookingId = '', vmId = '', hostId = ''] = rest.slice(at, at + 3);
      found.push({ bookingId, vmId, hostId });
    }
    return found;
  }

  async totals(): Promise<ReadonlyMap<string, Resources>> {
    const { reads } = this.#redis;
    for (;;) {
      const incarnation = await answered(reads.hget(this.#keys.meta, 'incarnation'));
      if (incarnation === null) return new Map();
      const { hosts, host } = this.#keys.ledger(incarnation);
      const ids = await answered(reads.smembers(hosts));
      const hashes = await readHashes(reads, ids.map(host));
      // Replaced meanwhile, it may have been half cleared away.
      if ((await answered(reads.hget(this.#keys.meta, 'incarnation'))) === incarnation) {
        return new Map(ids.map((id, index) => [id, usedOfHash(hashes[index] ?? {})]));
      }
    }
  }

  async mark(): Promise<LedgerMark | null> {
    const mark = await markOf(this.#redis.reads, this.#keys);
    return mark === null || this.#highWater.isLost(mark.incarnation) ? null : mark;
  }

  inspect(since: LedgerMark): Promise<LedgerBooks | null> {
    return readBooks(this.#redis.reads, this.#keys, since);
  }

  stage(incarnation: string, number: number, part: LedgerPart): Promise<number> {
    return stagePart(this.#redis.reads, this.#keys, incarnation, number, part);
  }

  swap(incarnation: string, swap: LedgerSwap): Promise<boolean> {
    return swapIn(this.#redis.reads, this.#keys, incarnation, swap, this.#logLengthMax);
  }

  clearAway(idleMs: number): Promise<void> {
    return clearAway(this.#redis.reads, this.#keys, idleMs);
  }

  async close(): Promise<void> {
    await Promise.all(Object.values(this.#redis).map(disconnect));
  }
}
