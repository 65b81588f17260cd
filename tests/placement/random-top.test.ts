/** One of the best few by lot: of whom, how often each, and that one of one is the plain choice. */
import assert from 'node:assert/strict';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { membershipsOf } from '../../src/model/groups.js';
import { choose } from '../../src/placement/choose.js';

import { explain } from '../../src/placement/explain.js';
import { HostTable } from '../../src/placement/host-table.js';
import { weightsOf, type Ranking } from '../../src/placement/strategy.js';
import { worstFit } from '../../src/placement/worst-fit.js';
import { prngOf } from '../../src/std/prng.js';
import { fleetHost } from '../support/hosts.js';
import { check } from '../support/properties.js';
import { asked, rankingOf, scenario, tableOf } from './scenarios.js';

const PLAIN: Ranking = { strategy: worstFit, weights: weightsOf({}) };
const ASK = { resources: { cpu: 1, memory: 1, disk: 1 }, constraints: {}, path: 'root' };

/** The larger the number the better: more room is left. */
const fleet = (hosts: number): HostTable =>
  HostTable.of(
    Array.from({ length: hosts }, (_, index) =>
      fleetHost({
        ...{ id: `h${index.toString()}`, name: `h${index.toString()}`, noReserve: true },
        total: { cpu: 100, memory: 100, disk: 100 },
        allocated: { cpu: 90 - index, memory: 90 - index, disk: 90 - index },
      }),
    ),
  );

const byLot = (count: number, random: () => number): Ranking => ({
  ...PLAIN,
  top: { count, random },
});

function chosen(table: HostTable, ranking: Ranking, constraints = {}): string | null {
  const decision = choose(table, { ...ASK, constraints }, ranking);
  return decision.kind === 'placed' ? table.factsAt(decision.row).id : null;
}

describe('one of the best few', () => {
  it('is each of them equally often, and never another', () => {
    const table = fleet(10);
    const prng = prngOf('lot');
    const times = new Map<string | null, number>();
    const draws = 4_000;
    for (let draw = 0; draw < draws; draw += 1) {
      const id = chosen(table, byLot(4, prng.next));
      times.set(id, (times.get(id) ?? 0) + 1);
    }
    expect([...times.keys()].sort()).toEqual(['h6', 'h7', 'h8', 'h9']);
    // 1,000 each; the standard deviation is 27.
    for (const count of times.values()) expect(Math.abs(count - draws / 4)).toBeLessThan(150);
  });

  it('follows from the seed', () => {
    const drawn = (seed: string) => {
      const prng = prngOf(seed);
      return Array.from({ length: 20 }, () => chosen(fleet(10), byLot(4, prng.next)));
    };
    expect(drawn('a')).toEqual(drawn('a'));
    expect(drawn('a')).not.toEqual(drawn('b'));
  });

  it('is the best when there are no more, and nobody when there is none', () => {
    expect(
      chosen(
        fleet(1),
        byLot(5, () => 0.99),
      ),
    ).toBe('h0');
    expect(
      chosen(
        fleet(0),
        byLot(5, () => 0.99),
      ),
    ).toBeNull();
    expect(
      chosen(
        fleet(10),
        byLot(5, () => 0.99),
        { host: 'h0' },
      ),
    ).toBe('h0');
  });

  it('breaks no more wishes than the best, and leaves out who is excluded', () => {
    const table = fleet(4);
    const groups = [{ name: 'web', policy: 'soft-anti-affinity' as const }];
    for (const id of ['h3', 'h1', 'h0']) {
      table.groups.count(membershipsOf('root', groups), id, 1);
    }
    expect(
      chosen(
        table,
        byLot(4, () => 0.99),
        { groups },
      ),
    ).toBe('h2');
    expect(
      chosen(
        fleet(4),
        byLot(2, () => 0.99),
        { exclude: ['h3'] },
      ),
    ).toBe('h1');
  });

  it('is told in the explanation', () => {
    const told = explain(
      fleet(10),
      ASK,
      byLot(3, () => 0.99),
    );
    expect(told.chosen).toBe('h9');
    expect(told.explanation).toMatch(/ One of the first 3 is taken by lot\.$/);
    expect(
      explain(
        fleet(10),
        ASK,
        byLot(1, () => 0),
      ).explanation,
    ).not.toContain('lot');
  });

  it('is one of the first of the explanation, on any fleet; of one, the first itself', () => {
    const property = fc.property(
      scenario,
      fc.integer({ min: 1, max: 5 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      ({ hosts, request, ranking }, count, drawn) => {
        const table = tableOf(hosts);
        const one = asked(request);
        const decision = choose(table, one, {
          ...rankingOf(ranking),
          top: { count, random: () => drawn },
        });
        const { candidates } = explain(table, one, rankingOf(ranking));
        const least = candidates[0]?.violations.length;
        const alike = candidates
          .slice(0, count)
          .filter(({ violations }) => violations.length === least);
        const expected = alike[Math.floor(drawn * alike.length)];
        const id = decision.kind === 'placed' ? table.factsAt(decision.row).id : undefined;
        assert.equal(id, expected?.host.id);
        if (decision.kind === 'placed') assert.equal(decision.feasible, candidates.length);
      },
    );
    check(property, 2_000);
  });
});
