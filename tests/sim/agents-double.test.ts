/** The agents' double is held to the contract of the real client and agent. */
import { afterAll, beforeAll } from '@jest/globals';
import { NOBODY_WATCHES, SimFleet, SimHost } from '../../src/sim/agents-double.js';
import { directly } from '../../src/sim/link.js';
import { VirtualClock } from '../../src/sim/virtual-clock.js';
import { describeAgents } from '../fleet/agents-contract.js';

const clock = new VirtualClock();
let isOver = false;

beforeAll(() => {
  void (async () => {
    while (!isOver) await clock.step();
  })();
});
afterAll(() => {
  isOver = true;
});

describeAgents('double', async () => {
  const spec = {
    id: 'host-1',
    totals: { cpu: 4, memory: 4_096 },
    bootMs: 500,
    stopMs: 100,
    failsCreate: () => false,
    refusesClaim: () => false,
  };
  const host = new SimHost(spec, clock, { overcommit: {}, reserve: {} }, NOBODY_WATCHES);
  const fleet = new SimFleet();
  fleet.add(host);
  const contact = { hostId: 'host-1', address: 'http://host-1', ip: null, credential: 'secret' };
  return {
    agents: fleet.agents(async (site, effect) => {
      const result = await directly(site, effect);
      await clock.sleep(1);
      return result;
    }),
    contact,
    small: { cpu: 1, memory: 1_024 },
    room: 4,
    async reach(vmId, state) {
      while (host.vms.get(vmId)?.state !== state) await clock.sleep(1);
    },
    close: () => Promise.resolve(),
  };
});
