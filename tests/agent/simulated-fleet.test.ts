/** Many simulated hosts in one process. */
import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { createSimulatedFleet } from '../../src/agent/simulated-fleet.js';
import { createAgents } from '../../src/fleet/native-client.js';
import { systemClock } from '../../src/std/clock.js';
import { silentLog } from '../support/log.js';
import { temporaryDir } from './agent-fixture.js';

let dataDir: string;
beforeEach(async () => {
  dataDir = await temporaryDir();
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const fleetOf = (count: number, seed = 'one') =>
  createSimulatedFleet({
    count,
    seed,
    dataDir,
    bind: '127.0.0.1',
    controlPlaneUrl: 'http://127.0.0.1:9',
    joinToken: () => Promise.resolve('token'),
    capacityPolicy: { overcommit: {}, reserve: {} },
    log: silentLog,
    clock: systemClock,
    random: Math.random,
  });

/** Names, ids and sizes of a fleet that runs for a moment. */
async function look(count: number, seed?: string) {
  const fleet = fleetOf(count, seed);
  const agents = createAgents({ log: silentLog });
  await fleet.start();
  const seen = await Promise.all(
    fleet.agents.map(async ({ name, hostId, address, credential }) => ({
      name,
      status: await agents.status({ hostId, address, ip: null, credential }),
    })),
  );
  await fleet.stop();
  await agents.close();
  return seen.map(({ name, status: { hostId, totals } }) => ({ name, hostId, totals }));
}

it('starts as many hosts as asked for, each its own, of different sizes', async () => {
  const hosts = await look(12);
  expect(hosts.map(({ name }) => name).slice(0, 3)).toEqual(['sim-01', 'sim-02', 'sim-03']);
  expect(new Set(hosts.map(({ hostId }) => hostId)).size).toBe(12);
  expect(new Set(hosts.map(({ totals }) => JSON.stringify(totals))).size).toBeGreaterThan(3);
  expect(hosts[0]?.totals).toEqual({
    cpu: { total: expect.any(Number), source: 'configured' },
    memory: { total: expect.any(Number), source: 'configured' },
    disk: { total: expect.any(Number), source: 'configured' },
  });
});

it('has the same hosts again, also when it grows', async () => {
  const before = await look(3);
  expect((await look(5)).slice(0, 3)).toEqual(before);
  expect((await look(3, 'two')).map(({ totals }) => totals)).not.toEqual(
    before.map(({ totals }) => totals),
  );
});
