/** The ledger behind real Sentinels: starts, and failovers that lose nothing unnoticed. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { connect, disconnect, untilReady } from '../../src/ledger/connection.js';
import { createLedger, type LedgerOptions } from '../../src/ledger/ledger.js';
import type { RedisTarget } from '../../src/ledger/redis-target.js';
import { systemClock } from '../../src/std/clock.js';
import { silentLog } from '../support/log.js';
import { portOf, startSentinelSet, type SentinelSet } from '../support/redis-sets.js';
import {
  book,
  bookedBy,
  bookingOf,
  codeOf,
  hostWith,
  rebuilt,
  snapshotOf,
  untilAnswered,
  type TestLedger,
} from './builders.js';
import { ledgerPrefix } from '../support/ledger-in-place.js';

/** Of ioredis, out of reach: it is what its listener to the Sentinels disconnects at their word. */
interface Connector {
  readonly failoverDetector: { readonly isDisconnected: boolean } | null;
  disconnect(): void;
}

let set: SentinelSet;
const opened: TestLedger[] = [];

async function open(
  target: RedisTarget = set.target,
  more: Partial<LedgerOptions> = {},
): Promise<TestLedger> {
  const ledger = await createLedger({
    cell: 'test',
    url: target,
    log: silentLog,
    clock: systemClock,
    commandTimeoutMs: 400,
    ...more,
  });
  opened.push(ledger);
  return ledger;
}

const close = () => Promise.all(opened.splice(0).map((ledger) => ledger.close()));

/** @returns `booked`, or the code of the refusal */
const bookWhenAnswered = (ledger: TestLedger, vmId: string): Promise<string> =>
  untilAnswered(async () => {
    try {
      const [outcome = ''] = await book(ledger, bookingOf(vmId, 'a', { cpu: 1 }));
      return outcome;
    } catch (error) {
      const code = codeOf(error);
      if (code === 'ledger_rebuilding') return code;
      throw error;
    }
  });

const bookedWhenAnswered = (ledger: TestLedger) => untilAnswered(() => bookedBy(ledger));

/** Until the replica has all that the master was told. */
async function replicated(): Promise<void> {
  expect(await set.master.client().call('WAIT', '1', '5000')).toBe(1);
}

/** Connections for the lock, as the master numbers them. */
async function lockersOf(): Promise<string[]> {
  const lines = String(await set.master.client().client('LIST')).split('\n');
  return lines
    .filter((line) => line.includes('name=berth-lock'))
    .map((line) => line.split(' ')[0] ?? '');
}

describe('behind Sentinels', () => {
  beforeAll(async () => {
    set = await startSentinelSet();
  }, 180_000);
  afterAll(() => set.stop());
  afterEach(close);

  it('a failover that is told of while a connection is being made does not end it for good', async () => {
    const client = connect(set.target, { name: 'test', commandTimeoutMs: 1_000, log: silentLog });
    const { connector } = client as unknown as { readonly connector: Connector };
    const listens = async () => {
      while (connector.failoverDetector?.isDisconnected !== false) await systemClock.sleep(20);
    };
    await untilReady(client, 30_000);
    await listens();
    const ended = new Promise((resolve) => client.once('end', resolve));
    client.once('connecting', () => {
      connector.disconnect();
    });
    client.disconnect(true);
    await ended;
    await untilReady(client, 30_000);
    expect(await client.ping()).toBe('PONG');
    await listens();
    await disconnect(client);
  }, 90_000);

  it('a start is refused when the replica may throw keys away, and says which one', async () => {
    const replica = set.replica.client();
    await replica.config('SET', 'maxmemory-policy', 'volatile-lru');
    await expect(open()).rejects.toThrow(
      new RegExp(`node 127.0.0.1:${portOf(set.replica)} has maxmemory-policy volatile-lru`),
    );
    await replica.config('SET', 'maxmemory-policy', 'noeviction');
    await expect(open()).resolves.toBeDefined();
  }, 30_000);

  it('a start says when the Sentinels know no such master', async () => {
    const nobody = { ...set.target, name: 'nobody' };
    await expect(open(nobody, { readyLimitMs: 1_500 })).rejects.toMatchObject({
      code: 'ledger_unavailable',
      internal: expect.stringContaining('No such master with that name') as unknown,
    });
  }, 30_000);

  it('a master without replicas books nothing where it must not, and is left for the present one', async () => {
    const ledger = await open();
    await rebuilt(ledger, 1, 0, snapshotOf([hostWith('a', { cpu: 10 })]));
    await replicated();
    const before = await lockersOf();
    await set.master.client().config('SET', 'min-replicas-to-write', '1');
    await set.replica.down();
    await expect(book(ledger, bookingOf('v1', 'a', { cpu: 1 }))).rejects.toMatchObject({
      code: 'ledger_unavailable',
    });
    await set.replica.up();
    expect(await bookWhenAnswered(ledger, 'v1')).toBe('booked');
    expect(await bookedWhenAnswered(ledger)).toEqual({ a: { cpu: 1 } });
    await set.master.client().config('SET', 'min-replicas-to-write', '0');
    expect(await lockersOf()).not.toEqual(before);
  }, 180_000);
});

describe('a failover', () => {
  let ledger: TestLedger;
  beforeEach(async () => {
    set = await startSentinelSet();
    ledger = await open();
    await rebuilt(ledger, 1, 0, snapshotOf([hostWith('a', { cpu: 10 })]));
    expect(await bookWhenAnswered(ledger, 'v1')).toBe('booked');
    await replicated();
  }, 180_000);
  afterEach(async () => {
    await close();
    await set.stop();
  });

  it('after a crash is survived: what was replicated stands, and booking goes on', async () => {
    await set.master.down('SIGKILL');
    expect(await bookWhenAnswered(ledger, 'v2')).toBe('booked');
    await set.untilMaster(set.replica);
    expect(await bookedWhenAnswered(ledger)).toEqual({ a: { cpu: 2 } });
    expect(await bookWhenAnswered(await open(), 'v1')).toBe('booked');
    expect(await bookedWhenAnswered(ledger)).toEqual({ a: { cpu: 2 } });
  }, 180_000);

  it('that loses writes is noticed: nothing is booked before a rebuild', async () => {
    // The replica is cut off before the next write, and does not hear of it.
    process.kill(set.replica.pid, 'SIGSTOP');
    await set.master.client().call('CLIENT', 'KILL', 'TYPE', 'replica');
    expect(await bookWhenAnswered(ledger, 'lost')).toBe('booked');
    const { seq } = await ledger.state();
    await set.master.down('SIGKILL');
    process.kill(set.replica.pid, 'SIGCONT');
    await set.untilMaster(set.replica);

    expect(await bookWhenAnswered(ledger, 'v2')).toBe('ledger_rebuilding');
    expect((await untilAnswered(() => ledger.state())).incarnation).toBeNull();
    const snapshot = snapshotOf([hostWith('a', { cpu: 10 })]);
    expect(await untilAnswered(() => rebuilt(ledger, 2, seq, snapshot))).toEqual(
      expect.any(String),
    );
    expect((await untilAnswered(() => ledger.state())).seq).toBeGreaterThan(seq);
    expect(await bookWhenAnswered(ledger, 'v2')).toBe('booked');
  }, 180_000);

  it('while the master hangs is followed, and the master is not believed when it wakes up', async () => {
    process.kill(set.master.pid, 'SIGSTOP');
    try {
      expect(await bookWhenAnswered(ledger, 'v2')).toBe('booked');
      await set.untilMaster(set.replica);
    } finally {
      process.kill(set.master.pid, 'SIGCONT');
    }
    for (const vmId of ['v3', 'v4', 'v5'])
      expect(await bookWhenAnswered(ledger, vmId)).toBe('booked');
    expect(await bookedWhenAnswered(ledger)).toEqual({ a: { cpu: 5 } });
    const replica = set.replica.client();
    const used = await replica.hget(`${await ledgerPrefix(replica, 'test')}host:a`, 'used:cpu');
    expect(used).toBe('5');
  }, 180_000);
});
