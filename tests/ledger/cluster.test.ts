/** The ledger on a real Redis Cluster: the whole contract, and what is different there. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createLedger, type LedgerOptions } from '../../src/ledger/ledger.js';
import type { RedisTarget } from '../../src/ledger/redis-target.js';
import { systemClock } from '../../src/std/clock.js';
import { silentLog } from '../support/log.js';
import { startRedisCluster, type ClusterNode } from '../support/redis-sets.js';
import {
  book,
  bookedBy,
  bookingOf,
  hostWith,
  rebuilt,
  snapshotOf,
  untilAnswered,
  type TestLedger,
} from './builders.js';
import type { InspectedLedger } from './inspection-contract.js';
import { describeLedgerContract } from './ledger-contract.js';

let node: ClusterNode;
const opened: TestLedger[] = [];

async function open(
  target: RedisTarget = { cluster: [node.address] },
  more: Partial<LedgerOptions> = {},
): Promise<InspectedLedger> {
  const ledger = await createLedger({
    cell: 'test',
    url: target,
    log: silentLog,
    clock: systemClock,
    ...more,
  });
  opened.push(ledger);
  return ledger;
}

async function reset(): Promise<void> {
  await Promise.all(opened.splice(0).map((ledger) => ledger.close()));
  await node.server.flushAll();
}

beforeAll(async () => {
  node = await startRedisCluster();
}, 60_000);
afterAll(() => node.server.stop());

describeLedgerContract('redis cluster', () => ({ open: () => open(), reset }));

describe('redis cluster', () => {
  afterEach(reset);

  it('keeps all keys of a cell on one slot', async () => {
    const ledger = await open();
    const groups = [{ key: 'root/g', policy: 'affinity' as const }];
    await rebuilt(ledger, 1, 0, snapshotOf([hostWith('a', { cpu: 4 })]));
    await book(ledger, bookingOf('vm', 'a', { cpu: 1 }, 'first', { groups }));
    const raw = node.server.client();
    const keys = await raw.keys('*');
    expect(keys.length).toBeGreaterThan(6);
    const slots = await Promise.all(keys.map((key) => raw.cluster('KEYSLOT', key)));
    expect(new Set(slots).size).toBe(1);
  });

  it('notices a node that came back empty, and goes on after a rebuild', async () => {
    const ledger = await open();
    await rebuilt(ledger, 1, 0, snapshotOf([hostWith('a', { cpu: 4 })]));
    expect(await book(ledger, bookingOf('vm', 'a', { cpu: 3 }))).toEqual(['booked']);
    await node.server.restart('SIGKILL');
    const opening = untilAnswered(() => ledger.openTurn());
    await expect(opening).rejects.toMatchObject({ code: 'ledger_rebuilding' });
    expect((await untilAnswered(() => ledger.state())).incarnation).toBeNull();
    await rebuilt(ledger, 2, 9, snapshotOf([hostWith('a', { cpu: 4 })]));
    expect(await book(ledger, bookingOf('vm', 'a', { cpu: 3 }))).toEqual(['booked']);
    expect(await bookedBy(ledger)).toEqual({ a: { cpu: 3 } });
  }, 60_000);

  it('refuses to start when a node may throw keys away, and names it', async () => {
    const raw = node.server.client();
    await raw.config('SET', 'maxmemory-policy', 'allkeys-lru');
    try {
      await expect(open()).rejects.toThrow(
        new RegExp(`node 127.0.0.1:${node.address.port} has maxmemory-policy allkeys-lru`),
      );
    } finally {
      await raw.config('SET', 'maxmemory-policy', 'noeviction');
    }
  });

  it('that cannot be reached is refused with the reason', async () => {
    const elsewhere = { cluster: [{ host: '127.0.0.1', port: 9 }] };
    await expect(open(elsewhere, { readyLimitMs: 1_500 })).rejects.toMatchObject({
      code: 'ledger_unavailable',
      internal: 'no connection to Redis: Connection is closed.',
    });
  }, 30_000);
});
