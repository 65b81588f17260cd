/** A host is drained while creates go on, and the replica that works on it is killed. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { DrainBody } from '../../src/wire/drains.js';
import type { HostBody } from '../../src/wire/hosts.js';
import type { VmBody } from '../../src/wire/vms.js';
import { disagreements, readBooks } from '../support/books.js';
import { allVms, call, Cluster, until, type Replica } from '../support/cluster.js';
import { onTwo, Sightings } from '../support/sightings.js';

const VM = { cpu: 1, memory: 100, disk: 100 };
const TOTALS = { cpu: 100, memory: 20_000, disk: 20_000 };
const VMS = 10;
const LONG_MS = 120_000;

describe('the watch over the agents', () => {
  const sets = (...ids: string[]) => ids.map((id) => new Set(id === '' ? [] : [id]));

  it('sees a VM that is on two hosts, and lets one pass that moves', () => {
    expect(onTwo(sets('a', 'a'), sets('a', 'a'))).toContain('a');
    expect(onTwo(sets('a', ''), sets('', 'a'))).toEqual([]);
    // Asked first, it was still here; asked second, it was already there.
    expect(onTwo(sets('a', 'a'), sets('', 'a'))).toEqual([]);
    expect(onTwo(sets('', 'a'), sets('a', 'a'))).toEqual(['a']);
  });
});

describe('a host that is drained', () => {
  let cluster: Cluster;
  beforeEach(async () => {
    cluster = await Cluster.start();
  });
  afterEach(() => cluster.stop());

  const drainOf = async (url: string) =>
    (await call<DrainBody>(url, 'GET', '/v1/hosts/oak/drain')).body;

  it('ends empty as planned, under load and a kill -9, and no VM is ever on two hosts', async () => {
    const replicas = [await cluster.replica(), await cluster.replica()] as const;
    const [{ url }] = replicas;
    await cluster.host(url, 'oak', TOTALS);
    for (let made = 0; made < VMS; made += 1) {
      const { status } = await call(url, 'POST', '/v1/vms?wait=running', { resources: VM });
      expect(status).toBe(202);
    }
    await cluster.host(url, 'elm', TOTALS);
    await cluster.host(url, 'ash', TOTALS);
    const watch = new Sightings(cluster.hosts);

    const dryRun = await call<DrainBody>(url, 'POST', '/v1/hosts/oak/drain', { dryRun: true });
    expect(dryRun).toMatchObject({ status: 200, body: { state: 'planned' } });
    expect(dryRun.body.moves.map(({ state }) => state)).toEqual(Array(VMS).fill('planned'));

    const started = await call<DrainBody>(url, 'POST', '/v1/hosts/oak/drain', {
      reason: 'disks',
      owner: 'jo',
    });
    expect(started).toMatchObject({ status: 202, body: { state: 'draining', reason: 'disks' } });
    const load = creates(replicas);

    const doomed = await until(
      'a replica that moves a VM, in the middle',
      async () => {
        const { moves } = await drainOf(replicas[1].url);
        const moved = moves.filter(({ state }) => state === 'moved').length;
        if (moved === 0 || moved >= VMS - 2) return null;
        return replicas.find(({ program }) => program.output.includes('vm moves'));
      },
      LONG_MS,
    );
    await doomed.program.end('SIGKILL');
    const again = await cluster.replica({}, doomed.port);
    await until('the end', async () => (await drainOf(again.url)).state === 'done', LONG_MS);
    const landed = await load.end();

    const { moves } = await drainOf(again.url);
    expect(moves).toHaveLength(VMS);
    for (const { state, planned, target, detail } of moves) {
      expect(state).toBe('moved');
      if (detail === null) expect(target).toEqual(planned);
      else expect(detail).toMatch(/^not to \w+ as planned: /);
    }
    expect(landed.length).toBeGreaterThan(0);
    expect(landed.filter((name) => name === 'oak')).toEqual([]);
    await until(
      'every VM running elsewhere',
      async () => {
        const vms = await allVms(again.url);
        return vms.every(({ state, host }) => state === 'running' && host?.name !== 'oak');
      },
      LONG_MS,
    );
    const { body: oak } = await call<HostBody>(again.url, 'GET', '/v1/hosts/oak');
    expect(oak).toMatchObject({ mode: 'draining', vms: 0 });
    await until(
      'books that agree',
      async () => disagreements(await readBooks(cluster)).length === 0,
      LONG_MS,
    );
    expect(watch.rounds).toBeGreaterThan(VMS);
    expect(await watch.end()).toEqual([]);

    const retired = await call<HostBody>(again.url, 'DELETE', '/v1/hosts/oak');
    expect(retired).toMatchObject({ status: 200, body: { mode: 'retired' } });
  }, 300_000);
});

/** Creates one after another on each replica until the end; answers where they landed. */
function creates(replicas: readonly Replica[]) {
  const landed: string[] = [];
  let stopped = false;
  const client = async ({ url }: Replica) => {
    while (!stopped) {
      // The killed one answers nobody for a while.
      const answer = await call<VmBody>(url, 'POST', '/v1/vms', { resources: VM }).catch(
        () => null,
      );
      if (answer?.status === 202) landed.push(answer.body.host?.name ?? 'nowhere');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  const clients = replicas.map(client);
  return {
    async end() {
      stopped = true;
      await Promise.all(clients);
      return landed;
    },
  };
}
