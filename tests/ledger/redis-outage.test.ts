/** Redis that hangs, stops, comes back, or is not fit: what callers hear and what is true after. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { createLedger, type LedgerOptions } from '../../src/ledger/ledger.js';
import { systemClock } from '../../src/std/clock.js';
import { silentLog } from '../support/log.js';
import { startRedis, type RedisOptions, type RedisServer } from '../support/redis.js';
import {
  book,
  bookedBy,
  bookedIn,
  bookingOf,
  factsWith,
  hostWith,
  inTurn,
  propose,
  rebuilt,
  snapshotOf,
  untilAnswered,
  type TestLedger,
} from './builders.js';

const UNAVAILABLE = { code: 'ledger_unavailable', retryAfterS: 1 };

let redis: RedisServer;
const opened: TestLedger[] = [];

async function start(
  server: RedisOptions = {},
  options: Partial<LedgerOptions> = {},
): Promise<TestLedger> {
  redis = await startRedis(server);
  const ledger = await createLedger({
    cell: 'test',
    url: redis.url,
    log: silentLog,
    clock: systemClock,
    ...options,
  });
  opened.push(ledger);
  await rebuilt(ledger, 1, 0, snapshotOf([hostWith('a', { cpu: 10 })]));
  return ledger;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((ledger) => ledger.close()));
  await redis.stop();
});

describe('Redis away', () => {
  it('fails every call at once with the same code, and recovers by itself', async () => {
    const ledger = await start({ appendonly: true });
    const booking = bookingOf('v1', 'a', { cpu: 4 });
    await book(ledger, booking);
    await ledger.view();
    const turn = await ledger.openTurn();
    await redis.down();
    const calls = [
      ledger.state(),
      ledger.openTurn(),
      ledger.view(),
      ledger.totals(),
      ledger.overdueBookings(0, 1),
      ledger.commit([{ ...booking, assignment: 1 }]),
      ledger.release([booking]),
      ledger.pushHosts([factsWith('b', { cpu: 1 })]),
      turn.catchUp(),
      propose(turn, [bookingOf('v2', 'a', { cpu: 1 })]),
    ];
    for (const call of calls) await expect(call).rejects.toMatchObject(UNAVAILABLE);
    await turn.end();
    await redis.up();
    expect(await untilAnswered(() => bookedBy(ledger))).toEqual({ a: { cpu: 4 } });
    const v3 = bookingOf('v3', 'a', { cpu: 6 });
    expect(await untilAnswered(() => book(ledger, v3))).toEqual(['booked']);
    await ledger.release([booking]);
    expect(bookedIn(await ledger.view())).toEqual({ a: { cpu: 6 } });
  });

  it('that comes back empty is noticed, and works again after a rebuild', async () => {
    const ledger = await start();
    await book(ledger, bookingOf('vm', 'a', { cpu: 4 }));
    await redis.restart('SIGKILL');
    const opening = untilAnswered(() => ledger.openTurn());
    await expect(opening).rejects.toMatchObject({ code: 'ledger_rebuilding' });
    expect((await untilAnswered(() => ledger.state())).incarnation).toBeNull();
    expect(await rebuilt(ledger, 2, 9, snapshotOf([hostWith('a', { cpu: 10 })]))).toEqual(
      expect.any(String),
    );
    expect(await book(ledger, bookingOf('vm', 'a', { cpu: 4 }))).toEqual(['booked']);
  });
});

describe('Redis that hangs', () => {
  it('leaves a booking unknown, and the mirror learns what became of it', async () => {
    const ledger = await start({}, { commandTimeoutMs: 150, lockLeaseMs: 300 });
    // Redis knows the script by now, so that one command is the whole booking.
    await book(ledger, bookingOf('v0', 'a', { cpu: 1 }));
    const turn = await ledger.openTurn();
    process.kill(redis.pid, 'SIGSTOP');
    try {
      await expect(propose(turn, [bookingOf('v1', 'a', { cpu: 4 })])).rejects.toMatchObject(
        UNAVAILABLE,
      );
    } finally {
      process.kill(redis.pid, 'SIGCONT');
    }
    await turn.end();
    await untilAnswered(() => inTurn(ledger, () => Promise.resolve()));
    // Redis had the command in its hands and carried it out after the caller had given up.
    expect(await untilAnswered(() => bookedBy(ledger))).toEqual({ a: { cpu: 5 } });
    await inTurn(ledger, (later) => {
      expect(bookedIn(later.fleet)).toEqual({ a: { cpu: 5 } });
      return Promise.resolve();
    });
    expect(await book(ledger, bookingOf('v1', 'a', { cpu: 4 }))).toEqual(['booked']);
    expect(await bookedBy(ledger)).toEqual({ a: { cpu: 5 } });
  });
});

describe('a Redis that is not fit', () => {
  it('is refused when it may throw keys away, with the way to mend it', async () => {
    redis = await startRedis({ args: ['--maxmemory-policy', 'allkeys-lru'] });
    const options = { cell: 'test', url: redis.url, log: silentLog, clock: systemClock };
    await expect(createLedger(options)).rejects.toThrow(/allkeys-lru.*maxmemory-policy noeviction/);
  });
});
