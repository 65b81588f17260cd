/**
 * Replies of Redis that are lost after the effect, each once: the caller hears that nobody knows,
 * says it again, and what is booked is as if the first reply had come.
 */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createLedger } from '../../src/ledger/ledger.js';
import { systemClock } from '../../src/std/clock.js';
import { silentLog } from '../support/log.js';
import { startRedis, type RedisServer } from '../support/redis.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import {
  allocationOf,
  book,
  bookedBy,
  bookedIn,
  bookingOf,
  factsWith,
  hostWith,
  propose,
  rebuilt,
  snapshotOf,
  untilAnswered,
  type TestLedger,
} from './builders.js';
import { ledgerPrefix } from '../support/ledger-in-place.js';

const UNAVAILABLE = { code: 'ledger_unavailable', retryAfterS: 1 };
const OLD = bookingOf('old', 'a', { cpu: 3 });
const NEW = bookingOf('new', 'a', { cpu: 4 });
const HOST = hostWith('a', { cpu: 10 });

let redis: RedisServer;
let proxy: TcpProxy;
let ledger: TestLedger;

const open = (url: string): Promise<TestLedger> =>
  createLedger({
    cell: 'test',
    url,
    log: silentLog,
    clock: systemClock,
    commandTimeoutMs: 300,
    lockLeaseMs: 600,
  });

beforeEach(async () => {
  redis = await startRedis();
  proxy = await TcpProxy.start({ port: Number(new URL(redis.url).port) });
  ledger = await open(`redis://127.0.0.1:${proxy.port}`);
  await rebuilt(ledger, 1, 0, snapshotOf([HOST]));
  // Redis knows the scripts by now, so that one command is the whole change.
  await book(ledger, OLD, bookingOf('gone', 'a', { cpu: 1 }));
  await ledger.commit([{ ...OLD, assignment: 1 }]);
  await ledger.release([bookingOf('gone', 'a', { cpu: 1 })]);
  await ledger.pushHosts([factsWith('a', { cpu: 10 }, { revision: 2 })]);
});
afterEach(async () => {
  await ledger.close();
  await proxy.stop();
  await redis.stop();
});

/** The state of a booking, and whether it counts as one that nobody has recorded. */
async function stateOf(vmId: string): Promise<{ state: string | null; reserved: boolean }> {
  const client = redis.client();
  const prefix = await ledgerPrefix(client, 'test');
  const [state, score] = await Promise.all([
    client.hget(`${prefix}vm:${vmId}`, 'state'),
    client.zscore(`${prefix}reserved`, vmId),
  ]);
  return { state, reserved: score !== null };
}

describe.each(['reset', 'hang'] as const)('a reply that is lost (%s)', (then) => {
  /** Calls, loses the reply to the command, and calls again until there is an answer. */
  async function losing<T>(to: RegExp, call: () => Promise<T>): Promise<T> {
    const lost = proxy.loseReply({ to, then });
    await expect(call()).rejects.toMatchObject(UNAVAILABLE);
    await lost;
    return untilAnswered(call);
  }

  it('of reserve: nobody is booked twice, and a repeat is told that it is booked', async () => {
    const turn = await ledger.openTurn();
    const lost = proxy.loseReply({ to: /evalsha/i, then });
    await expect(propose(turn, [NEW])).rejects.toMatchObject(UNAVAILABLE);
    await lost;
    await turn.end();
    expect(await untilAnswered(() => book(ledger, NEW))).toEqual(['booked']);
    const view = await untilAnswered(() => ledger.view());
    expect(bookedIn(view)).toEqual({ a: { cpu: 7 } });
    expect(await untilAnswered(() => bookedBy(ledger))).toEqual({ a: { cpu: 7 } });
  });

  it('of commit: it stays committed, whoever asks again', async () => {
    await book(ledger, NEW);
    expect(await losing(/evalsha/i, () => ledger.commit([{ ...NEW, assignment: 2 }]))).toEqual([]);
    expect(await stateOf('new')).toEqual({ state: 'committed', reserved: false });
  });

  it('of release: it gives back once', async () => {
    await book(ledger, NEW);
    await losing(/evalsha/i, () => ledger.release([NEW]));
    expect(await untilAnswered(() => bookedBy(ledger))).toEqual({ a: { cpu: 3 } });
    expect(await stateOf('new')).toEqual({ state: null, reserved: false });
  });

  it('of a pipeline of releases: those that were done are not done again', async () => {
    const all = ['v1', 'v2', 'v3'].map((vmId) => bookingOf(vmId, 'a', { cpu: 1 }));
    await book(ledger, ...all);
    await losing(/evalsha/i, () => ledger.release(all));
    expect(await untilAnswered(() => bookedBy(ledger))).toEqual({ a: { cpu: 3 } });
  });

  it('of set-host: the newer facts stand', async () => {
    await losing(/evalsha/i, () => ledger.pushHosts([factsWith('a', { cpu: 5 }, { revision: 3 })]));
    expect(await untilAnswered(() => book(ledger, NEW))).toEqual(['insufficient']);
    await untilAnswered(() => ledger.pushHosts([factsWith('a', { cpu: 10 }, { revision: 2 })]));
    expect(await untilAnswered(() => book(ledger, NEW))).toEqual(['insufficient']);
  });

  it('of the lock: the turn is not begun, and the next one waits for the lease only', async () => {
    const turn = await losing(/evalsha/i, () => ledger.openTurn());
    expect((await propose(turn, [NEW])).outcomes).toEqual([{ kind: 'booked' }]);
    await turn.end();
  });

  it('of the end of a turn: nobody is told, and the next one begins', async () => {
    const turn = await ledger.openTurn();
    const lost = proxy.loseReply({ to: /evalsha/i, then });
    await expect(turn.end()).resolves.toBeUndefined();
    await lost;
    expect(await untilAnswered(() => book(ledger, NEW))).toEqual(['booked']);
  });

  it('of reading the changes: the mirror is whole at the next turn', async () => {
    const other = await open(redis.url);
    await book(other, NEW);
    await other.close();
    const turn = await losing(/xrange|hincrby|multi/i, () => ledger.openTurn());
    expect(bookedIn(turn.fleet)).toEqual({ a: { cpu: 7 } });
    await turn.end();
  });
});

describe('a rebuild', () => {
  const snapshot = snapshotOf([HOST], [allocationOf(OLD)]);

  it('whose swap is not answered is made again under the next epoch, with equal books', async () => {
    await rebuilt(ledger, 2, 0, snapshot);
    const lost = proxy.loseReply({ to: /:log\b[^]*:stagings/ });
    await expect(rebuilt(ledger, 3, 0, snapshot)).rejects.toMatchObject(UNAVAILABLE);
    await lost;
    // It is in place, so the same one finds nothing to do.
    expect(await untilAnswered(() => rebuilt(ledger, 3, 0, snapshot))).toBeNull();
    expect(await untilAnswered(() => rebuilt(ledger, 4, 0, snapshot))).toEqual(expect.any(String));
    expect(await untilAnswered(() => book(ledger, NEW))).toEqual(['booked']);
    expect(await bookedBy(ledger)).toEqual({ a: { cpu: 7 } });
  });

  it('cut in the middle of its pipelines leaves the old ledger whole', async () => {
    const vms = Array.from({ length: 200 }, (_unused, index) =>
      allocationOf(bookingOf(`v${index}`, 'b', { cpu: 1 }), index + 1),
    );
    const large = snapshotOf([hostWith('b', { cpu: 1_000 })], vms);
    const lost = proxy.loseReply({ to: /v150/ });
    await expect(rebuilt(ledger, 2, 0, large)).rejects.toMatchObject(UNAVAILABLE);
    await lost;
    expect(await untilAnswered(() => bookedBy(ledger))).toEqual({ a: { cpu: 3 } });
    await untilAnswered(() => rebuilt(ledger, 2, 0, large));
    expect(await untilAnswered(() => bookedBy(ledger))).toEqual({ b: { cpu: 200 } });
  });
});
