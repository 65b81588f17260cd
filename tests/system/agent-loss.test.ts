/** An agent is killed and comes back: no new VM while it is away, and then the same ones. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { HostBody } from '../../src/wire/hosts.js';
import type { VmBody } from '../../src/wire/vms.js';
import { ADMIN_TOKEN, call, Cluster, Program, until } from '../support/cluster.js';
import { freePort } from '../support/free-port.js';

const SMALL = { cpu: 1, memory: 16, disk: 16 };

describe('an agent is killed', () => {
  let cluster: Cluster;
  beforeEach(async () => {
    cluster = await Cluster.start();
  });
  afterEach(() => cluster.stop());

  it('gets no VM while it is away, and is back with the same VMs', async () => {
    const { url } = await cluster.replica({ HEALTH_PERIOD_S: '1' });
    const env = {
      BERTH_URL: url,
      BERTH_JOIN_TOKEN: ADMIN_TOKEN,
      BERTH_DATA_DIR: await cluster.folder(),
      AGENT_NAME: 'real',
      AGENT_PORT: (await freePort()).toString(),
      HEALTH_PERIOD_S: '1',
    };
    const state = async () => (await call<HostBody>(url, 'GET', '/v1/hosts/real')).body.state;
    const agent = new Program(['agent'], env);
    cluster.programs.push(agent);
    await until('the host up', async () => (await state()) === 'up');
    const vms: string[] = [];
    for (let index = 0; index < 3; index += 1) {
      const { body } = await call<VmBody>(url, 'POST', '/v1/vms?wait=running', {
        resources: SMALL,
      });
      expect(body).toMatchObject({ state: 'running', host: { name: 'real' } });
      vms.push(body.id);
    }

    await agent.end('SIGKILL');
    await until('the host suspect', async () => ['suspect', 'down'].includes(await state()));
    const refused = await call(url, 'POST', '/v1/vms', { resources: SMALL });
    expect(refused.status).toBe(409);
    await until('the host down', async () => (await state()) === 'down');
    await until('VMs unknown', async () =>
      (await statesOf(url, vms)).every((s) => s === 'unknown'),
    );

    cluster.programs.push(new Program(['agent'], env));
    await until('the host up again', async () => (await state()) === 'up');
    await until('its VMs running', async () =>
      (await statesOf(url, vms)).every((s) => s === 'running'),
    );
    const { body } = await call<VmBody>(url, 'POST', '/v1/vms?wait=running', { resources: SMALL });
    expect(body).toMatchObject({ state: 'running', host: { name: 'real' } });
  }, 300_000);

  it('tries the next best host when one refuses the claim', async () => {
    const { url } = await cluster.replica();
    const liar = await cluster.host(url, 'liar', { cpu: 4, memory: 4_000, disk: 4_000 });
    await cluster.host(url, 'honest', { cpu: 2, memory: 1_000, disk: 1_000 });
    await fetch(`${liar.address}/v1/driver`, {
      method: 'PATCH',
      headers: {
        authorization: `Bearer ${liar.credential}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({ refuseClaims: true }),
    });
    const { body } = await call<VmBody>(url, 'POST', '/v1/vms?wait=running', {
      resources: { cpu: 1, memory: 500, disk: 500 },
    });
    expect(body).toMatchObject({ state: 'running', host: { name: 'honest' } });
    expect(body.attempts.map(({ host, outcome }) => [host.name, outcome])).toEqual([
      ['liar', 'placed'],
      ['liar', 'refused'],
      ['honest', 'placed'],
    ]);
  }, 300_000);
});

async function statesOf(url: string, ids: readonly string[]): Promise<string[]> {
  const answers = await Promise.all(ids.map((id) => call<VmBody>(url, 'GET', `/v1/vms/${id}`)));
  return answers.map(({ body }) => body.state);
}
