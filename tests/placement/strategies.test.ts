/** The strategies beside cosine, each worked out by hand; choose.test.ts runs all on random fleets. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { FleetHost } from '../../src/model/host.js';
import { NO_CONSTRAINTS } from '../../src/model/constraints.js';
import type { Resources } from '../../src/model/resources.js';
import { STRATEGY_NAMES, type StrategyName } from '../../src/model/strategies.js';
import { choose } from '../../src/placement/choose.js';
import { prepare } from '../../src/placement/filter.js';
import { HostTable } from '../../src/placement/host-table.js';
import { STRATEGIES } from '../../src/placement/strategies.js';
import { weightsOf } from '../../src/placement/strategy.js';
import { fleetHost } from '../support/hosts.js';
import { asked, extremes, rankingOf, scenario, tableOf } from './scenarios.js';

/** Capacity is what is said; nothing reserved, no overcommit. */
const plain = (
  id: string,
  [cpu, memory, disk]: [number, number, number],
  allocated: Resources = {},
  changes: Partial<FleetHost> = {},
) =>
  fleetHost({ id, name: id, total: { cpu, memory, disk }, noReserve: true, allocated, ...changes });

const ONE_EACH = { cpu: 1, memory: 1, disk: 1 };

function scores(
  name: StrategyName,
  hosts: readonly FleetHost[],
  request: Resources,
  weights: Resources = {},
): readonly number[] {
  const table = HostTable.of(hosts);
  const requested = Float64Array.of(request.cpu ?? 0, request.memory ?? 0, request.disk ?? 0);
  return hosts.map((_host, row) =>
    STRATEGIES[name].score(table, row, requested, weightsOf(weights)),
  );
}

function chosen(
  name: StrategyName,
  hosts: readonly FleetHost[],
  resources: Resources,
  weights: Resources = {},
): string | null {
  const table = HostTable.of(hosts);
  const ranking = { strategy: STRATEGIES[name], weights: weightsOf(weights) };
  const decision = choose(table, { resources, constraints: NO_CONSTRAINTS, path: 'root' }, ranking);
  return decision.kind === 'placed' ? table.factsAt(decision.row).id : null;
}

describe('strategies', () => {
  it.each(STRATEGY_NAMES)('%s stands in the table under its own name', (name) => {
    expect(STRATEGIES[name].name).toBe(name);
  });

  const large = plain('large', [20, 20, 20]);
  const small = plain('small', [10, 10, 10], { cpu: 4 });

  it('counts what is left in units of the largest host', () => {
    // large: 19/20 of each class. small: (5 + 9 + 9) / 20 / 3 = 23/60.
    const [ofLarge, ofSmall] = scores('worst-fit', [large, small], ONE_EACH);
    expect(ofLarge).toBeCloseTo(0.95, 12);
    expect(ofSmall).toBeCloseTo(23 / 60, 12);
    expect(scores('best-fit', [large, small], ONE_EACH)).toEqual([
      -(ofLarge ?? 0),
      -(ofSmall ?? 0),
    ]);
  });

  it('looks at closed hosts too for the largest, so that a score does not hang on who is open', () => {
    const closed = plain('closed', [40, 20, 20], {}, { mode: 'cordoned' });
    const [ofLarge] = scores('worst-fit', [large, closed], ONE_EACH);
    expect(ofLarge).toBeCloseTo((19 / 40 + 19 / 20 + 19 / 20) / 3, 12);
  });

  it('fills the fullest host first with best-fit, the emptiest with worst-fit', () => {
    expect(chosen('best-fit', [large, small], ONE_EACH)).toBe('small');
    expect(chosen('worst-fit', [large, small], ONE_EACH)).toBe('large');
  });

  it('takes absolute room and not shares: half of a small host is less than a quarter of a large', () => {
    const half = plain('half', [4, 4, 4], { cpu: 2, memory: 2, disk: 2 });
    const quarter = plain('quarter', [16, 16, 16], { cpu: 12, memory: 12, disk: 12 });
    expect(chosen('best-fit', [quarter, half], ONE_EACH)).toBe('half');
    expect(chosen('worst-fit', [quarter, half], ONE_EACH)).toBe('quarter');
  });

  it.each<[number, number, string, string]>([
    [1, 0, 'a', 'b'],
    [0, 1, 'b', 'a'],
  ])('follows the weights cpu %d, memory %d', (cpu, memory, best, worst) => {
    const hosts = [plain('a', [9, 9, 9], { cpu: 6 }), plain('b', [9, 9, 9], { memory: 6 })];
    const weights = { cpu, memory, disk: 1 };
    expect(chosen('best-fit', hosts, ONE_EACH, weights)).toBe(best);
    expect(chosen('worst-fit', hosts, ONE_EACH, weights)).toBe(worst);
  });

  it('scores 0 where nothing counts or nothing is there', () => {
    const nothing = { cpu: 0, memory: 0, disk: 0 };
    for (const name of ['best-fit', 'worst-fit'] as const) {
      expect(scores(name, [large], ONE_EACH, nothing)).toEqual([0]);
      expect(scores(name, [plain('bare', [0, 0, 0])], {})).toEqual([0]);
      expect(scores(name, [plain('exact', [1, 1, 1])], ONE_EACH)).toEqual([0]);
    }
  });

  it('goes by registration with first-fit, whatever the room', () => {
    const second = plain('second', [20, 20, 20], {}, { seq: 2 });
    const first = plain('first', [3, 3, 3], { cpu: 2 }, { seq: 1 });
    expect(chosen('first-fit', [second, first], ONE_EACH)).toBe('first');
    expect(chosen('first-fit', [second, first], { cpu: 2 })).toBe('second');
    expect(scores('first-fit', [second, first], ONE_EACH)).toEqual([-2, -1]);
  });
});

describe('scores of all hosts in one go', () => {
  it.each(STRATEGY_NAMES.filter((name) => STRATEGIES[name].scoreRows !== undefined))(
    'are those of %s row by row, to the last bit',
    (name) => {
      fc.assert(
        fc.property(fc.oneof(scenario, extremes), ({ hosts, request, ranking }) => {
          const { strategy, weights } = rankingOf({ ...ranking, strategy: name });
          const table = tableOf(hosts);
          const { ranked } = prepare(table, asked(request));
          // Every other row, the last first: places are not rows.
          const some = hosts.map((_host, row) => row).filter((row) => row % 2 === 1);
          const rows = Int32Array.from([...some].reverse());
          const scoreOf = (row: number) => strategy.score(table, row, ranked, weights);
          const scored = (isForBest: boolean) => {
            const lineUp = { rows: rows.slice(), count: rows.length, isForBest };
            const scores = new Float64Array(rows.length);
            const count = strategy.scoreRows?.(table, ranked, weights, lineUp, scores) ?? 0;
            return { rows: lineUp.rows.subarray(0, count), scores: scores.subarray(0, count) };
          };
          const all = scored(false);
          expect(all.rows).toEqual(rows);
          expect([...all.scores]).toEqual([...rows].map(scoreOf));
          const few = scored(true);
          expect([...few.scores]).toEqual([...few.rows].map(scoreOf));
          const best = Math.max(...all.scores);
          const isBest = (row: number) => scoreOf(row) === best;
          expect([...few.rows].filter(isBest)).toEqual([...rows].filter(isBest));
        }),
        { numRuns: 2_000, seed: 20_261_121 },
      );
    },
  );
});
