/** Explanations: every reason with its amounts, counts over all hosts, and the nearest host. */
import { describe, expect, it } from '@jest/globals';
import type { Constraints } from '../../src/model/constraints.js';
import type { FleetHost } from '../../src/model/host.js';
import { cosine } from '../../src/placement/cosine.js';
import { explain } from '../../src/placement/explain.js';
import { HostTable } from '../../src/placement/host-table.js';
import { weightsOf } from '../../src/placement/strategy.js';
import { fleetHost } from '../support/hosts.js';

const RANKING = { strategy: cosine, weights: weightsOf({}) };
const SMALL = { cpu: 1, memory: 1024, disk: 1024 };

const explained = (
  hosts: readonly FleetHost[],
  resources: Readonly<Record<string, number>> = SMALL,
  constraints: Constraints = {},
) => explain(HostTable.of(hosts), { resources, constraints, path: 'root' }, RANKING);

describe('explain', () => {
  it.each<[string, Partial<FleetHost>, Constraints, string]>([
    ['down', { state: 'down' }, {}, 'host_down'],
    ['suspect', { state: 'suspect' }, {}, 'host_suspect'],
    ['joining', { state: 'joining' }, {}, 'host_joining'],
    ['cordoned', { mode: 'cordoned' }, {}, 'cordoned'],
    ['draining', { mode: 'draining' }, {}, 'draining'],
    ['retired', { mode: 'retired' }, {}, 'retired'],
    ['of another zone', { zone: 'a' }, { zone: 'b' }, 'zone'],
    ['without a label', {}, { labels: { required: { disk: 'ssd' } } }, 'label'],
    [
      'with another value',
      { labels: { disk: 'hdd' } },
      { labels: { required: { disk: 'ssd' } } },
      'label',
    ],
    [
      'with a forbidden label',
      { labels: { disk: 'hdd' } },
      { labels: { forbidden: { disk: 'hdd' } } },
      'label',
    ],
    ['not the one named', { id: 'a', name: 'a' }, { host: 'b' }, 'host'],
    ['excluded by id', { id: 'a' }, { exclude: ['a'] }, 'excluded'],
    ['excluded by name', { name: 'n' }, { exclude: ['n'] }, 'excluded'],
  ])('passes over a host that is %s', (_name, changes, constraints, code) => {
    const { rejected, chosen, summary } = explained([fleetHost(changes)], SMALL, constraints);
    expect(chosen).toBeNull();
    expect(rejected[0]?.reasons).toEqual([{ code }]);
    expect(summary.byReason).toEqual({ [code]: 1 });
  });

  it('tells every class that is short, with requested, available and limit', () => {
    const host = fleetHost({
      total: { cpu: 2, memory: 1000, disk: 1000 },
      allocated: { cpu: 7, memory: 895 },
    });
    const { rejected } = explained([host], { cpu: 2, memory: 10, disk: 900, gpu: 1 });
    expect(rejected[0]?.reasons).toEqual([
      { code: 'insufficient', resource: 'cpu', requested: 2, available: 1, limit: 8 },
      { code: 'insufficient', resource: 'memory', requested: 10, available: 5, limit: 900 },
      { code: 'insufficient', resource: 'gpu', requested: 1, available: 0, limit: 0 },
    ]);
  });

  it('counts a host once per reason and names the one that lacks least', () => {
    const hosts = [
      fleetHost({ allocated: { memory: 14_000 } }),
      fleetHost({ allocated: { memory: 13_900 } }),
      fleetHost({ allocated: { cpu: 32, memory: 14_700 } }),
      fleetHost({ mode: 'cordoned' }),
    ];
    const { summary } = explained(hosts, { cpu: 1, memory: 1000, disk: 1 });
    expect(summary).toMatchObject({
      considered: 4,
      feasible: 0,
      byReason: { insufficient: 3, cordoned: 1 },
      nearest: { host: { id: hosts[1]?.id }, missing: { memory: 155 } },
    });
  });

  it('ranks candidates from 1 and shows what is left and asked as shares of capacity', () => {
    const half = fleetHost({ allocated: { cpu: 16, memory: 8192, disk: 51_200 } });
    const empty = fleetHost();
    const { candidates, chosen } = explained([half, empty], { cpu: 8, memory: 4096, disk: 25_600 });
    expect(chosen).toBe(empty.id);
    expect(candidates.map(({ host, rank }) => [host.id, rank])).toEqual([
      [empty.id, 1],
      [half.id, 2],
    ]);
    expect(candidates[1]).toMatchObject({
      remaining: { cpu: 0.5, memory: 0.5, disk: 0.5 },
      requested: { cpu: 0.25, memory: 0.25, disk: 0.25 },
    });
  });
});
