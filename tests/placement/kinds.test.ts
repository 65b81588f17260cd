/** Rows have the same number exactly when their amounts are the same, whatever came and went. */
import { describe, expect, it } from '@jest/globals';
import { HostTable, RANKED } from '../../src/placement/host-table.js';
import { Kinds } from '../../src/placement/kinds.js';
import { prngOf } from '../../src/std/prng.js';
import { fleetHost } from '../support/hosts.js';

const ROWS = 300;

function settle(kinds: Kinds, row: number, amounts: readonly number[]): void {
  kinds.wanted.set(amounts);
  kinds.settle(row);
}

describe('kinds', () => {
  it.each([
    ['few', 3],
    ['many', 40],
  ])('tell rows apart by their amounts when there are %s', (_few, values) => {
    const prng = prngOf(`kinds ${values}`);
    const kinds = new Kinds(2, ROWS);
    const amounts: ([number, number] | null)[] = Array.from({ length: ROWS }, () => null);
    for (let at = 0; at < 6_000; at += 1) {
      const row = prng.between(0, ROWS - 1);
      if (prng.chance(0.1)) {
        kinds.drop(row);
        amounts[row] = null;
      } else {
        amounts[row] = [prng.between(0, values), prng.between(0, values) / 3];
        settle(kinds, row, amounts[row]);
      }
      if (at % 500 !== 0) continue;
      const byText = new Map<string, number>();
      for (const [each, own] of amounts.entries()) {
        const kind = kinds.of[each]!;
        expect(kind === -1).toBe(own === null);
        if (own === null) continue;
        expect([kinds.amountAt(kind, 0), kinds.amountAt(kind, 1)]).toEqual(own);
        const text = JSON.stringify(own);
        expect(byText.get(text) ?? kind).toBe(kind);
        byText.set(text, kind);
        expect(kind).toBeLessThan(kinds.numbers);
      }
      expect(kinds.size).toBe(byText.size);
    }
  });

  it('use numbers again, so that a fleet that changes all day needs no more of them', () => {
    const kinds = new Kinds(1, 2);
    for (let at = 0; at < 10_000; at += 1) settle(kinds, at % 2, [at]);
    expect(kinds.size).toBe(2);
    expect(kinds.numbers).toBeLessThanOrEqual(3);
  });

  it('of a table are right whenever they are asked for, whatever came and went', () => {
    const prng = prngOf('kinds of a table');
    const table = new HostTable();
    const someHost = (id: string) => fleetHost({ id, total: { cpu: prng.between(1, 2) } });
    for (let at = 0; at < 10_000; at += 1) {
      const id = `h${prng.between(0, 199).toString()}`;
      const row = table.rowOf(id);
      if (row < 0) table.upsert(someHost(id), { cpu: prng.between(0, 60) });
      else if (prng.chance(0.2)) table.remove(id);
      else if (prng.chance(0.5)) table.book(row, { cpu: 1, gpu: 1 });
      else table.unbook(row, { cpu: 1 });
      // Now often, so that a few rows are mended, now seldom, so that all are looked at again.
      if (!prng.chance(at % 2_000 < 1_000 ? 0.1 : 0.005)) continue;
      const { kinds } = table;
      const kindOf = new Map<string, number>();
      for (let each = 0; each < table.size; each += 1) {
        const own = [table.capacity, table.limit, table.allocated]
          .map((amounts) => amounts.slice(each * RANKED, (each + 1) * RANKED).join())
          .join('/');
        expect(kinds.of[each]).toBe(kindOf.get(own) ?? kinds.of[each]);
        kindOf.set(own, kinds.of[each]!);
      }
      expect(kinds.size).toBe(kindOf.size);
      expect(new Set(kindOf.values()).size).toBe(kindOf.size);
    }
  });

  it('of a table follow what is booked', () => {
    const table = HostTable.of([fleetHost(), fleetHost(), fleetHost({ total: { cpu: 1 } })]);
    const kindOf = (row: number) => table.kinds.of[row];
    expect(kindOf(0)).toBe(kindOf(1));
    expect(kindOf(2)).not.toBe(kindOf(1));
    table.book(0, { cpu: 1 });
    expect(kindOf(0)).not.toBe(kindOf(1));
    table.book(1, { cpu: 1, gpu: 1 });
    expect(kindOf(0)).toBe(kindOf(1));
    expect(table.shapes.of[0]).toBe(table.shapes.of[1]);
    expect(table.kinds.size).toBe(2);
    table.clear();
    expect(table.kinds.size).toBe(0);
  });
});
