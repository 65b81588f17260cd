/** A replica is killed under load: nothing that was acknowledged is lost, and the books agree. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { VmBody } from '../../src/wire/vms.js';
import { disagreements, readBooks } from '../support/books.js';
import { allVms, call, Cluster, until } from '../support/cluster.js';

const VM = { cpu: 1, memory: 50, disk: 50 };
const CLIENTS_PER_REPLICA = 3;
const CREATES_BEFORE_KILL = 30;

describe('a replica is killed under load', () => {
  let cluster: Cluster;
  beforeEach(async () => {
    cluster = await Cluster.start();
  });
  afterEach(() => cluster.stop());

  it('loses nothing that was acknowledged, and the others go on', async () => {
    const replicas = [await cluster.replica(), await cluster.replica(), await cluster.replica()];
    const [survivor, doomed] = replicas;
    if (survivor === undefined || doomed === undefined) throw new Error('no replicas');
    await cluster.host(survivor.url, 'oak', { cpu: 200, memory: 40_000, disk: 40_000 });
    await cluster.host(survivor.url, 'elm', { cpu: 200, memory: 40_000, disk: 40_000 });

    const acknowledged: string[] = [];
    let stopped = false;
    const client = async (url: string) => {
      while (!stopped) {
        const answer = await call<VmBody>(url, 'POST', '/v1/vms', { resources: VM }).catch(
          () => null,
        );
        // The killed one answers nobody any more.
        if (answer === null) return;
        if (answer.status === 202) acknowledged.push(answer.body.id);
      }
    };
    const clients = replicas.flatMap(({ url }) =>
      Array.from({ length: CLIENTS_PER_REPLICA }, () => client(url)),
    );
    const more = (count: number) =>
      until('more creates', () => Promise.resolve(acknowledged.length >= count));
    await more(CREATES_BEFORE_KILL);
    await doomed.program.end('SIGKILL');
    await more(acknowledged.length + CREATES_BEFORE_KILL);
    stopped = true;
    await Promise.all(clients);

    await until(
      'every VM at rest',
      async () => (await allVms(survivor.url)).every(({ state }) => state === 'running'),
      150_000,
    );
    const known = new Set((await allVms(survivor.url)).map(({ id }) => id));
    expect(acknowledged.filter((id) => !known.has(id))).toEqual([]);
    await until(
      'books that agree',
      async () => disagreements(await readBooks(cluster)).length === 0,
      150_000,
    );
  }, 300_000);
});
