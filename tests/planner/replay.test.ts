/** Replays: small loads followed by hand, and what holds of every load. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { STRATEGY_NAMES } from '../../src/model/strategies.js';
import { compare, ranked } from '../../src/planner/compare.js';
import { filling, meanRequest, type LoadRequest } from '../../src/planner/load.js';
import { mainReason, replay } from '../../src/planner/replay.js';
import { check } from '../support/properties.js';
import { anyFleet, plainHost, resultOf } from './fleets.js';

const request = (
  arrivalS: number,
  lifetimeS: number | null,
  cpu: number,
  changes: Partial<LoadRequest> = {},
): LoadRequest => ({
  name: `r${arrivalS.toString()}`,
  arrivalS,
  lifetimeS,
  path: 'root',
  resources: { cpu, memory: cpu, disk: cpu },
  constraints: {},
  ...changes,
});

const host = plainHost('a', { cpu: 10, memory: 10, disk: 10 });

describe('a replay', () => {
  it('places, refuses and lets go in order of time', () => {
    const result = resultOf(
      replay({
        hosts: [host],
        strategy: 'cosine',
        // The second finds no room; the third comes in the moment in which the first leaves.
        requests: [request(5, null, 6), request(0, 5, 8), request(3, 10, 4), request(8, 1, 4)],
      }),
    );
    expect(result).toMatchObject({
      hosts: 1,
      requests: 4,
      placed: 3,
      refused: 1,
      refusedByReason: { 'insufficient cpu + disk + memory': 1 },
      firstRefusal: { request: 2, load: 1.2 },
      onePercent: null,
    });
    expect(result.refusedVolume).toBeCloseTo(4 / 22);
    expect(result.samples.map(({ atS }) => atS)).toEqual([0, 3, 5, 5, 8, 9, 13]);
    expect(result.samples.map(({ utilisation }) => utilisation.cpu)).toEqual([
      0.8, 0.8, 0, 0.6, 1, 0.6, 0.6,
    ]);
    expect(result.peak.cpu).toBe(1);
    expect(result.samples.map(({ emptyHosts }) => emptyHosts)).toEqual([0, 0, 1, 0, 0, 0, 0]);
  });

  it('keeps what is booked already', () => {
    const used = { ...host, allocated: { cpu: 5, memory: 5, disk: 5 } };
    const { samples, placed } = resultOf(
      replay({ hosts: [used], strategy: 'best-fit', requests: [request(0, 1, 5)] }),
    );
    expect(placed).toBe(1);
    expect(samples.map(({ utilisation }) => utilisation.cpu)).toEqual([1, 0.5]);
    expect(samples.map(({ emptyHosts }) => emptyHosts)).toEqual([0, 0]);
  });

  it('obeys zones and groups', () => {
    const hosts = [plainHost('a', { cpu: 8 }, { zone: 'x' }), plainHost('b', { cpu: 8 })];
    const group = { groups: [{ name: 'web', policy: 'anti-affinity' as const }] };
    const small = { resources: { cpu: 1 } };
    const result = resultOf(
      replay({
        hosts,
        strategy: 'first-fit',
        requests: [
          request(0, null, 1, { ...small, constraints: { zone: 'nowhere' } }),
          ...[1, 2, 3].map((at) => request(at, null, 1, { ...small, constraints: group })),
        ],
      }),
    );
    expect(result.refusedByReason).toEqual({ zone: 1, anti_affinity: 1 });
  });

  it('tells hosts apart by cosine where no host has the third class', () => {
    const hosts = [
      plainHost('a', { cpu: 10, memory: 40 }),
      plainHost('b', { cpu: 40, memory: 10 }),
    ];
    const wide = { ...request(0, null, 1), resources: { cpu: 8, memory: 1 } };
    const { placed, samples } = resultOf(
      replay({ hosts, strategy: 'cosine', requests: [wide, wide, wide, wide] }),
    );
    // They go to the host that has CPUs; the other could take one of them.
    expect(placed).toBe(4);
    expect(samples.at(-1)?.emptyHosts).toBe(1);
  });

  it('never books above a limit, counts everybody once and is the same every time', () => {
    check(
      fc.property(
        anyFleet,
        fc.array(
          fc.record({
            arrivalS: fc.nat(20),
            lifetimeS: fc.option(fc.integer({ min: 1, max: 9 })),
            cpu: fc.integer({ min: 1, max: 9 }),
          }),
          { minLength: 1, maxLength: 40 },
        ),
        fc.constantFrom(...STRATEGY_NAMES),
        ({ hosts }, draws, strategy) => {
          const requests = draws.map((draw) => request(draw.arrivalS, draw.lifetimeS, draw.cpu));
          const result = resultOf(replay({ hosts, requests, strategy }));
          expect(result.placed + result.refused).toBe(requests.length);
          const reasons = Object.values(result.refusedByReason);
          expect(reasons.reduce((sum, count) => sum + count, 0)).toBe(result.refused);
          for (const share of Object.values(result.peak)) expect(share).toBeLessThanOrEqual(1);
          for (const { fragmentation, emptyHosts } of result.samples) {
            expect(fragmentation).toBeGreaterThanOrEqual(0);
            expect(fragmentation).toBeLessThanOrEqual(1);
            expect(emptyHosts).toBeGreaterThanOrEqual(0);
          }
          expect(resultOf(replay({ hosts, requests, strategy }))).toEqual(result);
        },
      ),
      150,
    );
  });
});

describe('several strategies', () => {
  it('are ranked: the least refused first', () => {
    // Spread, the two small ones leave no room for the large one.
    const hosts = ['a', 'b'].map((id) => plainHost(id, { cpu: 10, memory: 10, disk: 10 }));
    const requests = [request(0, null, 2), request(1, null, 2), request(2, null, 10)];
    const results = resultOf(compare({ hosts, requests, strategies: ['worst-fit', 'best-fit'] }));
    expect(results.map(({ strategy, refused }) => [strategy, refused])).toEqual([
      ['best-fit', 0],
      ['worst-fit', 1],
    ]);
    expect(ranked(results.toReversed())).toEqual(results);
  });
});

describe('filling', () => {
  const requests = [request(0, 5, 1), request(1, 5, 3)];

  it('repeats the load until the tightest class is asked for so often', () => {
    const filled = filling(requests, { cpu: 10, memory: 100, disk: 100 }, 1.3, 'seed');
    const asked = filled.reduce((sum, { resources }) => sum + (resources.cpu ?? 0), 0);
    expect(asked).toBeGreaterThanOrEqual(13);
    expect(asked).toBeLessThan(13 + 3);
    expect(filled.slice(0, 2).map(({ resources }) => resources.cpu)).toEqual([1, 3]);
    expect(filled.every(({ lifetimeS }) => lifetimeS === null)).toBe(true);
    expect(filling(requests, { cpu: 10, memory: 100, disk: 100 }, 1.3, 'seed')).toEqual(filled);
  });

  it('knows the mean request', () => {
    expect(meanRequest(requests)).toEqual({ cpu: 2, memory: 2, disk: 2 });
    expect(meanRequest([])).toEqual({});
  });
});

describe('the reason of a refusal', () => {
  it.each([
    [{ considered: 0, feasible: 0, byReason: {}, nearest: null }, 'no hosts'],
    [{ considered: 3, feasible: 0, byReason: { zone: 1, cordoned: 2 }, nearest: null }, 'cordoned'],
    [
      {
        considered: 2,
        feasible: 0,
        byReason: { insufficient: 2 },
        nearest: { host: { id: 'a', name: 'a' }, missing: { memory: 1, cpu: 2 } },
      },
      'insufficient cpu + memory',
    ],
  ])('of %j is %s', (summary, reason) => {
    expect(mainReason(summary)).toBe(reason);
  });
});
