/** Room that is kept for large VMs: for whom, where, and that nobody is refused for it. */
import assert from 'node:assert/strict';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { membershipsOf } from '../../src/model/groups.js';
import { choose } from '../../src/placement/choose.js';
import { cosine } from '../../src/placement/cosine.js';
import { explain } from '../../src/placement/explain.js';
import { prepare } from '../../src/placement/filter.js';
import { HostTable } from '../../src/placement/host-table.js';
import { keptRows } from '../../src/placement/kept-places.js';
import { LargeShapes, sizeOf } from '../../src/placement/large-shapes.js';
import { weightsOf, type Ranking } from '../../src/placement/strategy.js';
import { fleetHost } from '../support/hosts.js';
import { check } from '../support/properties.js';
import { asked, rankingOf, scenario, tableOf } from './scenarios.js';

const EVEN = weightsOf({});

const host = (id: string, size: number, booked = 0) =>
  fleetHost({
    ...{ id, name: id, noReserve: true },
    total: { cpu: size, memory: size, disk: size },
    allocated: { cpu: booked, memory: booked, disk: booked },
  });

const sized = (size: number) => Float64Array.of(size, size, size);
const asking = (size: number, constraints = {}) => ({
  resources: { cpu: size, memory: size, disk: size },
  constraints,
  path: 'root',
});

/** Keeps places for VMs of these sizes, which were asked for. */
function keeping(places: number, ...sizes: readonly number[]): Ranking & { large: LargeShapes } {
  const large = new LargeShapes(places);
  for (const size of sizes) large.note(sized(size));
  return { strategy: cosine, weights: EVEN, large };
}

function chosen(table: HostTable, size: number, ranking: Ranking, constraints = {}): string | null {
  const decision = choose(table, asking(size, constraints), ranking);
  return decision.kind === 'placed' ? table.factsAt(decision.row).id : null;
}

describe('the largest shapes', () => {
  const table = HostTable.of([host('a', 10), host('b', 30)]);
  const largestOf = (large: LargeShapes) =>
    large.largest(table.totals, EVEN).map(([cpu = 0]) => cpu);

  it('are the largest twelve that were asked for lately', () => {
    const large = new LargeShapes(1);
    for (let size = 1; size <= 20; size += 1) large.note(sized(size));
    expect(largestOf(large)).toEqual([20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9]);
  });

  it('are forgotten once 4,096 others were asked for', () => {
    const large = new LargeShapes(1);
    large.note(sized(20));
    for (let times = 1; times < 4_096; times += 1) large.note(sized(1));
    expect(largestOf(large)).toEqual([20, 1]);
    for (let times = 0; times < 64; times += 1) large.note(sized(2));
    expect(largestOf(large)).toEqual([2, 1]);
  });

  it('are measured by the class of which they want most, in mean hosts that have it', () => {
    const { totals } = table;
    expect(sizeOf(Float64Array.of(10, 2, 0), totals, EVEN)).toBe(0.5);
    expect(sizeOf(Float64Array.of(10, 30, 0), totals, EVEN)).toBe(1.5);
    expect(sizeOf(Float64Array.of(10, 30, 0), totals, weightsOf({ memory: 0 }))).toBe(0.5);
    expect(sizeOf(sized(5), new HostTable().totals, EVEN)).toBe(0);
  });
});

describe('a host that is kept', () => {
  // cosine alone takes the emptier host: the scores are equal, and the longer room wins.
  const fleet = () => HostTable.of([host('big', 40), host('small', 20, 2)]);

  it('comes after the others while as few have room as are to be kept', () => {
    expect(chosen(fleet(), 1, { strategy: cosine, weights: EVEN })).toBe('big');
    expect(chosen(fleet(), 1, keeping(1, 40))).toBe('small');
    // Both have room for 15: more than are to be kept.
    expect(chosen(fleet(), 4, keeping(1, 15))).toBe('big');
    expect(chosen(fleet(), 4, keeping(2, 15))).toBe('big');
  });

  it('is taken by what leaves the room, by what is as large, and by what has no other place', () => {
    expect(chosen(fleet(), 10, keeping(1, 30))).toBe('big');
    expect(chosen(fleet(), 11, keeping(1, 30))).toBe('small');
    expect(chosen(fleet(), 40, keeping(1, 40))).toBe('big');
    expect(chosen(fleet(), 19, keeping(1, 40))).toBe('big');
    expect(chosen(fleet(), 1, keeping(1, 40), { host: 'big' })).toBe('big');
  });

  it('weighs less than a soft rule of a group', () => {
    const table = fleet();
    const groups = [{ name: 'web', policy: 'soft-anti-affinity' as const }];
    table.groups.count(membershipsOf('root', groups), 'small', 1);
    const kept = keeping(1, 40);
    expect(chosen(table, 1, kept)).toBe('small');
    expect(chosen(table, 1, kept, { groups })).toBe('big');
  });

  it('is told in the explanation', () => {
    const told = explain(fleet(), asking(1), keeping(1, 40));
    expect(told.chosen).toBe('small');
    expect(told.candidates.map(({ keptFor }) => keptFor)).toEqual([
      undefined,
      { cpu: 40, memory: 40, disk: 40 },
    ]);
    expect(told.explanation).toBe(
      'small is chosen: the next, big, is kept for larger VMs (40 cpu, 40 memory, 40 disk).',
    );
    expect(explain(fleet(), asking(19), keeping(1, 40)).explanation).toBe(
      'big is chosen: of 2 hosts it is the only one that fits. ' +
        'It is taken although it is kept for larger VMs (40 cpu, 40 memory, 40 disk).',
    );
  });
});

/** The same by a look at every host. */
function naiveKept(table: HostTable, requested: Float64Array, { large, weights }: Ranking) {
  const kept = new Map<number, Float64Array>();
  const rows = Array.from({ length: table.size }, (_, row) => row);
  const fits = (row: number, shape: Float64Array, more: number) =>
    table.open[row] === 1 &&
    ['cpu', 'memory', 'disk'].every((name, index) => {
      const want = (shape[index] ?? 0) + more * (requested[index] ?? 0);
      const { limits } = table.factsAt(row);
      return want === 0 || (table.allocatedAt(row)[name] ?? 0) + want <= (limits[name] ?? 0);
    });
  for (const shape of large?.largest(table.totals, weights) ?? []) {
    if (sizeOf(shape, table.totals, weights) <= sizeOf(requested, table.totals, weights)) continue;
    const roomy = rows.filter((row) => fits(row, shape, 0));
    if (roomy.length > (large?.places ?? 0)) continue;
    for (const row of roomy) if (!fits(row, shape, 1) && !kept.has(row)) kept.set(row, shape);
  }
  return kept;
}

const shapes = fc.array(fc.tuple(fc.nat(60), fc.nat(60), fc.nat(60)), { maxLength: 20 });
const requests = fc.array(fc.record({ cpu: fc.nat(12), memory: fc.nat(12), disk: fc.nat(12) }), {
  minLength: 1,
  maxLength: 12,
});

describe('kept hosts', () => {
  it('are those of a plain look, whatever was booked before, and refuse nobody', () => {
    let keptSome = 0;
    const property = fc.property(
      scenario,
      shapes,
      requests,
      fc.integer({ min: 1, max: 4 }),
      ({ hosts, request, ranking }, large, more, places) => {
        const table = tableOf(hosts);
        const plain = rankingOf(ranking);
        const all: Ranking = { ...plain, large: new LargeShapes(places) };
        for (const shape of large) all.large?.note(Float64Array.from(shape));
        for (const resources of more) {
          const one = asked({ ...request, resources });
          const { ranked } = prepare(table, one);
          const kept = keptRows(table, prepare(table, one), all);
          assert.deepEqual(kept, naiveKept(table, ranked, all));
          const decision = choose(table, one, all);
          const without = choose(table, one, plain);
          assert.equal(decision.kind, without.kind);
          if (decision.kind !== 'placed' || without.kind !== 'placed') continue;
          assert.equal(decision.feasible, without.feasible);
          assert.equal(decision.violations.length, without.violations.length);
          const told = explain(table, one, all);
          assert.equal(told.chosen, table.factsAt(decision.row).id);
          const [best] = told.candidates;
          const isBestKept = best?.keptFor !== undefined;
          assert.equal(isBestKept, kept.has(decision.row));
          if (kept.has(without.row) && !isBestKept) keptSome += 1;
          table.book(decision.row, resources);
        }
      },
    );
    check(property, 300);
    expect(keptSome).toBeGreaterThan(30);
  });
});
