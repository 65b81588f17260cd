/** Most hosts hang at once: Berth takes itself to be cut off. One that is lost is lost. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Agent } from '../../src/agent/agent.js';
import type { BreakerBody } from '../../src/wire/breaker.js';
import type { HostBody } from '../../src/wire/hosts.js';
import type { ReadinessBody } from '../../src/wire/ops.js';
import type { VmBody } from '../../src/wire/vms.js';
import { ADMIN_TOKEN, allVms, call, Cluster, until } from '../support/cluster.js';
import { freePort } from '../support/free-port.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const SMALL = { cpu: 1, memory: 16, disk: 16 };
const TOTALS = { cpu: 64, memory: 4_000, disk: 4_000 };
const PERIOD_MS = 1_000;

describe('many hosts go missing', () => {
  let cluster: Cluster;
  let proxies: TcpProxy[];
  beforeEach(async () => {
    proxies = [];
    cluster = await Cluster.start();
  });
  afterEach(async () => {
    await cluster.stop();
    await Promise.all(proxies.map((proxy) => proxy.stop()));
  });

  /** A host whose agent can be made to hang. */
  async function behindProxy(url: string, name: string): Promise<void> {
    const port = await freePort();
    const proxy = await TcpProxy.start({ port });
    proxies.push(proxy);
    const advertiseAddress = `http://127.0.0.1:${proxy.port.toString()}`;
    await cluster.host(url, name, TOTALS, 20, { port, advertiseAddress });
  }

  async function tenHosts(url: string): Promise<Agent> {
    const [loner] = await Promise.all([
      ...[1, 2, 3, 4].map((at) => cluster.host(url, `stays-${at.toString()}`, TOTALS)),
      ...[1, 2, 3, 4, 5, 6].map((at) => behindProxy(url, `hangs-${at.toString()}`)),
    ]);
    if (loner === undefined) throw new Error('there is no host');
    return loner;
  }

  it('opens the breaker and does nothing else, until they are back', async () => {
    const env = { HEALTH_PERIOD_S: (PERIOD_MS / 1_000).toString(), HEALTH_DEADLINE_MS: '500' };
    const { url } = await cluster.replica(env);
    const breaker = async () => (await call<BreakerBody>(url, 'GET', '/v1/ops/breaker')).body;
    const hosts = async () =>
      (await call<{ items: HostBody[] }>(url, 'GET', '/v1/hosts')).body.items;
    const loner = await tenHosts(url);
    await Promise.all(
      ['hangs-1', 'hangs-2', 'stays-1'].map(async (host) => {
        const body = { resources: SMALL, constraints: { host } };
        const { body: vm } = await call<VmBody>(url, 'POST', '/v1/vms?wait=running', body);
        expect(vm).toMatchObject({ state: 'running', host: { name: host } });
      }),
    );

    for (const proxy of proxies) proxy.hang();
    await until('the breaker open', async () => (await breaker()).state === 'open');
    await until('six of ten missing', async () => (await breaker()).missing === 6);
    // Longer than it takes a host to go down.
    const openedAt = Date.parse((await breaker()).lookedAt ?? '');
    await until('four looks more', async () => {
      const lookedAt = Date.parse((await breaker()).lookedAt ?? '');
      return lookedAt - openedAt >= 4 * PERIOD_MS;
    });
    expect((await hosts()).filter(({ state }) => state === 'down')).toEqual([]);
    expect((await hosts()).filter(({ mode }) => mode !== 'enabled')).toEqual([]);
    expect((await allVms(url)).map(({ state }) => state)).toEqual([
      'running',
      'running',
      'running',
    ]);
    // Any other replica knows of it, right after its start.
    const fresh = await cluster.replica({ ...env, HEALTH_PERIOD_S: '60' });
    const { status, body } = await call<ReadinessBody>(fresh.url, 'GET', '/readyz');
    expect([status, body.dependencies.fleet.state]).toEqual([200, 'breaker_open']);
    const metrics = await fetch(`${fresh.url}/metrics`, {
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    });
    expect(await metrics.text()).toMatch(/^berth_breaker_open 1$/m);
    await fresh.program.end();

    for (const proxy of proxies) proxy.heal();
    await until('the breaker closed', async () => (await breaker()).state === 'closed');
    await until('all up', async () => (await hosts()).every(({ state }) => state === 'up'));

    await loner.stop();
    await until('the lost one down', async () =>
      (await hosts()).some(({ name, state }) => name === 'stays-1' && state === 'down'),
    );
    await until('its VM unknown', async () => {
      const states = (await allVms(url)).map(({ state }) => state).sort();
      return states.join() === 'running,running,unknown';
    });
    expect((await breaker()).state).toBe('closed');
  }, 180_000);
});
