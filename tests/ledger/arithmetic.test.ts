/**
 * The room of a host is reckoned three times: by the filter in TypeScript, by reserve.lua in the
 * ledger, and in the catalogue. Here the first two, on random amounts up to the largest: whatever
 * the filter lets through at the same state the script books, and the reverse.
 */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { shortfalls } from '../../src/model/inventory.js';
import { createLedger } from '../../src/ledger/ledger.js';
import { AMOUNT_MAX } from '../../src/model/resources.js';
import { systemClock } from '../../src/std/clock.js';
import { silentLog } from '../support/log.js';
import { checkAsync } from '../support/properties.js';
import { startRedis, type RedisServer } from '../support/redis.js';
import {
  allocationOf,
  book,
  bookingOf,
  hostWith,
  rebuilt,
  snapshotOf,
  type TestLedger,
} from './builders.js';

const RUNS = 300;

let redis: RedisServer;
let ledger: TestLedger;
let epoch = 0;

beforeAll(async () => {
  redis = await startRedis();
  ledger = await createLedger({
    cell: 'test',
    url: redis.url,
    log: silentLog,
    clock: systemClock,
  });
});
afterAll(async () => {
  await ledger.close();
  await redis.stop();
});

/** Amounts near one another, so that a sum comes close to its limit from both sides. */
const near = (edge: number) =>
  fc.integer({ min: -2, max: 2 }).map((off) => Math.min(AMOUNT_MAX, Math.max(1, edge + off)));

const state = fc
  .record({
    limit: fc.oneof(
      fc.integer({ min: 1, max: 20 }),
      fc.maxSafeNat().map((n) => n + 1),
    ),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .chain(({ limit, share }) => {
    const max = Math.min(limit, AMOUNT_MAX);
    const used = Math.floor(max * share);
    return fc.record({
      limit: fc.constant(max),
      used: fc.constant(used),
      asked: fc.oneof(near(max - used), near(AMOUNT_MAX), near(1)),
    });
  });

it('the script books what the filter lets through, and nothing else', async () => {
  let booked = 0;
  let refused = 0;
  await checkAsync(
    fc.asyncProperty(state, async ({ limit, used, asked }) => {
      epoch += 1;
      const standing = used > 0 ? [allocationOf(bookingOf('old', 'a', { cpu: used }))] : [];
      await rebuilt(ledger, epoch, 0, snapshotOf([hostWith('a', { cpu: limit })], standing));
      const [kind] = await book(ledger, bookingOf('new', 'a', { cpu: asked }));
      const short = shortfalls({ cpu: limit }, { cpu: used }, { cpu: asked });
      expect(kind).toBe(short.length === 0 ? 'booked' : 'insufficient');
      if (kind === 'booked') booked += 1;
      else refused += 1;
      expect((await ledger.totals()).get('a')?.cpu ?? 0).toBe(
        kind === 'booked' ? used + asked : used,
      );
    }),
    RUNS,
  );
  // A comparison of one answer only would prove nothing.
  expect(Math.min(booked, refused)).toBeGreaterThan(RUNS / 10);
});
