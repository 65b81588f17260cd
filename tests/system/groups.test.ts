/** Many creates at once in one hard group, a set, and reservations, on two replicas. */
import { afterEach, describe, expect, it } from '@jest/globals';
import type { ReservationBody } from '../../src/wire/reservations.js';
import type { CreatedVmsBody, VmBody } from '../../src/wire/vms.js';
import { disagreements, readBooks } from '../support/books.js';
import { call, Cluster, until, type Answer } from '../support/cluster.js';

const CREATES = 100;
const HOSTS = 8;
const VM = { cpu: 1, memory: 500, disk: 1_000 };
const TOTALS = { cpu: 16, memory: 32_000, disk: 100_000 };
const APART = { groups: [{ name: 'db', policy: 'anti-affinity' }] };

describe('one hard anti-affinity group over 8 hosts', () => {
  let cluster: Cluster;
  afterEach(() => cluster.stop());

  it('gets exactly 8 of 100 parallel creates placed, on 8 hosts', async () => {
    cluster = await Cluster.start();
    const urls = [(await cluster.replica()).url, (await cluster.replica()).url];
    const [first = '', second = ''] = urls;
    for (let index = 0; index < HOSTS; index += 1) {
      await cluster.host(first, `host-${index.toString()}`, TOTALS);
    }

    const answers = await Promise.all(
      Array.from({ length: CREATES }, (_none, index) =>
        call<VmBody>(urls[index % urls.length] ?? first, 'POST', '/v1/vms?wait=running', {
          resources: VM,
          constraints: APART,
        }),
      ),
    );
    const placed = answers.filter(({ status }) => status === 202).map(({ body }) => body);
    expect(statuses(answers)).toEqual({ 202: HOSTS, 409: CREATES - HOSTS });
    expect(new Set(placed.map(({ host }) => host?.id)).size).toBe(HOSTS);
    expect(new Set(placed.map(({ state }) => state))).toEqual(new Set(['running']));
    const refused = answers.find(({ status }) => status === 409);
    expect(refused?.body).toMatchObject({
      code: 'no_feasible_host',
      summary: { considered: HOSTS, feasible: 0, byReason: { anti_affinity: HOSTS } },
    });
    await until('books that agree', agree);

    // A set of a group of its own: one host each, or nothing at all.
    const batch = (count: number) => ({ resources: VM, constraints: APART, path: 'acme', count });
    const tooMany = await call(second, 'POST', '/v1/vms', batch(HOSTS + 1));
    expect(tooMany).toMatchObject({ status: 409, body: { index: HOSTS } });
    const whole = await call<CreatedVmsBody>(second, 'POST', '/v1/vms?wait=running', batch(HOSTS));
    expect(whole).toMatchObject({ status: 202, body: { placed: HOSTS, refused: 0 } });
    const taken = whole.body.items.map((item) =>
      item.status === 'placed' ? item.vm.host?.id : '',
    );
    expect(new Set(taken).size).toBe(HOSTS);

    // Room that is held stays in the books, and goes over to the VM that takes it.
    const held = await call<ReservationBody>(first, 'POST', '/v1/reservations', {
      resources: { ...VM, cpu: 2 },
    });
    expect(held.status).toBe(201);
    await until('books that agree with a reservation', agree);
    const taker = await call<VmBody>(second, 'POST', '/v1/vms?wait=running', {
      resources: VM,
      reservation: held.body.id,
    });
    expect(taker).toMatchObject({ status: 202, body: { host: held.body.host } });
    expect((await call(first, 'GET', `/v1/reservations/${held.body.id}`)).status).toBe(404);
    await until('books that agree without it', agree);
  }, 300_000);

  const agree = async () => disagreements(await readBooks(cluster)).length === 0;
});

function statuses(answers: readonly Answer<unknown>[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}
