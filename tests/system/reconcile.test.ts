/** Somebody meddles with a host behind Berth's back: both differences show within two periods. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { StraysBody } from '../../src/wire/orphans.js';
import type { VmBody } from '../../src/wire/vms.js';
import { call, Cluster, until, type Replica } from '../support/cluster.js';
import type { Agent } from '../../src/agent/agent.js';

const SMALL = { cpu: 1, memory: 100, disk: 100 };

describe('reconcile, with real programs', () => {
  let cluster: Cluster;
  let replica: Replica;
  let host: Agent;
  beforeAll(async () => {
    cluster = await Cluster.start();
    replica = await cluster.replica();
    host = await cluster.host(replica.url, 'oak', { cpu: 8, memory: 8_192, disk: 81_920 });
  }, 300_000);
  afterAll(() => cluster.stop());

  const atAgent = (method: string, path: string, body?: unknown) =>
    fetch(host.address + path, {
      method,
      headers: {
        authorization: `Bearer ${host.credential}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });

  const strays = async (): Promise<StraysBody> =>
    (await call<StraysBody>(replica.url, 'GET', '/v1/ops/orphans')).body;

  it('shows both, adopts one stranger and destroys another', async () => {
    const created = await call<VmBody>(replica.url, 'POST', '/v1/vms?wait=running', {
      resources: SMALL,
    });
    expect(created.body.state).toBe('running');
    const { id } = created.body;
    const assignment = created.body.allocation?.assignment.toString() ?? '';
    await atAgent('DELETE', `/v1/vms/${id}?assignment=${assignment}`);
    const order = { name: 'stranger', assignment: 1, resources: SMALL, image: null };
    for (const stranger of ['stays', 'goes']) {
      expect((await atAgent('PUT', `/v1/vms/${stranger}`, order)).status).toBe(200);
    }
    const shown = await until('all of it shown', async () => {
      const now = await strays();
      return now.orphans.length === 2 && now.missing.length === 1 ? now : null;
    });
    expect(shown.missing).toMatchObject([{ vm: { id }, host: { name: 'oak' }, onMissing: 'mark' }]);
    expect(shown.orphans.map(({ vmId }) => vmId)).toEqual(['goes', 'stays']);
    const marked = await call<VmBody>(replica.url, 'GET', `/v1/vms/${id}`);
    expect(marked.body).toMatchObject({ state: 'unknown', reason: { code: 'missing_on_host' } });

    const path = '/v1/ops/orphans/oak';
    expect((await call(replica.url, 'POST', `${path}/goes/destroy`, {})).status).toBe(202);
    expect((await call(replica.url, 'POST', `${path}/stays/adopt`, {})).status).toBe(202);
    await until('one runs, and none is shown', async () => {
      const adopted = await call<VmBody>(replica.url, 'GET', '/v1/vms/stays');
      return adopted.body.state === 'running' && (await strays()).orphans.length === 0;
    });
    expect((await atAgent('GET', '/v1/vms/goes')).status).toBe(404);
    await call(replica.url, 'DELETE', '/v1/vms/stays');
    await until('gone', async () => (await atAgent('GET', '/v1/vms/stays')).status === 404);
  }, 300_000);
});
