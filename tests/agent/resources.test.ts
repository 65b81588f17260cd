/** A real agent over HTTP: bursts of starts, what it says of its resources, and its metrics. */
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Driver } from '../../src/agent/drivers/driver.js';
import { createSimulatedDriver } from '../../src/agent/drivers/simulated.js';
import { DEFAULT_HOST_SETTINGS } from '../../src/agent/host-settings.js';
import { systemClock } from '../../src/std/clock.js';
import { agentStatusSchema, claimRefusedSchema } from '../../src/wire/agent.js';
import { agentResourcesSchema } from '../../src/wire/agent-resources.js';
import { order, SMALL, startFixture, until, type AgentFixture } from './agent-fixture.js';

let fixture: AgentFixture;
afterEach(() => fixture.close());

const orderOf = (resources: Readonly<Record<string, number>>, extra: object = {}) => ({
  ...order(1, resources as typeof SMALL),
  ...extra,
});
const resources = async () =>
  agentResourcesSchema.parse((await fixture.call('GET', '/resources')).body);

async function metrics(): Promise<string> {
  const { agent } = fixture;
  const response = await fetch(`${agent.address}/metrics`, {
    headers: { authorization: `Bearer ${agent.credential}` },
  });
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; /);
  return response.text();
}

describe('a burst of starts', () => {
  it('of 20 with room for 5: exactly 5 run, each refusal names every class that is short', async () => {
    const one = { cpu: 2, memory: 1024, disk: 1024, network: 1000, disk_io: 500, gpu: 1 };
    const room = Object.fromEntries(Object.entries(one).map(([name, n]) => [name, 5 * n]));
    fixture = await startFixture(undefined, { configuredTotals: room });
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        fixture.call('PUT', `/v1/vms/vm-${n.toString()}`, orderOf(one)),
      ),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(5);
    const refused = answers.filter(({ status }) => status !== 200);
    expect(refused).toHaveLength(15);
    for (const { status, body } of refused) {
      expect([status, body.code]).toEqual([409, 'claim_refused']);
      const { shortfalls } = claimRefusedSchema.parse(body);
      expect(shortfalls).toEqual(
        Object.entries(one).map(([resource, requested]) => ({
          resource,
          requested,
          available: 0,
          limit: 5 * requested,
        })),
      );
      for (const name of Object.keys(one)) expect(body.detail).toContain(`${name} (`);
    }
    const running = await until(
      async () => (await fixture.call('GET', '/v1/vms')).body.items as { state: string }[],
      (items) => items.every(({ state }) => state === 'running'),
    );
    expect(running).toHaveLength(5);
    expect((await resources()).memory.available).toBe(0);
  });

  it('counts what may be plugged in, and the larger direction of the network', async () => {
    fixture = await startFixture(undefined, {
      configuredTotals: { cpu: 8, memory: 4096, disk: 4096, network: 100 },
    });
    const small = { cpu: 1, memory: 1024, disk: 1024 };
    const extra = { hotplugMib: 1024, bandwidth: { download: 10, upload: 60 } };
    const first = await fixture.call('PUT', '/v1/vms/a', orderOf(small, extra));
    expect(first.status).toBe(200);
    const second = await fixture.call(
      'PUT',
      '/v1/vms/b',
      orderOf(small, { ...extra, hotplugMib: 2048 }),
    );
    expect(second.body.shortfalls).toEqual([
      { resource: 'memory', requested: 3072, available: 2048, limit: 4096 },
      { resource: 'network', requested: 60, available: 40, limit: 100 },
    ]);
    // One assignment means one order, of these too.
    const other = await fixture.call('PUT', '/v1/vms/a', orderOf(small, { hotplugMib: 1 }));
    expect(other.body.code).toBe('state_conflict');
    await fixture.restart();
    expect((await resources()).network.allocated).toBe(60);
  });

  it('keeps to the limits of the operator, per VM and in all', async () => {
    fixture = await startFixture(undefined, {
      settings: { ...DEFAULT_HOST_SETTINGS, maxPerVm: { cpu: 4 }, maxInAll: { cpu: 6 } },
    });
    const large = await fixture.call('PUT', '/v1/vms/a', order(1, { ...SMALL, cpu: 5 }));
    expect(large.body.shortfalls).toEqual([
      { resource: 'cpu', requested: 5, available: 4, limit: 4 },
    ]);
    expect((await fixture.call('PUT', '/v1/vms/a', order(1, { ...SMALL, cpu: 4 }))).status).toBe(
      200,
    );
    const third = await fixture.call('PUT', '/v1/vms/b', order(1, { ...SMALL, cpu: 3 }));
    expect(third.body.shortfalls).toEqual([
      { resource: 'cpu', requested: 3, available: 2, limit: 6 },
    ]);
    const status = agentStatusSchema.parse((await fixture.call('GET', '/v1/status')).body);
    expect(status.totals.cpu).toEqual({ total: 64, source: 'configured', max: 6 });
  });
});

describe('a machine of its own', () => {
  it('tells network, disk I/O and their sources in its status and in /resources', async () => {
    fixture = await startFixture(undefined, {
      configuredTotals: undefined,
      settings: { ...DEFAULT_HOST_SETTINGS, networkBytesPerS: 1_000 },
    });
    const { totals } = agentStatusSchema.parse((await fixture.call('GET', '/v1/status')).body);
    expect(totals.network).toEqual({ total: 1_000, source: 'configured' });
    expect(totals.disk_io).toEqual({ total: 0, source: 'unknown' });
    const report = await resources();
    expect(report.disk_io).toMatchObject({ source: 'unknown', capacity: 0, available: 0 });
    // What nobody knows keeps nothing away.
    const asked = { cpu: 1, memory: 1, disk: 1, disk_io: 10 ** 12 };
    expect((await fixture.call('PUT', '/v1/vms/a', orderOf(asked))).status).toBe(200);
  });
});

describe('what drivers and stores of images ask the agent', () => {
  it('is answered by what was measured last', async () => {
    fixture = await startFixture(undefined, {
      configuredTotals: { cpu: 8, memory: 4096, disk: 20 * 1024, network: 800 },
      settings: { ...DEFAULT_HOST_SETTINGS, imageShare: 0.5 },
    });
    await fixture.call('PUT', '/v1/vms/vm-1', orderOf({ cpu: 2, memory: 1, disk: 8 * 1024 }));
    const vm = { ...order(1), id: 'vm-1', state: 'running', reason: null } as const;
    const rates = fixture.agent.rates({ ...vm, users: [], stateSince: 1, removing: false });
    expect(rates).toMatchObject({ downloadBytesPerS: 100, diskIoBytesPerS: null });
    const GIB = 1024 ** 3;
    await fixture.agent.checkImageRoom(0);
    await fixture.agent.checkImageRoom(7 * GIB);
    await expect(fixture.agent.checkImageRoom(7 * GIB + 1)).rejects.toMatchObject({
      code: 'image_storage_full',
    });
  });
});

describe('metrics', () => {
  it('tell classes, disk, limits and what each VM uses', async () => {
    const driver: Driver = {
      ...createSimulatedDriver({ clock: systemClock, given: { bootMs: 5, stopMs: 5 } }),
      processOf: () => ({ pid: process.pid, interfaceName: null }),
    };
    fixture = await startFixture(undefined, {
      driver,
      configuredTotals: { cpu: 8, memory: 4096, disk: 4096, network: 800 },
      capacityPolicy: { overcommit: { cpu: 4 }, reserve: {} },
    });
    await fixture.call('PUT', '/v1/vms/vm-1', orderOf({ cpu: 2, memory: 1024, disk: 1024 }));
    const text = await metrics();
    for (const line of [
      'berth_agent_capacity{class="cpu"} 32',
      'berth_agent_limit{class="cpu"} 32',
      'berth_agent_allocated{class="memory"} 1024',
      'berth_agent_overcommit_ratio{class="cpu"} 4',
      'berth_agent_source{class="network",source="configured"} 1',
      'berth_agent_disk_bytes{part="overlays"} 1073741824',
      'berth_agent_vm_rate_limit_bytes_per_second{vm="vm-1",kind="download"} 200',
      'berth_agent_vms 1',
    ]) {
      expect(text).toContain(`${line}\n`);
    }
    expect(text).toMatch(/^berth_agent_vm_cpu_seconds_total\{vm="vm-1"\} [0-9.]+$/m);
    expect(text).toMatch(/^berth_agent_vm_memory_bytes\{vm="vm-1",kind="resident"\} [0-9]+$/m);
    expect(text).not.toMatch(/^berth_agent_vm_network_bytes_total\{/m);
  });

  it('need the credential, and are only read', async () => {
    fixture = await startFixture();
    expect((await fetch(`${fixture.agent.address}/metrics`)).status).toBe(401);
    const posted = await fixture.call('POST', '/metrics', {});
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET']);
  });
});
