/** Redis is emptied under load: noticed, waited for, rebuilt; nothing is booked twice. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { VmBody } from '../../src/wire/vms.js';
import { disagreements, readBooks } from '../support/books.js';
import { call, Cluster, until, type Answer } from '../support/cluster.js';
import { ledgerPrefix } from '../support/ledger-in-place.js';

const VM = { cpu: 1, memory: 100, disk: 100 };
const CLIENTS = 8;
const FLUSHES = 3;

describe('FLUSHALL under load', () => {
  let cluster: Cluster;
  beforeEach(async () => {
    cluster = await Cluster.start();
  });
  afterEach(() => cluster.stop());

  it.each([1, 3])(
    'answers 503 for a moment and goes on with equal books: %d replica(s)',
    async (replicas) => {
      const urls: string[] = [];
      for (let index = 0; index < replicas; index += 1) urls.push((await cluster.replica()).url);
      const [url = ''] = urls;
      await cluster.host(url, 'oak', { cpu: 100, memory: 20_000, disk: 20_000 });
      await cluster.host(url, 'elm', { cpu: 100, memory: 20_000, disk: 20_000 });

      const answers: Answer<VmBody & { code?: string }>[] = [];
      let stopped = false;
      const client = async (own: string) => {
        const mine: string[] = [];
        while (!stopped) {
          const answer = await call<VmBody>(own, 'POST', '/v1/vms', { resources: VM });
          answers.push(answer);
          if (answer.status === 202) mine.push(answer.body.id);
          if (mine.length > 4) await call(own, 'DELETE', `/v1/vms/${mine.shift() ?? ''}`);
        }
      };
      const clients = Array.from({ length: CLIENTS }, (_unused, index) =>
        client(urls[index % replicas] ?? url),
      );
      const redis = cluster.redis.client();
      const incarnation = () => redis.hget('berth:{main}:ledger', 'incarnation');
      for (let flush = 0; flush < FLUSHES; flush += 1) {
        const before = answers.filter(({ status }) => status === 202).length;
        await until('creates that succeed', () =>
          Promise.resolve(answers.filter(({ status }) => status === 202).length > before + 20),
        );
        const old = await incarnation();
        await cluster.redis.flushAll();
        await until('another ledger', async () => {
          const now = await incarnation();
          return now !== null && now !== old;
        });
        await until(
          'readyz to be ready again',
          async () => (await call(url, 'GET', '/readyz')).status === 200,
        );
      }
      stopped = true;
      await Promise.all(clients);

      const refused = answers.filter(({ status }) => status !== 202);
      expect(refused.length).toBeGreaterThan(0);
      for (const { status, headers, body } of refused) {
        expect([status, body.code]).toEqual([503, 'ledger_rebuilding']);
        expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      }
      await until(
        'books that agree',
        async () => disagreements(await readBooks(cluster)).length === 0,
      );
      const after = await call<VmBody>(url, 'POST', '/v1/vms?wait=running', { resources: VM });
      expect(after.body.state).toBe('running');
    },
    300_000,
  );

  it('rebuilds on demand and shows the drift before and after', async () => {
    const { url } = await cluster.replica();
    const host = await cluster.host(url, 'oak', { cpu: 100, memory: 20_000, disk: 20_000 });
    const created = await call<VmBody>(url, 'POST', '/v1/vms?wait=running', { resources: VM });
    expect(created.body).toMatchObject({ state: 'running' });
    const client = cluster.redis.client();
    await client.hincrby(`${await ledgerPrefix(client)}host:${host.hostId}`, 'used:cpu', 5);

    const dry = await call(url, 'POST', '/v1/ops/rebuild', { dryRun: true });
    const drifted = { id: host.hostId, name: 'oak', drift: { cpu: 5 } };
    expect(dry.body).toMatchObject({
      dryRun: true,
      vms: 1,
      hosts: [{ ...drifted, driftAfter: null }],
    });
    const done = await call(url, 'POST', '/v1/ops/rebuild', {});
    expect(done.body).toMatchObject({
      dryRun: false,
      vms: 1,
      hosts: [{ ...drifted, driftAfter: {} }],
    });
    expect(disagreements(await readBooks(cluster))).toEqual([]);
  });
});
