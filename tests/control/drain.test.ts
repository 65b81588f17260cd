/** Hosts are emptied and retired: control planes of this process on real stores and real agents. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Ports } from '../../src/control/ports.js';
import type { Drain } from '../../src/model/drain.js';
import type { Vm } from '../../src/model/vm.js';
import type { AgentFixture } from '../agent/agent-fixture.js';
import { tester } from '../support/callers.js';
import { modePatch } from '../support/hosts.js';
import { ControlFixture, eventually, settled, type TestReplica } from './control-fixture.js';

const SMALL = { cpu: 1, memory: 100, disk: 100 };
const ROOMY = { cpu: 16, memory: 10_000, disk: 10_000 };
/** Room for exactly three of `SMALL`. */
const TIGHT = { cpu: 16, memory: 340, disk: 10_000 };
const NOW = { dryRun: false, reason: 'disks', owner: 'jo' };
const LONG_MS = 30_000;

describe('a drain', () => {
  let fixture: ControlFixture;
  let replica: TestReplica;
  /** Every agent; each create first makes sure that no other one has the VM. */
  let agents: AgentFixture[];
  let onTwoHosts: string[];

  const guarded = (ports: Ports): Partial<Ports> => ({
    agents: {
      ...ports.agents,
      async ensureVm(contact, order) {
        for (const agent of agents.filter((one) => one.contact().hostId !== contact.hostId)) {
          if ((await idsAt(agent)).includes(order.vmId)) onTwoHosts.push(order.vmId);
        }
        return ports.agents.ensureVm(contact, order);
      },
    },
  });

  beforeEach(async () => {
    agents = [];
    onTwoHosts = [];
    fixture = await ControlFixture.start();
    replica = await fixture.replica(guarded);
  });
  afterEach(async () => {
    await fixture.stop();
    expect(onTwoHosts).toEqual([]);
  });

  async function idsAt(agent: AgentFixture): Promise<string[]> {
    const { body } = await agent.call('GET', '/v1/vms');
    return (body.items as { id: string }[]).map(({ id }) => id).sort();
  }

  async function host(
    name: string,
    totals = ROOMY,
    driver?: Parameters<ControlFixture['host']>[3],
  ) {
    const agent = await fixture.host(replica, name, totals, driver);
    agents.push(agent);
    return agent;
  }

  const create = async (id: string, changes: object = {}): Promise<Vm> =>
    settled(
      replica.control,
      await replica.control.createVm({ id, name: id, resources: SMALL, ...changes }, tester),
    );

  const drainOf = async (name: string): Promise<Drain> => {
    const { catalogue } = replica.ports;
    const drain = await catalogue.drain((await catalogue.host(name))?.id ?? '');
    if (drain === null) throw new Error(`${name} was never drained`);
    return drain;
  };

  const vmNow = async (id: string): Promise<Vm | null> => replica.ports.catalogue.vm(id);

  const untilDone = (name: string) =>
    eventually(`${name} drained`, async () => (await drainOf(name)).state === 'done', LONG_MS);

  const untilMove = (name: string, state: string) =>
    eventually(
      `a move that is ${state}`,
      async () => (await drainOf(name)).moves.some((move) => move.state === state),
      LONG_MS,
    );

  /** What ledger and catalogue have booked is the same, and is what these VMs need. */
  async function expectBooked(count: number): Promise<void> {
    await eventually('books that agree', async () => {
      const { hosts } = await replica.control.rebuild({ dryRun: true }, tester);
      const { allocations } = await replica.ports.catalogue.snapshot();
      const drift = hosts.some((one) => Object.keys(one.drift).length > 0);
      return !drift && allocations.length === count;
    });
  }

  it('does what its plan says: every VM ends elsewhere as it was wanted, under a newer assignment', async () => {
    const oak = await host('oak');
    const before = [await create('a'), await create('b'), await create('c')];
    await replica.control.stopVm('b', tester);
    await eventually('b stopped', async () => (await vmNow('b'))?.state === 'stopped');
    const elm = await host('elm');

    const plan = await replica.control.drainHost('oak', { ...NOW, dryRun: true }, tester);
    expect(plan.state).toBe('planned');
    expect(plan.moves.map(({ state, planned }) => [state, planned?.name])).toEqual([
      ['planned', 'elm'],
      ['planned', 'elm'],
      ['planned', 'elm'],
    ]);
    expect((await replica.ports.catalogue.host('oak'))?.mode).toBe('enabled');

    const drain = await replica.control.drainHost('oak', NOW, tester);
    expect(drain).toMatchObject({ state: 'draining', reason: 'disks', owner: 'jo' });
    await untilDone('oak');
    for (const { planned, target, state, detail } of (await drainOf('oak')).moves) {
      expect({ state, target, detail }).toEqual({ state: 'moved', target: planned, detail: null });
    }
    for (const old of before) {
      const vm = await vmNow(old.id);
      expect(vm).toMatchObject({
        host: { name: 'elm' },
        state: old.id === 'b' ? 'stopped' : 'running',
        movingTo: null,
      });
      expect(vm?.allocation?.assignment).toBeGreaterThan(old.allocation?.assignment ?? 0);
      expect(vm?.attempts.map(({ host: at, outcome }) => [at.name, outcome])).toEqual([
        ['oak', 'placed'],
        ['oak', 'moved'],
        ['elm', 'placed'],
      ]);
    }
    expect(await idsAt(oak)).toEqual([]);
    expect(await idsAt(elm)).toEqual(['a', 'b', 'c']);
    expect((await replica.ports.catalogue.host('oak'))?.mode).toBe('draining');
    await expectBooked(3);
  }, 60_000);

  it('goes on with what was blocked when there is room', async () => {
    await host('oak');
    await create('bound', { constraints: { host: 'oak' } });
    await create('free');
    await replica.control.drainHost('oak', NOW, tester);
    await eventually('both blocked', async () =>
      (await drainOf('oak')).moves.every(({ state }) => state === 'blocked'),
    );
    expect(await vmNow('free')).toMatchObject({ state: 'running', host: { name: 'oak' } });

    await host('elm');
    await eventually(
      'free moved',
      async () => (await vmNow('free'))?.host?.name === 'elm',
      LONG_MS,
    );
    const { moves } = await drainOf('oak');
    expect(moves.find(({ vm }) => vm.id === 'bound')).toMatchObject({
      state: 'blocked',
      detail: 'it may be on this host only',
    });
    await replica.control.deleteVm('bound', tester);
    await untilDone('oak');
    await expectBooked(1);
  }, 60_000);

  it('takes another host than planned when that one is closed meanwhile, and says so', async () => {
    await host('oak');
    await create('first');
    await create('second');
    await host('elm');
    const { catalogue } = replica.ports;
    const lease = `drain:${(await catalogue.host('oak'))?.id ?? ''}`;
    // While somebody else holds it, nothing moves.
    await catalogue.acquireLease(lease, 'test', 600_000);
    await replica.control.drainHost('oak', NOW, tester);
    await replica.control.patchHost('elm', modePatch('cordoned', null), tester);
    await host('ash');
    await catalogue.releaseLease(lease, 'test');
    await untilDone('oak');
    for (const { planned, target, detail } of (await drainOf('oak')).moves) {
      expect([planned?.name, target?.name]).toEqual(['elm', 'ash']);
      expect(detail).toBe('not to elm as planned: cordoned');
    }
    await expectBooked(2);
  }, 60_000);

  it('cancelled: what is still there stays and runs again, the host is open', async () => {
    const oak = await host('oak', ROOMY, { bootMs: 10, stopMs: 60_000 });
    await create('a');
    await create('b');
    await host('elm');
    await replica.control.drainHost('oak', NOW, tester);
    await untilMove('oak', 'moving');
    await eventually('a VM that stops', async () => ['a', 'b'].includes((await stopping()) ?? ''));
    const cancelled = await replica.control.cancelDrain('oak', tester);
    expect(cancelled.state).toBe('cancelled');
    await eventually(
      'both running where they were',
      async () => {
        const vms = await Promise.all([vmNow('a'), vmNow('b')]);
        return vms.every((vm) => vm?.state === 'running' && vm.host?.name === 'oak');
      },
      LONG_MS,
    );
    expect(await idsAt(oak)).toEqual(['a', 'b']);
    expect((await replica.ports.catalogue.host('oak'))?.mode).toBe('enabled');
    expect((await drainOf('oak')).moves.map(({ state }) => state)).toEqual([
      'cancelled',
      'cancelled',
    ]);
    await expectBooked(2);
  }, 60_000);

  async function stopping(): Promise<string | null> {
    for (const id of ['a', 'b']) {
      const vm = await vmNow(id);
      if (vm?.movingTo !== null && vm?.state === 'stopping') return id;
    }
    return null;
  }

  it('is cancelled by whoever enables the host', async () => {
    await host('oak');
    await create('a', { constraints: { host: 'oak' } });
    await replica.control.drainHost('oak', NOW, tester);
    await replica.control.patchHost('oak', modePatch('enabled', null), tester);
    await eventually('the end', async () => (await drainOf('oak')).state === 'cancelled');
    expect((await replica.ports.catalogue.host('oak'))?.mode).toBe('enabled');
  }, 60_000);

  it('gives the held room back when a VM is deleted on its way', async () => {
    await host('oak', ROOMY, { bootMs: 10, stopMs: 5_000 });
    await create('a');
    await host('elm');
    await replica.control.drainHost('oak', NOW, tester);
    await untilMove('oak', 'moving');
    await replica.control.deleteVm('a', tester);
    await untilDone('oak');
    expect((await drainOf('oak')).moves).toMatchObject([
      { state: 'moved', target: null, detail: 'it was deleted' },
    ]);
    await expectBooked(0);
  }, 60_000);

  it('holds room anew when what it held is gone before the VM has left', async () => {
    await host('oak', ROOMY, { bootMs: 10, stopMs: 3_000 });
    await create('a');
    await host('elm');
    await replica.control.drainHost('oak', NOW, tester);
    await eventually('a move', async () => typeof (await vmNow('a'))?.movingTo === 'string');
    const first = (await vmNow('a'))?.movingTo ?? '';
    const booking = await replica.ports.catalogue.endReservation(first, null);
    if (booking !== null) await replica.ports.ledger.release([booking]);
    await untilDone('oak');
    expect(await vmNow('a')).toMatchObject({ state: 'running', host: { name: 'elm' } });
    await expectBooked(1);
  }, 60_000);

  it('finds the next best host when the new one refuses the VM', async () => {
    await host('oak');
    await create('a');
    await host('liar', { cpu: 32, memory: 20_000, disk: 20_000 });
    const liar = agents.at(-1);
    await liar?.call('PATCH', '/v1/driver', { refuseClaims: true });
    await host('ash', TIGHT);
    await replica.control.drainHost('oak', NOW, tester);
    await untilDone('oak');
    await eventually('a runs', async () => (await vmNow('a'))?.state === 'running', LONG_MS);
    expect(await vmNow('a')).toMatchObject({ host: { name: 'ash' } });
    await expectBooked(1);
  }, 60_000);

  it('does not give a VM up that no host will have: it is tried until one does', async () => {
    await host('oak');
    await create('a');
    await host('liar');
    const liar = agents.at(-1);
    await liar?.call('PATCH', '/v1/driver', { refuseClaims: true });
    await replica.control.drainHost('oak', NOW, tester);
    await eventually(
      'a is refused and has no place',
      async () => (await vmNow('a'))?.reason?.code === 'no_feasible_host',
      LONG_MS,
    );
    expect(await vmNow('a')).toMatchObject({ state: 'placed', host: null });
    const broken = await host('broken');
    await broken.call('PATCH', '/v1/driver', { failNextCreates: 1 });
    await eventually(
      'broken could not make it',
      async () => (await vmNow('a'))?.attempts.some(({ outcome }) => outcome === 'failed') === true,
      LONG_MS,
    );
    expect((await vmNow('a'))?.state).not.toBe('failed');
    await host('ash');
    await untilDone('oak');
    await eventually('a runs', async () => (await vmNow('a'))?.state === 'running', LONG_MS);
    expect(await vmNow('a')).toMatchObject({ host: { name: 'ash' } });
    await expectBooked(1);
  }, 90_000);

  it('is blocked while the host does not answer: nothing of it is given up', async () => {
    const oak = await host('oak');
    await create('a');
    await host('elm');
    await oak.close();
    await eventually(
      'oak down',
      async () => (await replica.ports.catalogue.host('oak'))?.state === 'down',
      LONG_MS,
    );
    agents = agents.filter((agent) => agent !== oak);
    const drain = await replica.control.drainHost('oak', NOW, tester);
    expect(drain.moves).toMatchObject([{ state: 'blocked' }]);
    expect(drain.moves[0]?.detail).toContain('does not answer');
    await expectBooked(1);
    expect(await vmNow('a')).toMatchObject({ host: { name: 'oak' }, movingTo: null });

    await expect(replica.control.retireHost('oak', null, tester)).rejects.toMatchObject({
      code: 'host_not_empty',
      extra: { vms: 1 },
    });
    const retired = await replica.control.retireHost('oak', { reason: 'burnt' }, tester);
    expect(retired.mode).toBe('retired');
    expect(await vmNow('a')).toMatchObject({ state: 'failed', reason: { code: 'host_retired' } });
    await expectBooked(0);
    const fleet = [...(await replica.ports.ledger.view()).hosts()].map(({ name }) => name);
    expect(fleet).toEqual(['elm']);
  }, 60_000);
});
