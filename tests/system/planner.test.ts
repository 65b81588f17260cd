/** Plans of a real control plane, over the API and by the command line; advice that is followed. */
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { CapacityBody, RebalanceBody, SimulationBody } from '../../src/wire/planner.js';
import type { VmBody } from '../../src/wire/vms.js';
import { disagreements, readBooks } from '../support/books.js';
import { ADMIN_TOKEN, allVms, call, Cluster, until } from '../support/cluster.js';

const VM = { cpu: 2, memory: 1_000, disk: 1_000 };
/** Room for nine of VM. */
const TOTALS = { cpu: 8, memory: 10_000, disk: 100_000 };
const VMS = 6;

describe('plans', () => {
  let cluster: Cluster;
  let url: string;
  beforeEach(async () => {
    cluster = await Cluster.start();
    ({ url } = await cluster.replica());
    await cluster.host(url, 'oak', TOTALS);
    for (let made = 0; made < VMS; made += 1) expect((await create()).status).toBe(202);
    await cluster.host(url, 'elm', TOTALS);
  });
  afterEach(() => cluster.stop());

  const create = () => call<VmBody>(url, 'POST', '/v1/vms?wait=running', { resources: VM });
  const berth = async (...args: string[]): Promise<string> => {
    const env = { PATH: process.env.PATH ?? '', BERTH_URL: url, BERTH_TOKEN: ADMIN_TOKEN };
    const command = [resolve('dist/bin/berth.js'), ...args];
    return (await promisify(execFile)(process.execPath, command, { env })).stdout;
  };
  const where = async () =>
    (await allVms(url))
      .filter(({ state }) => state === 'running')
      .map(({ host }) => host?.name)
      .sort();

  /** Makes a VM anew where the advice says: while its old host is closed. */
  async function follow({ vm, from, to }: RebalanceBody['moves'][number]): Promise<void> {
    const cordon = (mode: string) => call(url, 'PATCH', `/v1/hosts/${from.id}`, { mode });
    expect((await call(url, 'DELETE', `/v1/vms/${vm.id}`)).status).toBe(202);
    await until(`the end of ${vm.id}`, async () => {
      const { status, body } = await call<VmBody>(url, 'GET', `/v1/vms/${vm.id}`);
      return status === 404 || body.state === 'deleted';
    });
    expect((await cordon('cordoned')).status).toBe(200);
    const made = await until('a VM in its place', async () => {
      const answer = await create();
      return answer.status === 202 ? answer.body : null;
    });
    expect(made.host?.name).toBe(to.name);
    expect((await cordon('enabled')).status).toBe(200);
  }

  it('of moves are right: followed, they leave nothing to advise', async () => {
    const { status, body } = await call<RebalanceBody>(url, 'POST', '/v1/rebalance', {});
    expect(status).toBe(200);
    expect(body).toMatchObject({ goal: 'spread', isSettled: true });
    expect(body.moves).toHaveLength(VMS / 2);
    expect(await berth('rebalance')).toContain('After these, no move gains enough.');
    for (const move of body.moves) await follow(move);
    expect(await where()).toEqual(['elm', 'elm', 'elm', 'oak', 'oak', 'oak']);
    const again = await call<RebalanceBody>(url, 'POST', '/v1/rebalance', {});
    expect(again.body).toMatchObject({ moves: [], isSettled: true });
    expect(again.body.before.unevenness).toBeCloseTo(body.after.unevenness, 12);
    expect(await berth('rebalance')).toContain('No move gains enough');
    await until(
      'books that agree',
      async () => disagreements(await readBooks(cluster)).length === 0,
    );
  }, 300_000);

  it('of room are right: so many more fit, and no more', async () => {
    const flavors = [{ name: 'vm', resources: VM }];
    const { body } = await call<CapacityBody>(url, 'POST', '/v1/capacity', {
      flavors,
      spare: true,
    });
    expect(body.flavors).toMatchObject([{ alone: 12, zones: { default: 12 } }]);
    expect(body.spare).toMatchObject([{ zone: 'default', spared: 1, unspared: [] }]);
    const printed = await berth('capacity', '--flavor', 'vm:cpu=2,memory=1000,disk=1000');
    expect(printed).toMatch(/^vm +.* +12 +12 +12 +memory \(2 of 2\)$/m);
    const answers = await Promise.all(Array.from({ length: 15 }, create));
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(12);
    const full = await call<CapacityBody>(url, 'POST', '/v1/capacity', { flavors, spare: true });
    expect(full.body.flavors).toMatchObject([{ alone: 0 }]);
    expect(full.body.spare?.[0]?.unspared).toHaveLength(2);
    expect(await berth('capacity', '--flavor', 'vm:cpu=2,memory=1000', '--spare')).toContain(
      'default: NOT N+1: the VMs of 2 of 2 hosts would not all fit on the others.',
    );
  }, 300_000);

  it('of a load end in time, one at once, and creates go on beside them', async () => {
    const requests = [{ arrivalS: 0, resources: VM, count: 13 }];
    const { status, body } = await call<SimulationBody>(url, 'POST', '/v1/simulations', {
      requests,
    });
    expect(status).toBe(200);
    expect(body.results).toMatchObject([{ placed: 12, refused: 1 }]);
    const hosts = Array.from({ length: 2_000 }, (_, index) => ({
      name: `h${index.toString()}`,
      resources: { cpu: 50 + (index % 50), memory: 100_000 + index, disk: 1_000_000 },
    }));
    const heavy = call(url, 'POST', '/v1/simulations', {
      hosts,
      strategies: ['cosine', 'balanced-fit', 'cosine-banded', 'stranding', 'k8s-balanced'],
      requests: Array.from({ length: 4_000 }, (_, index) => ({
        ...{ arrivalS: index, count: 5 },
        resources: { cpu: 1 + (index % 40), memory: 100 + index, disk: 1 + index },
      })),
    });
    const refused = await until('a second plan that is turned away', async () => {
      const answer = await call(url, 'POST', '/v1/rebalance', {});
      return answer.status === 429 ? answer : null;
    });
    expect(refused.body).toMatchObject({ code: 'overloaded' });
    expect((await create()).status).toBe(202);
    const ended = await heavy;
    if (ended.status !== 200) {
      expect(ended).toMatchObject({ status: 422, body: { code: 'plan_too_long' } });
    }
    expect((await call(url, 'POST', '/v1/rebalance', {})).status).toBe(200);
  }, 300_000);
});
