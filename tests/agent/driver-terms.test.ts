/** What a driver cannot give is neither offered nor granted. Method: a pretended driver with those terms. */
import { expect, it } from '@jest/globals';
import { createSimulatedDriver } from '../../src/agent/drivers/simulated.js';
import type { Driver } from '../../src/agent/drivers/driver.js';
import { systemClock } from '../../src/std/clock.js';
import { ROOM_FOR_SEVEN, SMALL, startFixture, type AgentFixture } from './agent-fixture.js';

/** The agent of a machine with two GPUs. */
const startWith = (terms: Partial<Driver>): Promise<AgentFixture> =>
  startFixture(undefined, {
    driver: Object.assign(createSimulatedDriver({ clock: systemClock }), terms),
    configuredTotals: { ...ROOM_FOR_SEVEN, gpu: 2 },
  });

const order = (resources: Readonly<Record<string, number>>, extra: object = {}) => ({
  ...{ assignment: 1, name: 'x', image: null },
  resources,
  ...extra,
});

const totalsOf = async (fixture: AgentFixture): Promise<unknown> =>
  (await fixture.call('GET', '/v1/status')).body.totals;

it('GPUs that a driver hands to no VM are not offered, and refused whatever the operator says', async () => {
  const fixture = await startWith({ withheld: ['gpu'] });
  try {
    expect(await totalsOf(fixture)).not.toHaveProperty('gpu');
    const overrides = { totals: { gpu: 4 } };
    const body = order({ ...SMALL, gpu: 1 }, { overrides });
    const refused = await fixture.call('PUT', '/v1/vms/a', body);
    expect(refused.body).toMatchObject({
      code: 'claim_refused',
      shortfalls: [{ resource: 'gpu', requested: 1, available: 0, limit: 0 }],
    });
    expect((await fixture.call('PUT', '/v1/vms/b', order(SMALL))).status).toBeLessThan(300);
  } finally {
    await fixture.close();
  }
});

it('memory that a driver never plugs in is not charged for: the order is refused', async () => {
  const fixture = await startWith({ hotplugs: false });
  try {
    expect(await totalsOf(fixture)).toHaveProperty('gpu');
    const refused = await fixture.call('PUT', '/v1/vms/a', order(SMALL, { hotplugMib: 1 }));
    expect(refused.body).toMatchObject({
      code: 'invalid_request',
      errors: [{ field: 'hotplugMib' }],
    });
    const granted = await fixture.call('PUT', '/v1/vms/a', order(SMALL, { hotplugMib: 0 }));
    expect(granted.status).toBeLessThan(300);
  } finally {
    await fixture.close();
  }
});

it('memory that VMs take besides that of their guests is not given to others', async () => {
  const fixture = await startWith({ overheadMib: (guestMib) => 256 + guestMib / 64 });
  try {
    // 7 GiB have room for five VMs of 1 GiB and 272 MiB, and not for six.
    const answers: number[] = [];
    for (const id of ['a', 'b', 'c', 'd', 'e']) {
      answers.push((await fixture.call('PUT', `/v1/vms/${id}`, order(SMALL))).status);
    }
    expect(answers.filter((status) => status >= 300)).toEqual([]);
    const refused = await fixture.call('PUT', '/v1/vms/f', order(SMALL));
    expect(refused.body).toMatchObject({
      code: 'claim_refused',
      shortfalls: [{ resource: 'memory', requested: 1024, available: 416, limit: 5536 }],
    });
    // What is booked is what was ordered, and a repeat of what is here is no claim.
    expect((await fixture.call('GET', '/v1/status')).body).toMatchObject({
      allocated: { memory: 5 * 1024 },
    });
    expect((await fixture.call('PUT', '/v1/vms/a', order(SMALL))).status).toBeLessThan(300);
  } finally {
    await fixture.close();
  }
});
