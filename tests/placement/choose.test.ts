/**
 * The choice against golden cases worked out by hand, and against a naive implementation of the
 * same contract on random fleets.
 */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { NO_CONSTRAINTS } from '../../src/model/constraints.js';
import type { FleetHost } from '../../src/model/host.js';
import type { Resources } from '../../src/model/resources.js';
import { choose } from '../../src/placement/choose.js';
import { cosine } from '../../src/placement/cosine.js';
import { explain } from '../../src/placement/explain.js';
import { HostTable } from '../../src/placement/host-table.js';
import { ratio } from '../../src/placement/ratio.js';
import { weightsOf } from '../../src/placement/strategy.js';
import { fleetHost } from '../support/hosts.js';
import { naiveChoice, naiveScore, naiveViolations } from './naive.js';
import {
  asFleetHost,
  asked,
  naiveHost,
  rankingOf,
  scenario,
  shuffled,
  tableOf,
} from './scenarios.js';

const EVEN = { strategy: cosine, weights: weightsOf({}) };
const CASES = 4_000;

function chosen(hosts: readonly FleetHost[], resources: Resources, ranking = EVEN): string | null {
  const table = HostTable.of(hosts);
  const decision = choose(table, { resources, constraints: NO_CONSTRAINTS, path: 'root' }, ranking);
  return decision.kind === 'placed' ? table.factsAt(decision.row).id : null;
}

/** Capacity is what is said; nothing reserved, no overcommit. */
const plain = (
  id: string,
  [cpu, memory, disk]: [number, number, number],
  allocated: Resources = {},
) => fleetHost({ id, name: id, total: { cpu, memory, disk }, noReserve: true, allocated });

describe('the formula, worked out by hand', () => {
  it.each([
    ['1 of 4', 1, 4, 0.25],
    ['of nothing', 5, 0, 0],
    ['of less than nothing', 5, -2, 0],
    ['less than nothing', -3, 10, 0],
    ['nothing of nothing', 0, 0, 0],
    ['nothing', 0, 10, 0],
  ])('a ratio: %s', (_name, part, whole, expected) => {
    expect(ratio(part, whole)).toBe(expected);
  });

  it.each<[string, FleetHost, Resources, number]>([
    ['parallel vectors', plain('a', [10, 10, 10]), { cpu: 2, memory: 2, disk: 2 }, 1],
    ['something exhausted', plain('a', [4, 4, 4], { disk: 4 }), { cpu: 1, memory: 1 }, -1],
    ['a class that is not there', plain('a', [4, 4, 0]), { cpu: 1, memory: 1 }, -1],
    ['nothing asked', plain('a', [4, 4, 4]), {}, 0],
    // rem (1, .5, .5), req (.5, 0, 0): .5 / (√1.5 · .5) = 1 / √1.5
    [
      'one class asked',
      plain('a', [2, 2, 2], { memory: 1, disk: 1 }),
      { cpu: 1 },
      1 / Math.sqrt(1.5),
    ],
  ])('a score: %s', (_name, host, request, expected) => {
    const table = HostTable.of([host]);
    const requested = Float64Array.of(request.cpu ?? 0, request.memory ?? 0, request.disk ?? 0);
    expect(cosine.score(table, 0, requested, weightsOf({}))).toBeCloseTo(expected, 12);
  });

  it('chooses the host whose remaining capacity points the way of the request', () => {
    const hosts = [
      plain('full', [2, 1000, 1000], { cpu: 2 }),
      plain('empty', [8, 8000, 8000]),
      plain('used', [4, 4000, 4000], { cpu: 1, memory: 500 }),
    ];
    expect(chosen(hosts, { cpu: 1, memory: 500, disk: 500 })).toBe('empty');
  });

  it.each<[number, number, string]>([
    [1, 0.1, 'a'],
    [0.1, 1, 'b'],
  ])('follows the weights cpu %d, disk %d', (cpu, disk, expected) => {
    const hosts = [plain('a', [10, 10, 10], { disk: 5 }), plain('b', [10, 10, 10], { cpu: 5 })];
    const ranking = { strategy: cosine, weights: weightsOf({ cpu, memory: 1, disk }) };
    expect(chosen(hosts, { cpu: 1, memory: 1, disk: 1 }, ranking)).toBe(expected);
  });

  it('breaks a tie by the longer remaining vector, then by registration', () => {
    const half = { cpu: 5, memory: 5, disk: 5 };
    const request = { cpu: 1, memory: 1, disk: 1 };
    expect(chosen([plain('half', [10, 10, 10], half), plain('empty', [10, 10, 10])], request)).toBe(
      'empty',
    );
    const [first, second] = [plain('first', [10, 10, 10]), plain('second', [10, 10, 10])];
    expect(chosen([second, first], request)).toBe('first');
  });

  it('takes a host with something exhausted only when no other fits', () => {
    const guarded = plain('guarded', [4, 4, 4], { disk: 4 });
    expect(chosen([guarded], { cpu: 1, memory: 1 })).toBe('guarded');
    expect(chosen([guarded, plain('other', [4, 4, 4], { cpu: 3 })], { cpu: 1, memory: 1 })).toBe(
      'other',
    );
  });

  it('books up to the limit and not beyond: reserve and overcommit', () => {
    const host = fleetHost({ total: { cpu: 2, memory: 1000, disk: 1000 } });
    expect(host.limits).toEqual({ cpu: 8, memory: 900, disk: 900 });
    expect(chosen([host], { cpu: 8, memory: 900, disk: 900 })).toBe(host.id);
    expect(chosen([host], { cpu: 9, memory: 1, disk: 1 })).toBeNull();
    expect(chosen([host], { cpu: 1, memory: 901, disk: 1 })).toBeNull();
    expect(chosen([host], { cpu: 1, memory: 1, disk: 901 })).toBeNull();
  });

  it('filters on every class that is asked for, also on those it does not rank', () => {
    const bare = fleetHost();
    const withGpu = fleetHost({
      total: { cpu: 8, memory: 16_384, disk: 102_400, gpu: 2 },
      allocated: { gpu: 1 },
    });
    expect(chosen([bare, withGpu], { cpu: 1, memory: 1, disk: 1, gpu: 1 })).toBe(withGpu.id);
    expect(chosen([bare, withGpu], { cpu: 1, memory: 1, disk: 1, gpu: 2 })).toBeNull();
  });
});

describe('against a naive implementation', () => {
  it(`chooses the same host in ${CASES.toString()} random fleets, whatever the order of rows`, () => {
    let placed = 0;
    let violating = 0;
    fc.assert(
      fc.property(scenario, ({ hosts, request, ranking, order }) => {
        const table = tableOf(shuffled(hosts, order));
        const decision = choose(table, asked(request), rankingOf(ranking));
        const choice = decision.kind === 'placed' ? table.factsAt(decision.row).id : null;
        expect(choice).toBe(naiveChoice(hosts, request, ranking));
        if (decision.kind !== 'placed') return;
        placed += 1;
        if (decision.violations.length > 0) violating += 1;
        const host = hosts.find(({ id }) => id === choice);
        expect(decision.violations).toEqual(host && naiveViolations(hosts, host, request.groups));
      }),
      { numRuns: CASES, seed: 20_261_121 },
    );
    // A comparison of refusals only would prove nothing.
    expect(placed).toBeGreaterThan(CASES / 4);
    expect(violating).toBeGreaterThan(CASES / 100);
  });

  it('explains exactly the choice it takes, with the score of the formula for each host', () => {
    fc.assert(
      fc.property(scenario, ({ hosts, request, ranking }) => {
        const explanation = explain(tableOf(hosts), asked(request), rankingOf(ranking));
        expect(explanation.chosen).toBe(naiveChoice(hosts, request, ranking));
        expect(explanation.candidates.length + explanation.rejected.length).toBe(hosts.length);
        for (const { host, score, violations } of explanation.candidates) {
          const naive = hosts.find(({ id }) => id === host.id);
          if (naive === undefined) throw new Error('a host of the fleet');
          expect(score).toBe(naiveScore(hosts, naive, request.resources, ranking));
          expect(violations).toEqual(naiveViolations(hosts, naive, request.groups));
        }
        for (const { reasons } of explanation.rejected) expect(reasons).not.toHaveLength(0);
      }),
      { numRuns: 500, seed: 7 },
    );
  });

  it('never turns a placement into a refusal when a host is added', () => {
    fc.assert(
      fc.property(scenario, naiveHost, ({ hosts, request }, extra) => {
        const before = chosen(hosts.map(asFleetHost), request.resources);
        const { closed, ...rest } = extra;
        const more = [...hosts, { ...rest, open: closed > 0, id: 'extra', seq: 1_000 }];
        if (before !== null)
          expect(chosen(more.map(asFleetHost), request.resources)).not.toBeNull();
      }),
      { numRuns: 300, seed: 11 },
    );
  });
});
