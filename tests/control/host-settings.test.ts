/** What operators and agents say of hosts, as placement sees it. */
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { agentStatusSchema } from '../../src/wire/agent.js';
import { order, startFixture, type AgentFixture } from '../agent/agent-fixture.js';
import { tester } from '../support/callers.js';
import { DEFAULT_POLICY } from '../support/hosts.js';
import {
  ControlFixture,
  HEALTH,
  eventually,
  settled,
  type TestReplica,
} from './control-fixture.js';

const SMALL = { cpu: 1, memory: 100, disk: 100 };
const ROOMY = { cpu: 16, memory: 10_000, disk: 10_000 };
/** No poll comes by itself while a test runs, but for the first. */
const RARELY = { ...HEALTH, periodS: 3_600 };

describe('settings of hosts', () => {
  let fixture: ControlFixture;
  let replica: TestReplica;
  beforeEach(async () => {
    fixture = await ControlFixture.start();
    replica = await fixture.replica();
  });
  afterEach(() => fixture.stop());

  const create = (constraints = {}) =>
    replica.control.createVm({ resources: SMALL, constraints }, tester);
  const oak = async () => {
    const host = await replica.ports.catalogue.host('oak');
    if (host === null) throw new Error('there is no oak');
    return host;
  };
  const patch = (overrides: Parameters<typeof replica.control.patchHost>[1]['overrides']) =>
    replica.control.patchHost('oak', { ...(overrides === undefined ? {} : { overrides }) }, tester);

  it('decide at once where VMs may go, and polls do not undo them', async () => {
    await fixture.host(replica, 'oak', ROOMY);
    await expect(create({ labels: { required: { rack: 'r7' } } })).rejects.toMatchObject({
      code: 'no_feasible_host',
    });
    await patch({ labels: { rack: 'r7' }, zone: 'z' });
    const before = (await oak()).lastSeenAt?.getTime() ?? 0;
    await eventually('another poll', async () => {
      return ((await oak()).lastSeenAt?.getTime() ?? 0) > before;
    });
    const vm = await create({ zone: 'z', labels: { required: { rack: 'r7' } } });
    expect(vm.host?.name).toBe('oak');
    await patch({ labels: null });
    await expect(create({ labels: { required: { rack: 'r7' } } })).rejects.toMatchObject({
      code: 'no_feasible_host',
    });
  });

  it('give a host totals that its agent does not measure', async () => {
    await fixture.host(replica, 'oak', ROOMY);
    const wanted = { resources: { ...SMALL, gpu: 2 } };
    await expect(replica.control.createVm(wanted, tester)).rejects.toMatchObject({
      code: 'no_feasible_host',
    });
    await patch({ totals: { gpu: 2 } });
    const vm = await settled(replica.control, await replica.control.createVm(wanted, tester));
    // Its agent takes the operator's word for it.
    expect(vm).toMatchObject({ state: 'running', host: { name: 'oak' } });
  });

  it('make a host over-full, which takes nothing and recovers by itself', async () => {
    await fixture.host(replica, 'oak', ROOMY);
    const vms = [];
    for (let count = 0; count < 3; count += 1) {
      vms.push(await settled(replica.control, await create()));
    }
    await patch({ totals: { memory: 250 } });
    await expect(create()).rejects.toMatchObject({ code: 'no_feasible_host' });
    for (const { id } of vms) await replica.control.deleteVm(id, tester);
    await eventually('room for one', () => create().then(Boolean, () => false));
    await eventually('no more of the three', async () => {
      return (await oak()).vms === 1;
    });
    await create();
    await expect(create()).rejects.toMatchObject({ code: 'no_feasible_host' });
    await patch({ totals: null });
    await expect(create()).resolves.toBeTruthy();
  });

  it('end a cordon when its time is over, in placement too', async () => {
    await fixture.host(replica, 'oak', ROOMY);
    const mode = { mode: 'cordoned', reason: 'repair', owner: 'jo', endsInMs: 3_600_000 } as const;
    await replica.control.patchHost('oak', { mode }, tester);
    await expect(create()).rejects.toMatchObject({
      extra: { summary: { byReason: { cordoned: 1 } } },
    });
    await replica.control.patchHost('oak', { mode: { ...mode, endsInMs: 1 } }, tester);
    await eventually('the end of the cordon', () => create().then(Boolean, () => false));
    expect(await oak()).toMatchObject({ mode: 'enabled', modeReason: null, modeUntil: null });
  });
});

describe('a status that an agent pushes', () => {
  let fixture: ControlFixture;
  let replica: TestReplica;
  let server: Server;
  let agent: AgentFixture;
  beforeEach(async () => {
    fixture = await ControlFixture.start();
    replica = await fixture.replica(() => ({}), { health: RARELY });
    // The door of the API, as narrow as this needs it.
    server = createServer((request, response) => {
      void text(request).then(async (body) => {
        const status = agentStatusSchema.safeParse(JSON.parse(body));
        if (status.success) await replica.control.acceptStatus(status.data);
        response.writeHead(status.success ? 202 : 503).end('{}');
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    agent = await startFixture(
      { bootMs: 10, stopMs: 10 },
      {
        controlPlaneUrl: `http://127.0.0.1:${port.toString()}`,
        configuredTotals: ROOMY,
        capacityPolicy: DEFAULT_POLICY,
      },
    );
    const { address, credential, hostId } = agent.contact();
    await replica.control.joinHost(
      {
        ...{ id: hostId, name: 'oak', address, credential, zone: 'default', labels: {} },
        ...{ totals: {}, version: 'test', bootId: 'test', ticket: { by: 'admin' } },
      },
      tester,
    );
    await eventually('oak up', async () => {
      const fleet = [...(await replica.ports.ledger.view()).hosts()];
      return fleet.some((host) => host.id === hostId && host.state === 'up');
    });
  });
  afterEach(async () => {
    await agent.close();
    server.closeAllConnections();
    server.close();
    await fixture.stop();
  });

  const running = async () => {
    const { id } = await replica.control.createVm({ resources: SMALL }, tester);
    await eventually('running', async () => {
      return (await replica.ports.catalogue.vm(id))?.state === 'running';
    });
    return id;
  };
  const status = async () => agentStatusSchema.parse((await agent.call('GET', '/v1/status')).body);

  it('shows at once what has become of a VM, without a poll', async () => {
    const id = await running();
    const vm = await replica.ports.catalogue.vm(id);
    const polls = () => replica.counted.filter(({ name }) => name === 'berth_agent_polls_total');
    const before = polls().length;
    await agent.call('POST', `/v1/vms/${id}/stop`, { assignment: vm?.allocation?.assignment });
    await agent.call('PUT', '/v1/vms/stranger', order(1));
    await eventually('the news', async () => {
      const seen = await replica.ports.catalogue.vm(id);
      // It is wanted running, so the lifecycle starts it again as soon as it knows.
      return seen !== null && seen.updatedAt.getTime() !== vm?.updatedAt.getTime();
    });
    expect(polls()).toHaveLength(before);
  });

  it('is not taken over when it was overtaken on its way', async () => {
    const id = await running();
    const older = await status();
    const newer = await status();
    await replica.control.acceptStatus(newer);
    const stopped = older.vms.map((vm) => ({ ...vm, state: 'stopped' as const }));
    const before = await replica.ports.catalogue.vm(id);
    await replica.control.acceptStatus({ ...older, vms: stopped, used: { cpu: 9 } });
    expect(await replica.ports.catalogue.vm(id)).toEqual(before);
    expect((await replica.ports.catalogue.host('oak'))?.used).toEqual(newer.used);
  });

  it('of a host that does not count as up has it asked', async () => {
    const { hostId, address } = agent.contact();
    await replica.ports.catalogue.saveHostPolls([
      { hostId, address, state: 'down', missedPolls: 3, status: null },
    ]);
    await replica.control.acceptStatus(await status());
    expect((await replica.ports.catalogue.host(hostId))?.state).toBe('up');
  });

  it('of a host that is not known is refused', async () => {
    await expect(
      replica.control.acceptStatus({ ...(await status()), hostId: 'nobody' }),
    ).rejects.toMatchObject({ code: 'not_found' });
  });
});
