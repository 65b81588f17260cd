/** The ledger on a real Redis: the common contract, and what only Redis can do to us. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { createLedger, type LedgerOptions } from '../../src/ledger/ledger.js';
import { systemClock } from '../../src/std/clock.js';
import { silentLog } from '../support/log.js';
import { startRedis, type RedisServer } from '../support/redis.js';
import {
  allocationOf,
  book,
  bookedBy,
  bookedIn,
  bookingOf,
  factsWith,
  hostWith,
  inGroup,
  inTurn,
  membersIn,
  propose,
  rebuilt,
  snapshotOf,
  type TestLedger,
} from './builders.js';
import type { InspectedLedger } from './inspection-contract.js';
import { describeLedgerContract } from './ledger-contract.js';
import { ledgerPrefix } from '../support/ledger-in-place.js';

const PREFIX = 'berth:{test}:';
const META = `${PREFIX}ledger`;
const LOCK = `${PREFIX}lock:placement`;

const REBUILDING = { code: 'ledger_rebuilding', retryAfterS: 1 };
const UNAVAILABLE = { code: 'ledger_unavailable', retryAfterS: 1 };

let redis: RedisServer;
let raw: Redis;
const opened: TestLedger[] = [];

async function open(options: Partial<LedgerOptions> = {}): Promise<InspectedLedger> {
  const ledger = await createLedger({
    cell: 'test',
    url: redis.url,
    log: silentLog,
    clock: systemClock,
    ...options,
  });
  opened.push(ledger);
  return ledger;
}

async function reset(): Promise<void> {
  await Promise.all(opened.splice(0).map((ledger) => ledger.close()));
  await redis.flushAll();
}

beforeAll(async () => {
  redis = await startRedis();
  raw = redis.client();
});
afterAll(() => redis.stop());

describeLedgerContract('redis', () => ({ open, reset }));

describe('redis: what may happen to it', () => {
  let ledger: TestLedger;

  beforeEach(async () => {
    ledger = await open();
    await rebuilt(
      ledger,
      1,
      0,
      snapshotOf([hostWith('a', { cpu: 10 }), hostWith('b', { cpu: 10 })]),
    );
  });
  afterEach(reset);

  /** Takes the lock away from its holder, as the end of a lease does while the holder is paused. */
  const stealLock = () => raw.del(LOCK);

  describe('the lock', () => {
    it('fences a turn whose lock went to another', async () => {
      const other = await open();
      const stale = await ledger.openTurn();
      await stealLock();
      await inTurn(other, (turn) => propose(turn, [bookingOf('v1', 'a', { cpu: 3 })]));
      await expect(propose(stale, [bookingOf('v2', 'b', { cpu: 3 })])).rejects.toMatchObject({
        ...UNAVAILABLE,
        internal: 'a later turn has begun',
      });
      await stale.end();
      expect(await bookedBy(ledger)).toEqual({ a: { cpu: 3 }, b: {} });
      // The proposal that was fenced off is gone from the mirror too.
      await inTurn(ledger, (turn) => {
        expect(bookedIn(turn.fleet)).toEqual({ a: { cpu: 3 }, b: {} });
        return Promise.resolve();
      });
    });

    it('ends a turn of the same process that a later one has overtaken', async () => {
      const stale = await ledger.openTurn();
      stale.fleet.book(stale.fleet.rowOf('a'), { cpu: 9 });
      await stealLock();
      await inTurn(ledger, async (turn) => {
        expect(bookedIn(turn.fleet)).toEqual({ a: {}, b: {} });
        await expect(stale.book([bookingOf('vm', 'a', { cpu: 9 })])).rejects.toMatchObject({
          ...UNAVAILABLE,
          internal: 'the turn is over',
        });
      });
    });

    it('is extended when half of the lease is over, and refuses when it has run out', async () => {
      let aheadMs = 0;
      const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs };
      const leaseMs = 20_000;
      const paused = await open({ clock, lockLeaseMs: leaseMs });
      const turn = await paused.openTurn();
      await raw.pexpire(LOCK, 1_000_000);
      await turn.catchUp();
      expect(await raw.pttl(LOCK)).toBeGreaterThan(leaseMs);
      aheadMs = leaseMs / 2 + 1;
      await turn.catchUp();
      expect(await raw.pttl(LOCK)).toBeLessThanOrEqual(leaseMs);
      aheadMs = leaseMs * 2;
      const late = { ...UNAVAILABLE, internal: 'the lock lease has run out' };
      await expect(turn.book([bookingOf('vm', 'a', { cpu: 1 })])).rejects.toMatchObject(late);
      await expect(turn.catchUp()).rejects.toMatchObject(late);
      expect(await bookedBy(ledger)).toEqual({ a: {}, b: {} });
    });

    it('is lost when another took it before it was extended', async () => {
      let aheadMs = 0;
      const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs };
      const paused = await open({ clock, lockLeaseMs: 20_000 });
      const turn = await paused.openTurn();
      await raw.set(LOCK, 'another', 'PX', 60_000);
      aheadMs = 11_000;
      await expect(turn.catchUp()).rejects.toMatchObject(UNAVAILABLE);
      await turn.end();
      expect(await raw.get(LOCK)).toBe('another');
    });
  });

  describe('an empty, foreign or rolled-back Redis', () => {
    it('never reads as an empty fleet', async () => {
      const turn = await ledger.openTurn();
      await ledger.view();
      await redis.flushAll();
      await expect(propose(turn, [bookingOf('vm', 'a', { cpu: 1 })])).rejects.toMatchObject(
        REBUILDING,
      );
      await expect(turn.catchUp()).rejects.toMatchObject(REBUILDING);
      await expect(ledger.view()).rejects.toMatchObject(REBUILDING);
      await expect(ledger.openTurn()).rejects.toMatchObject(REBUILDING);
      expect((await ledger.state()).incarnation).toBeNull();
      await ledger.release([bookingOf('vm', 'a', { cpu: 1 })]);
      await ledger.pushHosts([factsWith('a', { cpu: 1 })]);
      expect(await raw.keys(`${PREFIX}*:{host,vm}*`)).toEqual([]);

      await rebuilt(ledger, 2, 30, snapshotOf([hostWith('a', { cpu: 10 })]));
      expect(await book(ledger, bookingOf('vm', 'a', { cpu: 1 }))).toEqual(['booked']);
      expect(await ledger.state()).toMatchObject({ epoch: 2, seq: 32 });
    });

    it('refuses an incarnation that the mirror was not read from', async () => {
      const turn = await ledger.openTurn();
      await raw.hset(META, 'incarnation', 'foreign');
      await expect(propose(turn, [bookingOf('vm', 'a', { cpu: 1 })])).rejects.toMatchObject(
        REBUILDING,
      );
      expect(await raw.keys(`${PREFIX}*:vm:vm`)).toEqual([]);
    });

    it('refuses to book when the sequence number went back, until a rebuild', async () => {
      await book(ledger, bookingOf('v1', 'a', { cpu: 1 }));
      const turn = await ledger.openTurn();
      await raw.hincrby(META, 'seq', -1);
      await expect(propose(turn, [bookingOf('v2', 'a', { cpu: 1 })])).rejects.toMatchObject(
        REBUILDING,
      );
      await turn.end();
      // The number may catch up again; what was lost stays lost.
      await raw.hincrby(META, 'seq', 5);
      expect((await ledger.state()).incarnation).toBeNull();
      await expect(ledger.view()).rejects.toMatchObject(REBUILDING);
      await expect(ledger.openTurn()).rejects.toMatchObject(REBUILDING);
      await rebuilt(ledger, 2, 0, snapshotOf([hostWith('a', { cpu: 10 })]));
      expect((await ledger.state()).incarnation).not.toBeNull();
      expect(await book(ledger, bookingOf('v2', 'a', { cpu: 1 }))).toEqual(['booked']);
    });

    it('notices by asking for the state alone', async () => {
      await book(ledger, bookingOf('v1', 'a', { cpu: 1 }));
      await raw.hincrby(META, 'seq', -1);
      expect((await ledger.state()).incarnation).toBeNull();
    });

    it('notices when a turn or a view catches up', async () => {
      await book(ledger, bookingOf('v1', 'a', { cpu: 1 }));
      await raw.hincrby(META, 'seq', -1);
      await expect(ledger.openTurn()).rejects.toMatchObject(REBUILDING);
      await expect(ledger.view()).rejects.toMatchObject(REBUILDING);
    });

    it('notices in the stream that a sequence number is used twice', async () => {
      await ledger.view();
      await book(ledger, bookingOf('v1', 'a', { cpu: 1 }));
      await ledger.view();
      // Another replica, which has not seen the lost change, books in its place.
      await raw.hincrby(META, 'seq', -1);
      const newcomer = await open();
      await book(newcomer, bookingOf('v2', 'b', { cpu: 1 }));
      await expect(ledger.view()).rejects.toMatchObject(REBUILDING);
    });
  });

  describe('the change stream', () => {
    it('is read from the start again by a mirror that fell off its end', async () => {
      const busy = await open({ logLengthMax: 10 });
      await ledger.view();
      await inTurn(ledger, () => Promise.resolve());
      // Told by the first entry only, which will be gone.
      await book(busy, bookingOf('first', 'b', { cpu: 7 }));
      const count = 400;
      for (let round = 0; round < count / 20; round += 1) {
        const bookings = Array.from({ length: 20 }, (_, index) =>
          bookingOf(`v${(round * 20 + index).toString()}`, 'a', { cpu: 0 }),
        );
        await book(busy, ...bookings);
        await busy.release(bookings);
      }
      expect(await raw.xlen(`${PREFIX}log`)).toBeLessThan(count);
      expect(bookedIn(await ledger.view())).toEqual({ a: {}, b: { cpu: 7 } });
      await inTurn(ledger, (turn) => {
        expect(bookedIn(turn.fleet)).toEqual({ a: {}, b: { cpu: 7 } });
        return Promise.resolve();
      });
    });

    it('may vanish without harm', async () => {
      await ledger.view();
      await book(ledger, bookingOf('v1', 'a', { cpu: 4 }));
      await raw.del(`${PREFIX}log`);
      expect(bookedIn(await ledger.view())).toEqual({ a: { cpu: 4 }, b: {} });
      await book(ledger, bookingOf('v2', 'b', { cpu: 4 }));
      expect(bookedIn(await ledger.view())).toEqual({ a: { cpu: 4 }, b: { cpu: 4 } });
    });

    it('brings what others changed between reading and booking', async () => {
      const other = await open();
      await book(other, bookingOf('v0', 'b', { cpu: 5 }));
      await inTurn(ledger, async (turn) => {
        await other.release([bookingOf('v0', 'b', { cpu: 5 })]);
        await other.pushHosts([factsWith('c', { cpu: 1 })]);
        await propose(turn, [bookingOf('v1', 'a', { cpu: 2 })]);
        expect(bookedIn(turn.fleet)).toMatchObject({ a: { cpu: 2 }, b: { cpu: 5 } });
        await turn.catchUp();
        expect(bookedIn(turn.fleet)).toEqual({ a: { cpu: 2 }, b: {}, c: {} });
      });
    });
  });

  describe('rebuild', () => {
    it('runs beside live bookings and releases and leaves sums that add up', async () => {
      const other = await open();
      const apart = { groups: [inGroup('anti-affinity')] };
      const standing = allocationOf(bookingOf('kept', 'a', { cpu: 1 }, 'kept', apart));
      const hosts = ['a', 'b'].map((id) => hostWith(id, { cpu: 10 }));
      let stop = false;
      const worker = async (replica: TestLedger, name: string) => {
        for (let index = 0; !stop; index += 1) {
          const booking = bookingOf(`${name}-${index.toString()}`, index % 2 ? 'a' : 'b', {
            cpu: 1,
          });
          try {
            await book(replica, booking);
            if (index % 3 > 0) await replica.release([booking]);
          } catch (error) {
            expect(error).toMatchObject(REBUILDING);
          }
        }
      };
      const workers = [worker(ledger, 'x'), worker(other, 'y')];
      const views: unknown[] = [];
      for (let epoch = 2; epoch < 12; epoch += 1) {
        await rebuilt(ledger, epoch, 0, snapshotOf(hosts, [standing]));
        views.push(bookedIn(await other.view()));
      }
      stop = true;
      await Promise.all(workers);
      expect(views).toHaveLength(10);
      expect(await bookedBy(ledger)).toEqual(await sumsOfAllocations());
      expect(bookedIn(await other.view())).toEqual(await sumsOfAllocations());
      expect(await raw.hget(`${await inPlace()}vm:kept`, 'state')).toBe('committed');
      expect(membersIn(await other.view(), 'g')).toEqual({ g: { a: [1, 1] } });
      expect(await ledgersLeft()).toBe(1);
    });

    it('fails cleanly when Redis is emptied while it is under way', async () => {
      const part = { hosts: [factsWith('a', { cpu: 1 })], gone: [], allocations: [] };
      await ledger.stage('half', 1, part);
      await raw.flushall();
      await expect(ledger.stage('half', 2, part)).rejects.toMatchObject(REBUILDING);
      await expect(ledger.swap('half', { epoch: 2, highWater: 0, parts: 2 })).rejects.toMatchObject(
        REBUILDING,
      );
      expect((await ledger.state()).incarnation).toBeNull();
      const again = Array.from({ length: 3_000 }, (_, at) => hostWith(`h${at}`, { cpu: 1 }));
      expect(await rebuilt(ledger, 3, 0, snapshotOf(again))).toEqual(expect.any(String));
      expect((await ledger.view()).size).toBe(3_000);
      expect(await ledgersLeft()).toBe(1);
    });

    it('takes no part twice, and none that another is missing before', async () => {
      const part = { hosts: [factsWith('a', { cpu: 1 })], gone: [], allocations: [] };
      await ledger.stage('new', 1, part);
      await expect(ledger.stage('new', 1, part)).rejects.toMatchObject(REBUILDING);
      await expect(ledger.stage('new', 3, part)).rejects.toMatchObject(REBUILDING);
      await ledger.stage('new', 2, part);
      await expect(ledger.swap('new', { epoch: 2, highWater: 0, parts: 3 })).rejects.toMatchObject(
        REBUILDING,
      );
      expect(await ledger.swap('new', { epoch: 2, highWater: 0, parts: 2 })).toBe(true);
    });

    it('clears away what was replaced, and what was not finished when nobody is at it', async () => {
      await book(ledger, bookingOf('vm', 'a', { cpu: 1 }, 'vm', { groups: [inGroup('affinity')] }));
      const part = { hosts: [factsWith('a', { cpu: 1 })], gone: [], allocations: [] };
      await ledger.stage('left', 1, part);
      await ledger.stage('new', 1, part);
      await ledger.swap('new', { epoch: 2, highWater: 0, parts: 1 });
      expect(await ledgersLeft()).toBe(3);
      await ledger.clearAway(60_000);
      expect(await ledgersLeft()).toBe(2);
      expect(await ledger.stage('left', 2, part)).toBe(0);
      await ledger.clearAway(-60_000);
      expect(await ledgersLeft()).toBe(1);
      await expect(ledger.stage('left', 3, part)).rejects.toMatchObject(REBUILDING);
      expect(await bookedBy(ledger)).toEqual({ a: {} });
      expect(await raw.zcard(`${PREFIX}stagings`)).toBe(0);
    });

    it('keeps the fence and never lets the sequence number go back', async () => {
      await book(ledger, bookingOf('vm', 'a', { cpu: 1 }));
      const before = await raw.hgetall(META);
      await rebuilt(ledger, 2, 0, snapshotOf([hostWith('a', { cpu: 10 })]));
      const after = await raw.hgetall(META);
      expect(after.fence).toBe(before.fence);
      expect(Number(after.seq)).toBe(Number(before.seq) + 1);
      expect(after.incarnation).not.toBe(before.incarnation);
      expect(await raw.keys(`${PREFIX}*:{reserved,vm:vm,host:b}`)).toEqual([]);
    });
  });

  describe('allocations', () => {
    it('are kept with all that a rebuild and an operator want to know', async () => {
      const booking = bookingOf('vm', 'a', { cpu: 2, gpu: 0 });
      await book(ledger, booking);
      expect(await raw.hgetall(`${await inPlace()}vm:vm`)).toEqual({
        host: 'a',
        amounts: '{"cpu":2}',
        path: 'root',
        state: 'reserved',
        at: expect.stringMatching(/^\d{13}$/),
        booking: booking.bookingId,
      });
      await ledger.commit([{ ...booking, assignment: 12 }]);
      expect(await raw.hgetall(`${await inPlace()}vm:vm`)).toMatchObject({
        state: 'committed',
        assignment: '12',
      });
    });

    it('are kept with their groups, and with what they took the place of until that is certain', async () => {
      const held = bookingOf('rsv-1', 'b', { cpu: 1 });
      const groups = [inGroup('anti-affinity'), inGroup('soft-affinity', 'near')];
      const heir = bookingOf('vm', 'a', { cpu: 1 }, 'heir', { groups, frees: [held] });
      await book(ledger, held);
      await book(ledger, heir);
      const hash = await raw.hgetall(`${await inPlace()}vm:vm`);
      expect(JSON.parse(hash.groups ?? '')).toEqual(groups);
      expect(JSON.parse(hash.frees ?? '')).toMatchObject([{ vmId: 'rsv-1', host: 'b' }]);
      expect(await raw.hgetall(`${await inPlace()}group:root/g`)).toEqual({ a: '1 1' });
      expect(await raw.hgetall(`${await inPlace()}group:root/near`)).toEqual({ a: '1 0' });
      expect((await raw.smembers(`${await inPlace()}groups`)).sort()).toEqual([
        'root/g',
        'root/near',
      ]);
      await ledger.commit([{ ...heir, assignment: 3 }]);
      expect(await raw.hexists(`${await inPlace()}vm:vm`, 'frees')).toBe(0);
      await ledger.release([heir]);
      expect(await raw.keys(`${await inPlace()}group*`)).toEqual([]);
      expect(await raw.keys(`${await inPlace()}vm*`)).toEqual([]);
    });

    it('never bring a sum below nothing, whatever was done to it by hand', async () => {
      const booking = bookingOf('vm', 'a', { cpu: 3 });
      await book(ledger, booking);
      await raw.hset(`${await inPlace()}host:a`, 'used:cpu', 1);
      await ledger.release([booking]);
      expect(await raw.hget(`${await inPlace()}host:a`, 'used:cpu')).toBe('0');
    });

    it('that are gone leave no lease behind', async () => {
      await book(ledger, bookingOf('v1', 'a', { cpu: 1 }), bookingOf('v2', 'a', { cpu: 1 }));
      await raw.del(`${await inPlace()}vm:v1`);
      const overdue = await ledger.overdueBookings(-60_000, 10);
      expect(overdue.map(({ vmId }) => vmId)).toEqual(['v2']);
      expect(await raw.zrange(`${await inPlace()}reserved`, 0, '-1')).toEqual(['v2']);
    });
  });

  it('finds its scripts again when Redis has forgotten them', async () => {
    const bookings = ['v1', 'v2', 'v3'].map((id) => bookingOf(id, 'a', { cpu: 1 }));
    await raw.script('FLUSH');
    expect(await book(ledger, ...bookings)).toEqual(['booked', 'booked', 'booked']);
    await raw.script('FLUSH');
    await ledger.release(bookings);
    expect(await bookedBy(ledger)).toEqual({ a: {}, b: {} });
  });

  const inPlace = () => ledgerPrefix(raw, 'test');

  /** Ledgers of which there is anything, in place or not. */
  async function ledgersLeft(): Promise<number> {
    const keys = await raw.keys(`${PREFIX}*:*`);
    const names = keys.map((key) => key.slice(PREFIX.length).split(':')[0]);
    return new Set(names.filter((name) => name !== 'lock')).size;
  }

  async function sumsOfAllocations(): Promise<Record<string, { cpu?: number }>> {
    const sums: Record<string, { cpu?: number }> = { a: {}, b: {} };
    for (const key of await raw.keys(`${await inPlace()}vm:*`)) {
      const { host = '', amounts = '{}' } = await raw.hgetall(key);
      const { cpu } = JSON.parse(amounts) as { cpu: number };
      sums[host] = { cpu: (sums[host]?.cpu ?? 0) + cpu };
    }
    return sums;
  }
});
