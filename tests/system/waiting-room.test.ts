/** Creates that wait for room, on one replica and on three, one of which is killed. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { VmBody } from '../../src/wire/vms.js';
import { disagreements, readBooks } from '../support/books.js';
import { allVms, call, Cluster, until, type Replica } from '../support/cluster.js';

const SMALL = { cpu: 1, memory: 100, disk: 100 };
const GIANT = { cpu: 1, memory: 100_000, disk: 100 };
/** Room for exactly three of `SMALL`. */
const TIGHT = { cpu: 16, memory: 340, disk: 10_000 };

describe.each([1, 3])('the waiting room of %i replicas', (count) => {
  let cluster: Cluster;
  let replicas: Replica[];
  beforeEach(async () => {
    cluster = await Cluster.start();
    replicas = [];
    for (let number = 0; number < count; number += 1) replicas.push(await cluster.replica());
  });
  afterEach(() => cluster.stop());

  /** Takes turns, so that every replica gets its share. */
  let turn = 0;
  const url = () => {
    turn += 1;
    const alive = replicas.filter(({ program }) => program.running);
    const replica = alive[turn % alive.length];
    if (replica === undefined) throw new Error('no replica is alive');
    return replica.url;
  };
  const create = async (body: object = {}) => {
    const answer = await call<VmBody>(url(), 'POST', '/v1/vms', { resources: SMALL, ...body });
    if (answer.status !== 202) throw new Error(`not accepted: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const queue = (body: object = {}) => create({ whenFull: 'queue', ...body });
  const now = async ({ id }: VmBody) => (await call<VmBody>(url(), 'GET', `/v1/vms/${id}`)).body;
  const running = (vm: VmBody) =>
    until(`${vm.id} runs`, async () => (await now(vm)).state === 'running');
  const remove = (vm: VmBody | undefined) => call(url(), 'DELETE', `/v1/vms/${vm?.id ?? 'nobody'}`);
  const fill = async () => {
    await cluster.host(url(), 'oak', TIGHT);
    const vms = [await create(), await create(), await create()];
    for (const vm of vms) await running(vm);
    return vms;
  };

  it('places them in order as room appears, and a giant one in front stops nobody', async () => {
    const vms = await fill();
    const giant = await queue({ resources: GIANT });
    const line = [await queue(), await queue(), await queue()];
    const { body } = await call<{ items: VmBody[] }>(url(), 'GET', '/v1/vms?state=waiting');
    expect(body.items.map(({ id }) => id)).toEqual([giant, ...line].map(({ id }) => id));
    expect(giant.waitUntil).not.toBeNull();

    for (const [index, vm] of vms.entries()) {
      await remove(vm);
      const next = line[index];
      if (next === undefined) throw new Error('nobody is next');
      await running(next);
      const later = await Promise.all(line.slice(index + 1).map(now));
      expect(later.map(({ state }) => state)).toEqual(later.map(() => 'waiting'));
    }
    expect((await now(giant)).state).toBe('waiting');
    await cluster.host(url(), 'elm', { cpu: 16, memory: 200_000, disk: 10_000 });
    await running(giant);
    const wrong = () => readBooks(cluster).then(disagreements);
    await until('books that agree', async () => (await wrong()).length === 0);
  }, 300_000);

  it('answers who asked to be told, once it runs', async () => {
    const waiting = call<VmBody>(url(), 'POST', '/v1/vms?wait=running&timeout=60', {
      resources: SMALL,
      whenFull: 'queue',
    });
    await until('somebody who waits', async () =>
      (await allVms(url())).some(({ state }) => state === 'waiting'),
    );
    await cluster.host(url(), 'oak', TIGHT);
    expect((await waiting).body.state).toBe('running');
  }, 300_000);

  it('goes on after kill -9 of every replica but one, or a start of the only one', async () => {
    const vms = await fill();
    const line = [await queue(), await queue()];
    const [survivor, ...others] = replicas;
    if (survivor === undefined) throw new Error('no replica');
    // Whichever of them held the lease, it is dead now, or it is the survivor.
    if (others.length > 0) for (const { program } of others) await program.end('SIGKILL');
    else {
      await survivor.program.end('SIGKILL');
      replicas = [await cluster.replica()];
    }
    for (const [index, vm] of vms.slice(0, 2).entries()) {
      await remove(vm);
      const next = line[index];
      if (next === undefined) throw new Error('nobody is next');
      await running(next);
    }
    const wrong = () => readBooks(cluster).then(disagreements);
    await until('books that agree', async () => (await wrong()).length === 0);
  }, 300_000);
});
