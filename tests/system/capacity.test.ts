/** Many creates at once against little room: exactly as many VMs as fit, and the books agree. */
import { afterEach, describe, expect, it } from '@jest/globals';
import type { VmBody } from '../../src/wire/vms.js';
import { disagreements, readBooks } from '../support/books.js';
import { call, Cluster, until, type Answer } from '../support/cluster.js';

const CREATES = 200;
const ROOM = 37;
const VM = { cpu: 2, memory: 1000, disk: 1000 };

/** Limits: cpu 4 × total, memory and disk 90 % of the total. Room for 10 + 12 + 15 VMs. */
const HOSTS = [
  { name: 'oak', totals: { cpu: 5, memory: 20_000, disk: 50_000 } },
  { name: 'elm', totals: { cpu: 64, memory: 13_400, disk: 50_000 } },
  { name: 'fir', totals: { cpu: 64, memory: 50_000, disk: 16_700 } },
];

describe('200 parallel creates against room for 37', () => {
  let cluster: Cluster;
  afterEach(() => cluster.stop());

  it.each([1, 3])(
    'with %d replica(s): 37 VMs, 163 refusals, equal books',
    async (replicas) => {
      cluster = await Cluster.start();
      const urls: string[] = [];
      for (let index = 0; index < replicas; index += 1) urls.push((await cluster.replica()).url);
      const [first = ''] = urls;
      for (const { name, totals } of HOSTS) await cluster.host(first, name, totals);

      const answers = await Promise.all(
        Array.from({ length: CREATES }, (_unused, index) =>
          call<VmBody>(urls[index % replicas] ?? first, 'POST', '/v1/vms?wait=running', {
            resources: VM,
          }),
        ),
      );

      const placed = answers.filter(({ status }) => status === 202);
      expect(countBy(answers)).toEqual({ 202: ROOM, 409: CREATES - ROOM });
      expect(new Set(placed.map(({ body }) => body.state))).toEqual(new Set(['running']));
      for (const { status, body } of answers) {
        if (status !== 409) continue;
        expect(body).toMatchObject({
          code: 'no_feasible_host',
          summary: { considered: 3, feasible: 0, byReason: { insufficient: 3 } },
        });
      }
      await until(
        'books that agree',
        async () => disagreements(await readBooks(cluster)).length === 0,
      );
      const { catalogueAllocations } = await readBooks(cluster);
      const vms = Object.values(catalogueAllocations).map(({ memory = 0 }) => memory / VM.memory);
      expect(vms.sort((a, b) => a - b)).toEqual([10, 12, 15]);
    },
    300_000,
  );
});

function countBy(answers: readonly Answer<unknown>[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}
