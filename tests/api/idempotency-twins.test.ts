/** Idempotency-Keys over real stores: twins at two replicas, and two tenants with the same key. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createApi, type Api } from '../../src/api/api.js';
import { createMetrics } from '../../src/api/metrics.js';
import type { VmBody } from '../../src/wire/vms.js';
import { ControlFixture, eventually, type TestReplica } from '../control/control-fixture.js';
import { tester } from '../support/callers.js';
import { silentLog } from '../support/log.js';

const ADMIN_TOKEN = 'admin-token-of-the-twins-test';
const VM = { resources: { cpu: 1, memory: 64, disk: 64 } };

let fixture: ControlFixture;
let replica: TestReplica;
const apis: Api[] = [];
const urls: string[] = [];

beforeAll(async () => {
  fixture = await ControlFixture.start();
  replica = await fixture.replica();
  for (const { control, ports, verify, files } of [replica, await fixture.replica()]) {
    const api = createApi({
      control: { ...control, ...verify, ...files },
      catalogue: ports.catalogue,
      adminToken: ADMIN_TOKEN,
      limits: { ratePerTenantPerS: 100_000 },
      log: silentLog,
      metrics: createMetrics(),
      version: '0.1.0',
      port: 0,
      bind: '127.0.0.1',
    });
    apis.push(api);
    urls.push((await api.listen()).url);
  }
  await fixture.host(replica, 'oak', { cpu: 16, memory: 16_384, disk: 65_536 });
});
afterAll(async () => {
  for (const api of apis) await api.close();
  await fixture.stop();
});

/** Replicas take turns. */
let turn = 0;
async function create(key: string, body: unknown = VM, token = ADMIN_TOKEN) {
  turn += 1;
  const answer = await fetch(`${urls[turn % urls.length] ?? ''}/v1/vms`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'idempotency-key': key,
    },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, text, id: (JSON.parse(text) as VmBody).id };
}

const listed = async (path: string) =>
  (await replica.ports.catalogue.vms({ limit: 100, cursor: null, path })).items;

describe('equal requests with one key', () => {
  it.each([
    ['one VM', {}, 1],
    ['a set of VMs', { count: 3 }, 3],
  ])('have one effect and one answer: %s', async (what, more, made) => {
    const path = `twins-${made.toString()}`;
    const body = { ...VM, ...more, path };
    const twins = await Promise.all(
      Array.from({ length: 12 }, () => create(what.replaceAll(' ', '-'), body)),
    );
    expect(twins.map(({ status }) => status).filter((status) => status !== 409)).toContain(202);
    expect(twins.every(({ status }) => [202, 409].includes(status))).toBe(true);
    let last = await create(what.replaceAll(' ', '-'), body);
    await eventually('the answer', async () => {
      last = await create(what.replaceAll(' ', '-'), body);
      return last.status === 202;
    });
    for (const { status, text } of twins) if (status === 202) expect(text).toBe(last.text);
    expect(await listed(path)).toHaveLength(made);
  });
});

describe('two tenants with the same key', () => {
  it('each get what they asked for, and nothing of the other', async () => {
    const tokenOf = async (path: string) =>
      (await replica.control.createToken({ name: path, role: 'tenant', path }, tester)).secret;
    const [acme, other] = [await tokenOf('acme'), await tokenOf('other')];
    const first = await create('k', { ...VM, name: 'a' }, acme);
    const second = await create('k', { ...VM, name: 'b' }, other);
    expect([first.status, second.status]).toEqual([202, 202]);
    expect(second.id).not.toBe(first.id);
    expect(second.text).not.toContain('acme');
    expect(await listed('acme')).toHaveLength(1);
    expect(await listed('other')).toHaveLength(1);
    expect((await create('k', { ...VM, name: 'b' }, acme)).status).toBe(422);
  });
});
