/** When an agent joins, under a clock that the test turns. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { createJoiner, type Joiner } from '../../src/agent/join.js';
import type { Clock } from '../../src/model/ports.js';
import { silentLog } from '../support/log.js';
import { until } from './agent-fixture.js';

/** Time passes only in `advance`; `sleepers` tells how many wait for it. */
function handTurnedClock() {
  let time = 0;
  let waiting: { readonly at: number; readonly wake: () => void }[] = [];
  const clock: Clock = {
    now: () => time,
    monotonic: () => time,
    sleep: (ms, signal) =>
      new Promise((wake) => {
        waiting.push({ at: time + ms, wake });
        signal?.addEventListener('abort', () => {
          wake();
        });
      }),
  };
  return {
    clock,
    pausesMs: () => waiting.map(({ at }) => at - time),
    advance(ms: number) {
      time += ms;
      const due = waiting.filter(({ at }) => at <= time);
      waiting = waiting.filter(({ at }) => at > time);
      for (const { wake } of due) wake();
    },
  };
}

let server: Server;
let joiner: Joiner;
let joins: number;
let status: number;
let time: ReturnType<typeof handTurnedClock>;

beforeEach(async () => {
  joins = 0;
  status = 200;
  time = handTurnedClock();
  server = createServer((_request, response) => {
    joins += 1;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ id: 'host-1' }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  joiner = createJoiner({
    controlPlaneUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port.toString()}`,
    ownToken: `berth_host_${'t'.repeat(43)}`,
    isNew: true,
    joinToken: () => Promise.resolve(null),
    rejoinAfterMs: 90_000,
    backoff: { baseMs: 1_000, maxMs: 4_000 },
    clock: time.clock,
    log: silentLog,
    random: () => 0.5,
    body: () =>
      Promise.resolve({
        id: 'host-1',
        name: 'host-1',
        address: 'http://127.0.0.1:1',
        credential: 'c'.repeat(43),
        totals: {},
        agent: { version: '1', bootId: 'b' },
      }),
  });
});
afterEach(async () => {
  await joiner.stop();
  server.closeAllConnections();
  server.close();
});

/** The pause that the joiner has come to, after so many joins. */
const pauseAfter = (count: number) =>
  until(
    () => Promise.resolve(time.pausesMs()),
    (pauses) => joins === count && pauses.length === 1,
  );

it('joins again once nobody has polled for the whole period, and not before', async () => {
  joiner.start();
  expect(await pauseAfter(1)).toEqual([90_000]);
  time.advance(80_000);
  joiner.polled();
  time.advance(10_000);
  // Polled 10 s ago: 80 s more.
  expect(await pauseAfter(1)).toEqual([80_000]);
  time.advance(80_000);
  expect(await pauseAfter(2)).toEqual([90_000]);
});

it.each([
  [503, [500, 1_000, 2_000, 2_000]],
  [401, [500, 1_000, 2_000, 2_000]],
  [409, [500, 1_000, 2_000, 2_000]],
  [429, [500, 1_000, 2_000, 2_000]],
  [400, [4_000, 8_000, 16_000, 16_000]],
  [404, [4_000, 8_000, 16_000, 16_000]],
])('tries for ever, with growing pauses, when told %i', async (told, pauses) => {
  status = told;
  joiner.start();
  for (const [index, pauseMs] of pauses.entries()) {
    expect(await pauseAfter(index + 1)).toEqual([pauseMs]);
    time.advance(pauseMs);
  }
  await pauseAfter(pauses.length + 1);
  status = 200;
  time.advance(60_000);
  await joiner.joined;
});
