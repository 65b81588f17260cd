/** Creates, repeats and deletes, as one control plane and two see them. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Ports } from '../../src/control/ports.js';
import { DomainError } from '../../src/model/errors.js';
import { systemClock } from '../../src/std/clock.js';
import { tester } from '../support/callers.js';
import { modePatch } from '../support/hosts.js';
import { ControlFixture, eventually, settled, type TestReplica } from './control-fixture.js';
import { ledgerPrefix } from '../support/ledger-in-place.js';

const SMALL = { cpu: 1, memory: 100, disk: 100 };
const ROOMY = { cpu: 16, memory: 10_000, disk: 10_000 };
/** Room for exactly three of `SMALL`. */
const TIGHT = { cpu: 16, memory: 340, disk: 10_000 };

describe('creates and deletes', () => {
  let fixture: ControlFixture;
  let replica: TestReplica;
  beforeEach(async () => {
    fixture = await ControlFixture.start();
    replica = await fixture.replica();
  });
  afterEach(() => fixture.stop());

  const create = (id?: string, resources = SMALL) =>
    replica.control.createVm({ ...(id === undefined ? {} : { id }), resources }, tester);

  it('gives the same request with the same id one effect and one answer, also at the same time', async () => {
    const agent = await fixture.host(replica, 'oak', ROOMY);
    const other = await fixture.replica();
    const answers = await Promise.all(
      [replica, other, replica, other].map(({ control }) =>
        control.createVm({ id: 'twin', resources: SMALL }, tester),
      ),
    );
    expect(new Set(answers.map((vm) => vm.allocation?.bookingId)).size).toBe(1);
    await settled(replica.control, answers[0] ?? (await create('twin')));
    const { body } = await agent.call('GET', '/v1/vms');
    expect(body.items).toHaveLength(1);
    await expect(create('twin', { ...SMALL, cpu: 2 })).rejects.toMatchObject({
      code: 'id_conflict',
    });
  });

  it('does not give the id of a deleted VM to another', async () => {
    await fixture.host(replica, 'oak', ROOMY);
    await settled(replica.control, await create('once'));
    await replica.control.deleteVm('once', tester);
    await eventually(
      'the end of it',
      async () => (await replica.ports.catalogue.vm('once')) === null,
    );
    await expect(create('once')).rejects.toMatchObject({ code: 'id_conflict' });
    await expect(replica.control.deleteVm('once', tester)).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('refuses with counts per reason and the host that is nearest', async () => {
    await fixture.host(replica, 'oak', TIGHT);
    await Promise.all([create(), create(), create()]);
    await expect(create()).rejects.toMatchObject({
      code: 'no_feasible_host',
      extra: {
        summary: {
          considered: 1,
          feasible: 0,
          byReason: { insufficient: 1 },
          nearest: { host: { name: 'oak' }, missing: { memory: 94 } },
        },
      },
    });
  });

  it('gives room back when a VM is deleted, in ledger, catalogue and agent', async () => {
    const agent = await fixture.host(replica, 'oak', TIGHT);
    const vms = await Promise.all([create(), create(), create()]);
    for (const vm of vms) await settled(replica.control, vm);
    for (const { id } of vms) await replica.control.deleteVm(id, tester);
    const { catalogue, ledger } = replica.ports;
    await eventually('room', async () => {
      const host = await catalogue.host('oak');
      const booked = (await ledger.totals()).get(agent.contact().hostId) ?? {};
      return (
        Object.values(host?.allocated ?? { none: 1 }).every((amount) => amount === 0) &&
        Object.values(booked).every((amount) => amount === 0)
      );
    });
    expect((await agent.call('GET', '/v1/vms')).body.items).toEqual([]);
    await expect(create()).resolves.toMatchObject({ host: { name: 'oak' } });
  });

  it('stops and starts a VM, which keeps its booking meanwhile', async () => {
    await fixture.host(replica, 'oak', ROOMY);
    const vm = await settled(replica.control, await create());
    const seen = async () => (await replica.ports.catalogue.vm(vm.id))?.state;
    await replica.control.stopVm(vm.id, tester);
    await eventually('stopped', async () => (await seen()) === 'stopped');
    expect((await replica.ports.catalogue.host('oak'))?.allocated).toMatchObject(SMALL);
    await replica.control.startVm(vm.id, tester);
    await eventually('running', async () => (await seen()) === 'running');
  });

  it('ends a create that the host cannot carry out as failed, with the reason and no booking', async () => {
    await fixture.host(replica, 'oak', ROOMY, { bootMs: 10, stopMs: 10, failNextCreates: 1 });
    const failed = await settled(replica.control, await create());
    expect(failed).toMatchObject({ state: 'failed', host: null, allocation: null });
    expect(failed.reason?.detail).toBeTruthy();
    expect((await replica.ports.catalogue.host('oak'))?.vms).toBe(0);
    await expect(replica.control.startVm(failed.id, tester)).rejects.toMatchObject({
      code: 'state_conflict',
    });
  });

  it('keeps the booking of a VM whose agent hangs, and goes on when it answers', async () => {
    const agent = await fixture.host(replica, 'oak', ROOMY);
    await agent.setDriver({ hang: true });
    const vm = await create();
    await eventually('a try without an answer', async () => {
      const seen = await replica.ports.catalogue.vm(vm.id);
      return seen?.reason?.code === 'agent_unreachable';
    });
    expect((await replica.ports.catalogue.host('oak'))?.allocated).toMatchObject(SMALL);
    await agent.setDriver({ hang: false });
    await eventually(
      'running',
      async () => {
        return (await replica.ports.catalogue.vm(vm.id))?.state === 'running';
      },
      25_000,
    );
  });

  it('takes nothing on a cordoned host, at once and in every replica', async () => {
    const other = await fixture.replica();
    await fixture.host(replica, 'oak', ROOMY);
    await replica.control.patchHost('oak', modePatch('cordoned', 'test'), tester);
    await expect(other.control.createVm({ resources: SMALL }, tester)).rejects.toMatchObject({
      code: 'no_feasible_host',
      extra: { summary: { byReason: { cordoned: 1 } } },
    });
    await replica.control.patchHost('oak', modePatch('enabled'), tester);
    await expect(other.control.createVm({ resources: SMALL }, tester)).resolves.toBeTruthy();
  });
});

describe('what is lost on the way', () => {
  let fixture: ControlFixture;
  beforeEach(async () => {
    fixture = await ControlFixture.start();
  });
  afterEach(() => fixture.stop());

  const lost = () => new DomainError('catalogue_unavailable', 'lost');

  it('releases a booking that never reached the catalogue', async () => {
    let lose = true;
    const replica = await fixture.replica((ports) => ({
      catalogue: {
        ...ports.catalogue,
        record: (...args: Parameters<Ports['catalogue']['record']>) =>
          lose ? Promise.reject(lost()) : ports.catalogue.record(...args),
      },
    }));
    const agent = await fixture.host(replica, 'oak', TIGHT);
    const { hostId } = agent.contact();
    const booked = async () => (await replica.ports.ledger.totals()).get(hostId)?.cpu ?? 0;
    await expect(
      replica.control.createVm({ id: 'gone', resources: SMALL }, tester),
    ).rejects.toMatchObject({ code: 'catalogue_unavailable' });
    expect(await booked()).toBe(1);
    await eventually('the release', async () => (await booked()) === 0);
    lose = false;
    await expect(
      replica.control.createVm({ id: 'gone', resources: SMALL }, tester),
    ).resolves.toMatchObject({ id: 'gone' });
  });

  it('keeps a VM that was recorded although the answer was lost', async () => {
    let answersLost = 0;
    const replica = await fixture.replica((ports) => ({
      catalogue: {
        ...ports.catalogue,
        record: async (...args: Parameters<Ports['catalogue']['record']>) => {
          const reply = await ports.catalogue.record(...args);
          answersLost += 1;
          if (answersLost === 1) throw lost();
          return reply;
        },
      },
    }));
    const agent = await fixture.host(replica, 'oak', ROOMY);
    await expect(
      replica.control.createVm({ id: 'kept', resources: SMALL }, tester),
    ).rejects.toMatchObject({ code: 'catalogue_unavailable' });
    await eventually('running', async () => {
      return (await replica.ports.catalogue.vm('kept'))?.state === 'running';
    });
    // Past the lease of the booking, which the catalogue knows.
    await systemClock.sleep(2_000);
    const totals = await replica.ports.ledger.totals();
    expect(totals.get(agent.contact().hostId)).toMatchObject(SMALL);
    expect(await replica.ports.ledger.overdueBookings(0, 10)).toEqual([]);
  });

  it('is refused by the catalogue what a wrong ledger grants, and rebuilds the ledger', async () => {
    const replica = await fixture.replica();
    const agent = await fixture.host(replica, 'oak', TIGHT);
    const make = () => replica.control.createVm({ resources: SMALL }, tester);
    await Promise.all([make(), make(), make()]);
    // The ledger forgets what is booked, as a Redis does that lost writes.
    const { hostId } = agent.contact();
    const client = replica.ports.ledger;
    const redis = fixture.redis.client();
    const key = `${await ledgerPrefix(redis)}host:${hostId}`;
    await redis.hset(key, 'used:memory', 0, 'used:cpu', 0);
    await client.pushHosts([await freshFacts(replica, hostId)]);
    await expect(make()).rejects.toMatchObject({ code: 'no_feasible_host' });
    expect(replica.counted).toContainEqual({
      name: 'berth_catalogue_refusals_total',
      labels: { kind: 'over_limit' },
    });
    await eventually('the rebuild', async () => {
      return (await client.totals()).get(hostId)?.memory === 300;
    });
    await eventually('the rebuild to be counted', () =>
      Promise.resolve(
        replica.counted.some(
          ({ name, labels }) => name === 'berth_rebuilds_total' && labels.reason === 'over_limit',
        ),
      ),
    );
  });
});

/** The host with a newer revision, so that every mirror reads its sums again. */
async function freshFacts({ ports }: TestReplica, hostId: string) {
  for (const { allocated: _allocated, ...facts } of (await ports.ledger.view()).hosts()) {
    if (facts.id === hostId) return { ...facts, revision: facts.revision + 1 };
  }
  throw new Error(`no host ${hostId}`);
}
