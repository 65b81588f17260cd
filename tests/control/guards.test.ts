/**
 * Lock, script and transaction, each alone with the others taken away: what it stops, and that it is
 * what stops it. Two schedulers race on a real Redis and a real PostgreSQL; what stands in the
 * catalogue at the end is what counts. Method: one VM fills one host, so two on a host are a double
 * booking.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { openCatalogue } from '../../src/catalogue/catalogue.js';
import type { Ports } from '../../src/control/ports.js';
import type { PlaceResult } from '../../src/control/placing.js';
import { rebuild } from '../../src/control/rebuild.js';
import { Scheduler } from '../../src/control/scheduler.js';
import { createLedger } from '../../src/ledger/ledger.js';
import { hasCode } from '../../src/model/errors.js';
import { cosine } from '../../src/placement/cosine.js';
import { weightsOf } from '../../src/placement/strategy.js';
import { systemClock } from '../../src/std/clock.js';
import { itemFor, upHost } from '../catalogue/builders.js';
import {
  Hold,
  keepOnly,
  Meeting,
  takeFromTransaction,
  type RedisGuards,
  type TransactionCheck,
  type Watch,
} from '../support/guards.js';
import { DEFAULT_POLICY } from '../support/hosts.js';
import { silentLog } from '../support/log.js';
import { freshDatabase } from '../support/postgres.js';
import { startRedis, type RedisServer } from '../support/redis.js';

const HOSTS = 6;
const LEASE_MS = 1_000;
/** As much as may be booked of a host with these totals, so that one VM fills it. */
const TOTALS = { cpu: 4, memory: 1_000, disk: 1_000 };
const WHOLE_HOST = { cpu: 16, memory: 100, disk: 100 };

interface Booker {
  readonly ports: Ports;
  /** How often each refusal was counted, by `who kind`. */
  readonly refusals: Map<string, number>;
  /** Asks once. */
  ask(): Promise<PlaceResult>;
  close(): Promise<unknown>;
}

let redis: RedisServer;
let databaseUrl: string;
let bookers: readonly [Booker, Booker];
let guards: ReturnType<typeof keepOnly> | null = null;

async function bookerOn(change: (ports: Ports) => Partial<Ports>): Promise<Booker> {
  const [catalogue, ledger] = await Promise.all([
    openCatalogue({ databaseUrl }, { log: silentLog, capacity: DEFAULT_POLICY }),
    createLedger({
      cell: 'main',
      url: redis.url,
      log: silentLog,
      clock: systemClock,
      lockLeaseMs: LEASE_MS,
    }),
  ]);
  const refusals = new Map<string, number>();
  const real = {
    ledger,
    catalogue,
    clock: systemClock,
    log: silentLog,
    telemetry: {
      count(name: string, labels: Readonly<Record<string, string>> = {}, by = 1) {
        const who = /^berth_(ledger|catalogue)_refusals_total$/.exec(name)?.[1];
        const what = `${who ?? ''} ${labels.kind ?? ''}`;
        if (who !== undefined) refusals.set(what, (refusals.get(what) ?? 0) + by);
      },
      observe: () => undefined,
    },
    newId: randomUUID,
    checkpoint: () => undefined,
    // Agents, chance and ticks are no part of a placement.
  } as unknown as Ports;
  const ports = { ...real, ...change(real) };
  const ranking = { strategy: cosine, weights: weightsOf({}) };
  const scheduler = new Scheduler(
    ports,
    { ranking, queueMax: 100, batchMax: 8, holdMs: 200, deadlineMs: 60_000 },
    () => undefined,
  );
  return {
    ports,
    refusals,
    ask() {
      const { kind, spec, requestHash } = itemFor({ id: 'none', name: 'none' });
      return scheduler.submit({
        kind,
        spec: { ...spec, resources: WHOLE_HOST },
        requestHash,
        avoid: [],
        by: null,
      });
    },
    async close() {
      await scheduler.stop();
      await Promise.all([ledger.close(), catalogue.close()]);
    },
  };
}

/** Two schedulers before a fleet that is empty, with these guards and no others. */
async function before(
  redisGuards: RedisGuards,
  without: readonly TransactionCheck[],
  watch: Watch = {},
  change: (ports: Ports) => Partial<Ports> = () => ({}),
): Promise<void> {
  bookers = [await bookerOn(change), await bookerOn(() => ({}))];
  const [{ ports }] = bookers;
  for (let index = 0; index < HOSTS; index += 1) await upHost(ports.catalogue, TOTALS);
  await rebuild(ports, async () => ({ reason: 'test', isBelieved: true }), silentLog);
  await takeFromTransaction(databaseUrl, without);
  guards = keepOnly(redisGuards, watch);
}

/** Asks for more than there is room for, from both sides, again where the answer is "try again". */
async function race(leave: () => void = () => undefined): Promise<number> {
  const all = await Promise.all(
    bookers.map(async (booker) => {
      let placed = 0;
      for (let asked = 0; asked < HOSTS; asked += 1) {
        if ((await askUntilAnswered(booker)).kind === 'placed') placed += 1;
      }
      leave();
      return placed;
    }),
  );
  return all.reduce((sum, placed) => sum + placed, 0);
}

async function askUntilAnswered(booker: Booker): Promise<PlaceResult> {
  for (;;) {
    try {
      return await booker.ask();
    } catch (error) {
      if (!hasCode(error, 'ledger_unavailable') && !hasCode(error, 'ledger_rebuilding'))
        throw error;
    }
  }
}

/** VMs that are recorded beyond the first of each host. */
async function doubleBookings(): Promise<number> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ count: string }>(
      `select coalesce(sum(n - 1), 0) as count
       from (select count(*) as n from allocations group by host_id) as per_host`,
    );
    return Number(rows[0]?.count);
  } finally {
    await client.end();
  }
}

const refused = (who: 'ledger' | 'catalogue'): number =>
  bookers
    .flatMap(({ refusals }) => [...refusals])
    .reduce((sum, [what, times]) => (what.startsWith(who) ? sum + times : sum), 0);

const NO_TRANSACTION = ['epoch', 'limits'] as const;
const WHOLE_SCRIPT = ['incarnation', 'fence', 'limits'] as const;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
beforeEach(async () => {
  databaseUrl = await freshDatabase();
  await redis.flushAll();
});
afterEach(async () => {
  // A test in which nothing was booked would show nothing.
  const booked = guards?.bookings();
  guards?.restore();
  await Promise.all(bookers.map((booker) => booker.close()));
  expect(booked).toBeGreaterThan(1);
});

describe('two schedulers that decide on the same picture', () => {
  async function raceWith(
    redisGuards: RedisGuards,
    without: readonly TransactionCheck[],
  ): Promise<number> {
    const meeting = new Meeting(2);
    await before(redisGuards, without, {
      beforeBooking: () => meeting.arrive(),
      onLockHeld: () => {
        meeting.goOn();
      },
    });
    return race(() => {
      meeting.leave();
    });
  }

  it('book twice when no guard is there', async () => {
    const placed = await raceWith({ lock: false, script: [] }, NO_TRANSACTION);
    expect(await doubleBookings()).toBeGreaterThan(0);
    expect(placed).toBeGreaterThan(HOSTS);
  });

  it('the lock alone: they come one after the other, and nothing is refused', async () => {
    expect(await raceWith({ lock: true, script: [] }, NO_TRANSACTION)).toBe(HOSTS);
    expect(await doubleBookings()).toBe(0);
    expect([refused('ledger'), refused('catalogue')]).toEqual([0, 0]);
  });

  it('the script alone: its limits refuse the second', async () => {
    expect(await raceWith({ lock: false, script: ['limits'] }, NO_TRANSACTION)).toBe(HOSTS);
    expect(await doubleBookings()).toBe(0);
    expect(refused('ledger')).toBeGreaterThan(0);
    expect(refused('catalogue')).toBe(0);
  });

  it('the transaction alone: its limits refuse the second', async () => {
    expect(await raceWith({ lock: false, script: [] }, [])).toBe(HOSTS);
    expect(await doubleBookings()).toBe(0);
    expect(refused('ledger')).toBe(0);
    expect(refused('catalogue')).toBeGreaterThan(0);
  });

  it('all three: the lock spares the others all work', async () => {
    expect(await raceWith({ lock: true, script: WHOLE_SCRIPT }, [])).toBe(HOSTS);
    expect(await doubleBookings()).toBe(0);
    expect([refused('ledger'), refused('catalogue')]).toEqual([0, 0]);
  });
});

describe('a holder of the lock that is paused beyond its lease', () => {
  /** Paused when all that it can check itself is checked; meanwhile the other books the same host. */
  async function pausedWith(script: RedisGuards['script']): Promise<Promise<PlaceResult>> {
    const hold = new Hold();
    const watch = { beforeBooking: () => hold.arrive() };
    await before({ lock: true, script }, NO_TRANSACTION, watch);
    const late = bookers[0].ask();
    late.catch(() => undefined);
    await hold.taken;
    expect(await bookers[1].ask()).toMatchObject({ kind: 'placed' });
    hold.letGo();
    return late;
  }

  it('books twice with the lock alone: safety does not rest on it', async () => {
    expect(await pausedWith([])).toMatchObject({ kind: 'placed' });
    expect(await doubleBookings()).toBe(1);
  });

  it('is refused by the fence of the script', async () => {
    await expect(pausedWith(['fence'])).rejects.toMatchObject({
      code: 'ledger_unavailable',
      internal: 'a later turn has begun',
    });
    expect(await doubleBookings()).toBe(0);
  });
});

describe('a decision on a ledger that was replaced meanwhile', () => {
  async function replacedWith(script: RedisGuards['script']): Promise<Promise<PlaceResult>> {
    const hold = new Hold();
    const watch = { beforeBooking: () => hold.arrive() };
    await before({ lock: false, script }, NO_TRANSACTION, watch);
    const late = bookers[0].ask();
    late.catch(() => undefined);
    await hold.taken;
    await redis.flushAll();
    await rebuild(
      bookers[1].ports,
      async () => ({ reason: 'empty', isBelieved: false }),
      silentLog,
    );
    expect(await bookers[1].ask()).toMatchObject({ kind: 'placed' });
    hold.letGo();
    return late;
  }

  it('books twice when nobody looks', async () => {
    expect(await replacedWith([])).toMatchObject({ kind: 'placed' });
    expect(await doubleBookings()).toBe(1);
  });

  it('is refused by the incarnation that the script checks', async () => {
    await expect(replacedWith(['incarnation'])).rejects.toMatchObject({
      code: 'ledger_rebuilding',
    });
    expect(await doubleBookings()).toBe(0);
  });
});

describe('a booking that Redis lost before it was recorded', () => {
  /** Between its two steps Redis is emptied and rebuilt, and the other books the same host. */
  async function lostWith(without: readonly TransactionCheck[]): Promise<PlaceResult> {
    const hold = new Hold();
    const change = ({ catalogue }: Ports): Partial<Ports> => ({
      catalogue: Object.assign(Object.create(catalogue) as typeof catalogue, {
        async record(...given: Parameters<typeof catalogue.record>) {
          await hold.arrive();
          return catalogue.record(...given);
        },
      }),
    });
    await before({ lock: true, script: WHOLE_SCRIPT }, without, {}, change);
    const late = bookers[0].ask();
    await hold.taken;
    await redis.flushAll();
    await rebuild(
      bookers[1].ports,
      async () => ({ reason: 'empty', isBelieved: false }),
      silentLog,
    );
    expect(await bookers[1].ask()).toMatchObject({ kind: 'placed' });
    hold.letGo();
    return late;
  }

  it('is a double booking when the catalogue believes the ledger', async () => {
    expect(await lostWith(['epoch', 'limits'])).toMatchObject({ kind: 'placed' });
    expect(await doubleBookings()).toBe(1);
  });

  it.each([
    { check: 'epoch', without: ['limits'], kind: 'catalogue stale_epoch' },
    { check: 'limits', without: ['epoch'], kind: 'catalogue over_limit' },
  ] as const)('is refused by the $check of the transaction alone', async ({ without, kind }) => {
    // Refused there, it is placed anew, on another host.
    expect(await lostWith(without)).toMatchObject({ kind: 'placed' });
    expect(await doubleBookings()).toBe(0);
    expect(bookers[0].refusals.get(kind)).toBe(1);
  });
});
