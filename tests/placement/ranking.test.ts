/** The strategies that look at proportions, each worked out by hand; their edges; what holds of all. */
import assert from 'node:assert/strict';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Resources } from '../../src/model/resources.js';
import { STRATEGY_NAMES, type StrategyName } from '../../src/model/strategies.js';
import { choose } from '../../src/placement/choose.js';
import { HostTable } from '../../src/placement/host-table.js';
import { STRATEGIES } from '../../src/placement/strategies.js';
import { weightsOf } from '../../src/placement/strategy.js';
import { fleetHost } from '../support/hosts.js';
import { check } from '../support/properties.js';
import type { NaiveHost } from './naive.js';
import { scenario, tableOf } from './scenarios.js';

const RUNS = 300;

/** Capacity is what is said; nothing reserved, no overcommit. A class of 0 is not there. */
const host = (id: string, [cpu, memory, disk]: readonly number[], allocated: Resources = {}) =>
  fleetHost({
    ...{ id, name: id, noReserve: true, allocated },
    total: { cpu: cpu ?? 0, memory: memory ?? 0, disk: disk ?? 0 },
  });

const amounts = ({ cpu = 0, memory = 0, disk = 0 }: Resources) =>
  Float64Array.of(cpu, memory, disk);

const scores = (
  name: StrategyName,
  hosts: readonly ReturnType<typeof host>[],
  request: Resources,
  weights: Resources = {},
): readonly number[] => {
  const table = HostTable.of(hosts);
  return hosts.map((_host, row) =>
    STRATEGIES[name].score(table, row, amounts(request), weightsOf(weights)),
  );
};

const addends = (
  name: StrategyName,
  hosts: readonly ReturnType<typeof host>[],
  request: Resources,
  weights: Resources = {},
) => STRATEGIES[name].addends(HostTable.of(hosts), 0, amounts(request), weightsOf(weights));

function chosen(
  name: StrategyName,
  hosts: readonly ReturnType<typeof host>[],
  resources: Resources,
): string | null {
  const table = HostTable.of(hosts);
  const ranking = { strategy: STRATEGIES[name], weights: weightsOf({}) };
  const decision = choose(table, { resources, constraints: {}, path: 'root' }, ranking);
  return decision.kind === 'placed' ? table.factsAt(decision.row).id : null;
}

const ONE_EACH = { cpu: 1, memory: 1, disk: 1 };
const TWO_OF_BOTH = { cpu: 2, memory: 2 };
/** A host with two classes: half of its CPUs and a quarter of its memory are booked. */
const lopsided = host('lopsided', [20, 20], { cpu: 10, memory: 5 });

describe('balanced-fit', () => {
  it('adds up leftover, size, misalignment and imbalance where prices are alike', () => {
    // Both classes are a quarter in use, so both prices are 1. left = (4 + 9) / 10 / 2, size = 1,
    // cosine = 0.15 / √(1.25 · 0.02), z = 0.4 and 0.9.
    const hosts = [host('a', [10, 10], { cpu: 5 }), host('b', [10, 10], { memory: 5 })];
    const parts = addends('balanced-fit', hosts, { cpu: 1, memory: 1 });
    expect(parts.leftover).toBeCloseTo(-0.65, 12);
    expect(parts.size).toBeCloseTo(-0.2, 12);
    expect(parts.misalignment).toBeCloseTo(-0.821_067_231, 9);
    expect(parts.imbalance).toBeCloseTo(-1.5, 12);
    expect(scores('balanced-fit', hosts, { cpu: 1, memory: 1 })).toEqual([
      -3.171_067_231, -3.171_067_231,
    ]);
  });

  it('lets the scarce class decide: the price of memory is (0.30 / 0.55)^8', () => {
    const parts = addends('balanced-fit', [lopsided], TWO_OF_BOTH);
    expect(parts.leftover).toBeCloseTo(-0.525, 12);
    expect(parts.size).toBeCloseTo(-0.2, 12);
    expect(parts.misalignment).toBeCloseTo(-0.000119782953, 12);
    expect(parts.imbalance).toBeCloseTo(-0.011661921532, 12);
  });

  it('is best-fit with a liking for small hosts where there is one class', () => {
    // Mean 20. Small: 8/20 + 0.2 · 10/20. Large: 28/20 + 0.2 · 30/20.
    const hosts = [host('small', [10]), host('large', [30])];
    expect(scores('balanced-fit', hosts, { cpu: 2 })).toEqual([-0.5, -1.7]);
  });

  it('sends what needs no disk to hosts that have none', () => {
    const hosts = [host('with', [10, 10, 10]), host('without', [10, 10, 0])];
    expect(chosen('balanced-fit', hosts, { cpu: 1, memory: 1 })).toBe('without');
    expect(chosen('balanced-fit', hosts, ONE_EACH)).toBe('with');
  });

  it('leaves a class without weight out of everything', () => {
    const weights = { disk: 0 };
    const withDisk = [host('a', [20, 20, 500], { cpu: 10, memory: 5, disk: 499 })];
    expect(scores('balanced-fit', withDisk, TWO_OF_BOTH, weights)).toEqual(
      scores('balanced-fit', [lopsided], TWO_OF_BOTH),
    );
  });

  it('scores 0 where nothing is there or nothing counts', () => {
    expect(scores('balanced-fit', [host('bare', [0, 0, 0])], {})).toEqual([0]);
    const nothing = { cpu: 0, memory: 0, disk: 0 };
    expect(scores('balanced-fit', [lopsided], TWO_OF_BOTH, nothing)).toEqual([0]);
  });

  it('takes the first registered of equals, and nobody of an empty fleet', () => {
    const hosts = [host('a', [9, 9, 9]), host('b', [9, 9, 9]), host('c', [9, 9, 9])];
    expect(chosen('balanced-fit', hosts.toReversed(), ONE_EACH)).toBe('a');
    expect(chosen('balanced-fit', [], ONE_EACH)).toBeNull();
  });
});

describe('cosine-banded', () => {
  it('takes bands of a hundredth, and in them the smallest leftover', () => {
    // Parallel: band 100, left 9/20. Cosine 0.9997: band 99, left (18 + 19 + 19) / 60.
    const hosts = [host('a', [10, 10, 10]), host('b', [20, 20, 20], { cpu: 1 })];
    const [ofA = NaN, ofB = NaN] = scores('cosine-banded', hosts, ONE_EACH);
    expect(ofA).toBeCloseTo(100 - 0.225, 9);
    expect(ofB).toBeCloseTo(99 - 56 / 120, 9);
    expect(addends('cosine-banded', hosts, ONE_EACH)).toEqual({ band: 100, leftover: -0.225 });
  });

  it('prefers the fuller host where cosine prefers the emptier', () => {
    const hosts = [host('full', [10, 10, 10], { cpu: 5, memory: 5, disk: 5 })];
    hosts.push(host('empty', [10, 10, 10]));
    expect(chosen('cosine', hosts, ONE_EACH)).toBe('empty');
    expect(chosen('cosine-banded', hosts, ONE_EACH)).toBe('full');
  });

  it('puts a host that has nothing left of a class last', () => {
    const hosts = [host('spent', [10, 10, 10], { disk: 10 }), host('far', [90, 10, 10])];
    expect(chosen('cosine-banded', hosts, { cpu: 1, memory: 1 })).toBe('far');
  });
});

describe('stranding', () => {
  it('counts what the mix of the fleet cannot use, by price, and a fifth of the leftover', () => {
    // Mix (10, 5), prices 1 and (1/2)^4. Before: room (10, 15), one mix fits, 10 of memory stranded.
    // After: room (8, 13), 0.8 of a mix, 9 stranded. Left (0.4 + 0.65) / 2.
    const weights = { disk: 0 };
    const parts = addends('stranding', [lopsided], TWO_OF_BOTH, weights);
    expect(parts.stranding).toBeCloseTo((10 - 9) / 16 / 20 / 2, 12);
    expect(parts.leftover).toBeCloseTo(-0.105, 12);
    expect(scores('stranding', [lopsided], TWO_OF_BOTH, weights)).toEqual([-0.103_437_5]);
  });

  it('is best-fit while nothing runs', () => {
    const hosts = [host('small', [10, 10, 10]), host('large', [20, 20, 20])];
    const bestFit = scores('best-fit', hosts, ONE_EACH).map((score) => 0.2 * score);
    expect(scores('stranding', hosts, ONE_EACH)[0]).toBeCloseTo(bestFit[0] ?? NaN, 9);
    expect(scores('stranding', hosts, ONE_EACH)[1]).toBeCloseTo(bestFit[1] ?? NaN, 9);
  });

  it('scores 0 where nothing is there or nothing counts', () => {
    expect(scores('stranding', [host('bare', [0, 0, 0])], {})).toEqual([0]);
    const nothing = { cpu: 0, memory: 0, disk: 0 };
    expect(scores('stranding', [lopsided], TWO_OF_BOTH, nothing)).toEqual([0]);
  });
});

describe('k8s-balanced', () => {
  it('adds the mean of what is left to the evenness of what is used', () => {
    // 0.4 and 0.9 are left: mean 0.65, standard deviation 0.25.
    const hosts = [host('a', [10, 10], { cpu: 5 })];
    expect(scores('k8s-balanced', hosts, { cpu: 1, memory: 1 })).toEqual([1.4]);
    const parts = addends('k8s-balanced', hosts, { cpu: 1, memory: 1 });
    expect(parts.least).toBeCloseTo(0.65, 12);
    expect(parts.balanced).toBeCloseTo(0.75, 12);
  });

  it('scores 0 where nothing is there or nothing counts', () => {
    expect(scores('k8s-balanced', [host('bare', [0, 0, 0])], {})).toEqual([0]);
    const nothing = { cpu: 0, memory: 0, disk: 0 };
    expect(scores('k8s-balanced', [lopsided], TWO_OF_BOTH, nothing)).toEqual([0]);
  });
});

describe.each(STRATEGY_NAMES)('%s', (name) => {
  const strategy = STRATEGIES[name];

  it('is the sum of its addends', () => {
    check(
      fc.property(scenario, ({ hosts, request, ranking }) => {
        const table = tableOf(hosts);
        const weights = Float64Array.from(ranking.weights);
        for (const row of hosts.keys()) {
          const parts = strategy.addends(table, row, amounts(request.resources), weights);
          const sum = Object.values(parts).reduce((total, part) => total + part, 0);
          const score = strategy.score(table, row, amounts(request.resources), weights);
          assert.ok(Math.abs(sum - score) <= 1e-9, `${sum} is not ${score}`);
        }
      }),
      RUNS,
    );
  });

  it('gives the same score whatever the unit of a class is', () => {
    check(
      fc.property(scenario, fc.constantFrom(2, 1_024), ({ hosts, request, ranking }, unit) => {
        const larger = (amount: NaiveHost['total']) => ({
          ...amount,
          memory: (amount.memory ?? 0) * unit,
        });
        const scaled = hosts.map((one) => ({
          ...one,
          ...{ total: larger(one.total), allocated: larger(one.allocated) },
        }));
        const weights = Float64Array.from(ranking.weights);
        const [table, other] = [tableOf(hosts), tableOf(scaled)];
        for (const row of hosts.keys()) {
          assert.equal(
            strategy.score(other, row, amounts(larger(request.resources)), weights),
            strategy.score(table, row, amounts(request.resources), weights),
          );
        }
      }),
      RUNS,
    );
  });
});
