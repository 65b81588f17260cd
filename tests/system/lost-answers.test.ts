/** Answers that are lost after the effect, of PostgreSQL and of an agent: asked again, done once. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { VmBody } from '../../src/wire/vms.js';
import { disagreements, readBooks } from '../support/books.js';
import { allVms, call, Cluster, until, type Replica } from '../support/cluster.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const VM = { resources: { cpu: 1, memory: 64, disk: 64 } };
const TOTALS = { cpu: 8, memory: 6_400, disk: 6_400 };

let cluster: Cluster;
let replica: Replica;
let toDatabase: TcpProxy;
beforeAll(async () => {
  cluster = await Cluster.start();
  const url = new URL(cluster.databaseUrl);
  toDatabase = await TcpProxy.start({ port: Number(url.port) });
  url.port = toDatabase.port.toString();
  replica = await cluster.replica({
    DATABASE_URL: url.href,
    LOG_LEVEL: 'error',
    HEALTH_DEADLINE_MS: '1500',
  });
  await cluster.host(replica.url, 'oak', TOTALS);
}, 180_000);
afterAll(async () => {
  await cluster.stop();
  await toDatabase.stop();
});

const stateOf = async (id: string): Promise<string> => {
  const { status, body } = await call<VmBody>(replica.url, 'GET', `/v1/vms/${id}`);
  return status === 404 ? 'gone' : body.state;
};
const untilState = (id: string, state: string) =>
  until(`${id} ${state}`, async () => (await stateOf(id)) === state);
const untilAgreed = () =>
  until('books that agree', async () => disagreements(await readBooks(cluster)).length === 0);

describe.each(['reset', 'hang'] as const)('the answer to a record is lost (%s)', (then) => {
  it('and asked for again: there is exactly one VM', async () => {
    const id = `recorded-${then}`;
    const lost = toDatabase.loseReply({ to: /record_creates/, then });
    // Who is told with 503 that nobody knows asks again, as this one does.
    const create = () => call(replica.url, 'POST', '/v1/vms', { ...VM, id });
    await until('an answer', async () => (await create()).status === 202);
    await lost;
    await untilState(id, 'running');
    expect((await allVms(replica.url)).filter((vm) => vm.id === id)).toHaveLength(1);
    await untilAgreed();
  });
});

describe.each(['reset', 'hang'] as const)('the answer of an agent is lost (%s)', (then) => {
  const id = `told-${then}`;
  let toAgent: TcpProxy;
  beforeEach(async () => {
    const { address = '' } = cluster.hosts[0] ?? {};
    toAgent = await TcpProxy.start({ port: Number(new URL(address).port) });
    await moveHostTo(toAgent.port);
  });
  afterEach(() => toAgent.stop());

  it('and asked for again: the VM is started, stopped and removed once', async () => {
    const created = toAgent.loseReply({ to: /PUT \/v1\/vms/, then });
    await call(replica.url, 'POST', '/v1/vms', { ...VM, id });
    await created;
    // The agent has it, and nobody knows: its room is kept.
    const { catalogueVms, ledgerSums } = await readBooks(cluster);
    expect(ledgerSums).toEqual(catalogueVms);
    expect(await stateOf(id)).not.toBe('failed');
    await untilState(id, 'running');

    const stopped = toAgent.loseReply({ to: /POST \/v1\/vms\/\S+\/stop/, then });
    await call(replica.url, 'POST', `/v1/vms/${id}/stop`);
    await stopped;
    await untilState(id, 'stopped');

    const started = toAgent.loseReply({ to: /POST \/v1\/vms\/\S+\/start/, then });
    await call(replica.url, 'POST', `/v1/vms/${id}/start`);
    await started;
    await untilState(id, 'running');
    await untilAgreed();

    const removed = toAgent.loseReply({ to: /DELETE \/v1\/vms/, then });
    await call(replica.url, 'DELETE', `/v1/vms/${id}`);
    await removed;
    await untilState(id, 'gone');
    await untilAgreed();
  }, 120_000);
});

async function moveHostTo(port: number): Promise<void> {
  const client = new pg.Client({ connectionString: cluster.databaseUrl });
  await client.connect();
  try {
    await client.query(`update hosts set address = $1`, [`http://127.0.0.1:${port}`]);
  } finally {
    await client.end();
  }
}
