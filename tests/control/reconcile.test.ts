/** What hosts have against what is recorded, with real agents that somebody meddles with. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { reconcile } from '../../src/control/reconcile.js';
import type { Vm } from '../../src/model/vm.js';
import { order, type AgentFixture } from '../agent/agent-fixture.js';
import { tester } from '../support/callers.js';
import {
  ControlFixture,
  HEALTH,
  eventually,
  settled,
  type TestReplica,
} from './control-fixture.js';

const SMALL = { cpu: 1, memory: 100, disk: 100 };
const ROOMY = { cpu: 16, memory: 10_000, disk: 10_000 };

describe('reconcile', () => {
  let fixture: ControlFixture;
  beforeEach(async () => {
    fixture = await ControlFixture.start();
  });
  afterEach(() => fixture.stop());

  const running = async ({ control }: TestReplica, id?: string): Promise<Vm> => {
    const input = { ...(id === undefined ? {} : { id }), resources: SMALL };
    const vm = await settled(control, await control.createVm(input, tester));
    expect(vm.state).toBe('running');
    return vm;
  };

  /** Takes a VM from its agent behind Berth's back. */
  const takeAway = async (agent: AgentFixture, vm: Vm): Promise<void> => {
    const assignment = vm.allocation?.assignment.toString() ?? '';
    const { body } = await agent.call('DELETE', `/v1/vms/${vm.id}?assignment=${assignment}`);
    expect(body).toEqual({ gone: true });
  };

  const putStranger = async (agent: AgentFixture, id: string, assignment = 3): Promise<void> => {
    const { status } = await agent.call('PUT', `/v1/vms/${id}`, order(assignment, SMALL));
    expect(status).toBe(200);
  };

  const stateOf = async ({ ports }: TestReplica, id: string) => ports.catalogue.vm(id);

  const idsOf = async ({ control }: TestReplica): Promise<readonly string[]> =>
    (await control.strays()).orphans.map(({ vmId }) => vmId);

  const onAgent = async (agent: AgentFixture, id: string) => agent.call('GET', `/v1/vms/${id}`);

  /** What placement believes may be booked on the only host. */
  const limitOf = async ({ ports }: TestReplica): Promise<number> => {
    const [host] = [...(await ports.ledger.view()).hosts()];
    return host?.limits.memory ?? 0;
  };

  /** Ledger and catalogue agree once nothing is in flight (I2). */
  const expectAgreement = (replica: TestReplica): Promise<void> =>
    eventually('books that agree', async () => {
      if (!(await replica.control.readiness()).ready) return false;
      const { hosts } = await replica.control.rebuild({ dryRun: true }, tester);
      return hosts.every(({ drift }) => Object.keys(drift).length === 0);
    });

  it('shows what is missing and what nobody recorded, and touches neither', async () => {
    const replica = await fixture.replica();
    const agent = await fixture.host(replica, 'oak', ROOMY);
    const before = await limitOf(replica);
    const vm = await running(replica);
    await takeAway(agent, vm);
    await putStranger(agent, 'stranger');
    await eventually('both shown', async () => {
      const { orphans, missing } = await replica.control.strays();
      return orphans.length === 1 && missing.length === 1;
    });
    expect(await replica.control.strays()).toMatchObject({
      onMissing: 'mark',
      orphans: [{ host: { name: 'oak' }, vmId: 'stranger', resources: SMALL, recordedOn: null }],
      missing: [{ vm: { id: vm.id }, host: { name: 'oak' }, strikes: 2 }],
    });
    expect(await stateOf(replica, vm.id)).toMatchObject({
      state: 'unknown',
      reason: { code: 'missing_on_host' },
      allocation: vm.allocation,
    });
    expect((await onAgent(agent, 'stranger')).status).toBe(200);
    expect((await onAgent(agent, vm.id)).status).toBe(404);
    // Placement has heard of the room that the stranger takes.
    await eventually('less room', async () => (await limitOf(replica)) === before - SMALL.memory);
  }, 60_000);

  it('makes a missing VM anew where that is configured', async () => {
    const replica = await fixture.replica(undefined, {
      health: { ...HEALTH, onMissing: 'recreate' },
    });
    const agent = await fixture.host(replica, 'oak', ROOMY);
    const vm = await running(replica);
    await takeAway(agent, vm);
    await eventually('a newer assignment that runs', async () => {
      const now = await stateOf(replica, vm.id);
      const assignment = now?.allocation?.assignment ?? 0;
      return now?.state === 'running' && assignment > (vm.allocation?.assignment ?? 0);
    });
    expect((await onAgent(agent, vm.id)).body).toMatchObject({ state: 'running' });
    expect((await replica.control.strays()).missing).toEqual([]);
    await expectAgreement(replica);
  }, 60_000);

  it('adopts a stranger: it is booked, obeys, and is deleted like any other VM', async () => {
    const replica = await fixture.replica();
    const agent = await fixture.host(replica, 'oak', ROOMY);
    await putStranger(agent, 'stranger', 40_000);
    await eventually('an orphan', async () => (await idsOf(replica)).includes('stranger'));
    const vm = await replica.control.adoptOrphan('oak', 'stranger', { path: 'acme:web' }, tester);
    expect(vm).toMatchObject({ id: 'stranger', name: 'stranger', path: 'acme:web' });
    await eventually('it runs under the new assignment', async () => {
      const { body } = await onAgent(agent, 'stranger');
      const now = await stateOf(replica, 'stranger');
      return now?.state === 'running' && body.assignment === vm.allocation?.assignment;
    });
    expect(vm.allocation?.assignment).toBeGreaterThan(40_000);
    expect(await idsOf(replica)).toEqual([]);
    await expectAgreement(replica);
    expect(await replica.ports.catalogue.host('oak')).toMatchObject({
      allocated: SMALL,
      orphaned: {},
    });

    await replica.control.deleteVm('stranger', tester);
    await eventually('gone', async () => (await stateOf(replica, 'stranger')) === null);
    expect((await onAgent(agent, 'stranger')).status).toBe(404);
    await expectAgreement(replica);
    // Placement goes on.
    await running(replica);
  }, 60_000);

  it('gives the id of a stranger to nobody: it would be on two hosts', async () => {
    const replica = await fixture.replica();
    const agent = await fixture.host(replica, 'oak', ROOMY);
    const elm = await fixture.host(replica, 'elm', ROOMY);
    await putStranger(agent, 'two');
    await eventually('shown', async () => (await idsOf(replica)).includes('two'), 20_000);
    const huge = { ...SMALL, memory: 10_000_000 };
    for (const input of [{ resources: SMALL }, { resources: huge, whenFull: 'queue' } as const]) {
      const create = replica.control.createVm({ id: 'two', ...input }, tester);
      await expect(create).rejects.toMatchObject({ code: 'id_conflict' });
    }
    expect(await stateOf(replica, 'two')).toBeNull();
    expect((await onAgent(elm, 'two')).status).toBe(404);
    await replica.control.destroyOrphan('oak', 'two', tester);
    await eventually('none shown', async () => (await idsOf(replica)).length === 0);
    await running(replica, 'two');
    await expectAgreement(replica);
  }, 60_000);

  it('adopts on a host that is too full for it, which then takes nothing new', async () => {
    const replica = await fixture.replica();
    const agent = await fixture.host(replica, 'oak', { cpu: 4, memory: 300, disk: 1_000 });
    await putStranger(agent, 'stranger');
    await running(replica);
    await eventually('an orphan', async () => (await idsOf(replica)).includes('stranger'));
    // As if the machine had shrunk: less may be booked now than the two take.
    const client = new pg.Client({ connectionString: fixture.databaseUrl });
    await client.connect();
    await client.query(`update hosts set allocated = '{"cpu": 1, "memory": 260, "disk": 100}'`);
    await client.query(
      `update allocations set resources = '{"cpu": 1, "memory": 260, "disk": 100}'`,
    );
    await client.end();
    await replica.control.adoptOrphan('oak', 'stranger', {}, tester);
    await eventually(
      'it runs',
      async () => (await stateOf(replica, 'stranger'))?.state === 'running',
    );
    await expectAgreement(replica);
    await expect(replica.control.createVm({ resources: SMALL }, tester)).rejects.toMatchObject({
      code: 'no_feasible_host',
    });
  }, 60_000);

  it('destroys a stranger, also one whose agent is away when it is said', async () => {
    const replica = await fixture.replica();
    const agent = await fixture.host(replica, 'oak', ROOMY);
    await putStranger(agent, 'one');
    await putStranger(agent, 'two');
    await eventually('orphans', async () => (await idsOf(replica)).length === 2);
    await replica.control.destroyOrphan('oak', 'one', tester);
    await eventually('one gone', async () => (await onAgent(agent, 'one')).status === 404);

    await agent.setDriver({ hang: true });
    expect(await replica.control.destroyOrphan('oak', 'two', tester)).toMatchObject({
      vmId: 'two',
      leaving: true,
    });
    await agent.setDriver({ hang: false });
    await eventually('two gone', async () => (await onAgent(agent, 'two')).status === 404, 20_000);
    await eventually('none shown', async () => (await idsOf(replica)).length === 0);
    expect(await replica.ports.catalogue.host('oak')).toMatchObject({ orphaned: {} });
    await expect(replica.control.destroyOrphan('oak', 'two', tester)).rejects.toMatchObject({
      code: 'not_found',
    });
    await expect(replica.control.destroyOrphan('elm', 'two', tester)).rejects.toMatchObject({
      code: 'not_found',
    });
    await expectAgreement(replica);
  }, 60_000);

  it('is obeyed again after a restore of the catalogue from before the newest assignments', async () => {
    const replica = await fixture.replica();
    const agent = await fixture.host(replica, 'oak', ROOMY);
    const vm = await running(replica);
    const wanted = await running(replica);
    // What its host was told since the backup: the catalogue knows nothing of it.
    await agent.call('PUT', `/v1/vms/${vm.id}`, order(70_000, SMALL));
    await agent.call('PUT', `/v1/vms/${wanted.id}`, order(80_000, SMALL));
    // This one does not wait for reports: its order is refused.
    await replica.control.deleteVm(wanted.id, tester);
    await eventually('gone', async () => (await stateOf(replica, wanted.id)) === null, 30_000);
    await eventually(
      'a newer assignment that runs',
      async () => {
        const now = await stateOf(replica, vm.id);
        return now?.state === 'running' && (now.allocation?.assignment ?? 0) > 70_000;
      },
      30_000,
    );
    await replica.control.stopVm(vm.id, tester);
    await eventually('stopped', async () => (await stateOf(replica, vm.id))?.state === 'stopped');
    expect((await onAgent(agent, vm.id)).body).toMatchObject({ state: 'stopped' });
    await expectAgreement(replica);
  }, 90_000);

  it('takes no VM for a stranger that was deleted while reports of it were on their way', async () => {
    // No other reports than those below, but for the first one.
    const replica = await fixture.replica(undefined, {
      health: { ...HEALTH, periodS: 3_600, onMissing: 'mark' },
    });
    const { agents, catalogue } = replica.ports;
    const { agent } = await fixture.host(replica, 'oak', ROOMY, { bootMs: 5, stopMs: 2_000 });
    const vm = await running(replica);
    await replica.control.deleteVm(vm.id, tester);
    const ask = async () => {
      const [contact] = await catalogue.contacts(agent.hostId);
      if (contact === undefined) throw new Error('the host is not known');
      return { status: await agents.status(contact), askedAt: contact.askedAt };
    };
    const asked: Awaited<ReturnType<typeof ask>>[] = [];
    await eventually('gone', async () => {
      asked.push(await ask());
      return (await stateOf(replica, vm.id)) === null;
    });
    const naming = asked.filter(({ status }) => status.vms.length > 0);
    expect(naming.length).toBeGreaterThan(2);
    for (const { status, askedAt } of naming) {
      await catalogue.saveHostReport(agent.hostId, status);
      await reconcile(replica.ports, agent.hostId, status, { onMissing: 'mark', askedAt });
      expect(await idsOf(replica)).toEqual([]);
    }
  }, 60_000);

  it('takes no VM for a stranger while VMs come and go', async () => {
    const replica = await fixture.replica();
    const other = await fixture.replica();
    await fixture.host(replica, 'oak', ROOMY, { bootMs: 5, stopMs: 150 });
    await fixture.host(replica, 'elm', ROOMY, { bootMs: 5, stopMs: 30 });
    const seen: unknown[] = [];
    const done = new AbortController();
    const watch = (async () => {
      while (!done.signal.aborted) {
        // Every report anew, as fast as they come: far more than the period would give.
        for (const { ports, control } of [replica, other]) {
          for (const contact of await ports.catalogue.contacts()) {
            const status = await ports.agents.status(contact).catch(() => null);
            if (status === null) continue;
            const reading = { onMissing: 'mark' as const, askedAt: contact.askedAt };
            await ports.catalogue.saveHostReport(contact.hostId, status);
            await reconcile(ports, contact.hostId, status, reading);
          }
          const { orphans, missing } = await control.strays();
          seen.push(...orphans, ...missing);
        }
      }
    })();
    for (let round = 0; round < 3; round += 1) {
      const vms = await Promise.all(Array.from({ length: 8 }, () => running(replica)));
      await Promise.all(vms.map(({ id }) => other.control.deleteVm(id, tester)));
      await eventually(
        'all gone',
        async () =>
          (await replica.ports.catalogue.vms({ limit: 1, cursor: null })).items.length === 0,
        30_000,
      );
    }
    done.abort();
    await watch;
    expect(seen).toEqual([]);
    await expectAgreement(replica);
  }, 120_000);
});
