/** A stop by force through one control plane, with real agents whose VMs take an hour to stop. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { AgentFixture } from '../agent/agent-fixture.js';
import { tester } from '../support/callers.js';
import { ControlFixture, eventually, settled, type TestReplica } from './control-fixture.js';

const SMALL = { cpu: 1, memory: 100, disk: 100 };
const ROOMY = { cpu: 16, memory: 10_000, disk: 10_000 };
const SLOW = { bootMs: 10, stopMs: 3_600_000 };

describe('a stop by force', () => {
  let fixture: ControlFixture;
  let replica: TestReplica;
  let agent: AgentFixture;
  beforeEach(async () => {
    fixture = await ControlFixture.start();
    replica = await fixture.replica();
    agent = await fixture.host(replica, 'oak', ROOMY, SLOW);
  });
  afterEach(() => fixture.stop());

  const running = async (id: string) =>
    settled(replica.control, await replica.control.createVm({ id, resources: SMALL }, tester));
  const seen = async (id: string) => (await replica.ports.catalogue.vm(id))?.state;
  const force = (id: string) => replica.control.stopVm(id, tester, { force: true });

  it('ends a VM that runs and one that is stopping, and is on record', async () => {
    await Promise.all([running('runs'), running('stops')]);
    await replica.control.stopVm('stops', tester);
    await eventually('stopping', async () => (await seen('stops')) === 'stopping');
    for (const id of ['runs', 'stops']) {
      expect(await force(id)).toMatchObject({ id, desiredState: 'stopped' });
      await eventually(`${id} stopped`, async () => (await seen(id)) === 'stopped');
    }
    // A repeat changes nothing, and it starts again as ever.
    await force('runs');
    await replica.control.startVm('runs', tester);
    await eventually('running', async () => (await seen('runs')) === 'running');
    const { items } = await replica.ports.catalogue.audit({
      limit: 100,
      cursor: null,
      action: 'vm.stop',
      subject: 'stops',
    });
    expect(items.filter(({ after }) => after?.force === true)).toHaveLength(1);
  });

  it('that its host does not hear leaves the VM wanted stopped, and can be repeated', async () => {
    await running('vm-1');
    await agent.setDriver({ hang: true });
    await expect(force('vm-1')).rejects.toMatchObject({ code: 'agent_unreachable' });
    expect((await replica.ports.catalogue.vm('vm-1'))?.desiredState).toBe('stopped');
    await agent.setDriver({ hang: false });
    await eventually('an agent that answers', () =>
      force('vm-1').then(
        () => true,
        () => false,
      ),
    );
    await eventually('stopped', async () => (await seen('vm-1')) === 'stopped');
  });

  it('of a VM that there is not, or that has failed, is refused', async () => {
    await expect(force('nobody')).rejects.toMatchObject({ code: 'not_found' });
    await agent.setDriver({ failNextCreates: 1 });
    expect(await running('fails')).toMatchObject({ state: 'failed' });
    await expect(force('fails')).rejects.toMatchObject({ code: 'state_conflict' });
  });
});
