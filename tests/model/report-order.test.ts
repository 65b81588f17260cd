/** Which report is news, and which totals count after it. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { MeasuredTotals } from '../../src/model/agent-report.js';
import { isNews, settleTotals, type SettledTotals } from '../../src/model/report-order.js';
import type { Resources } from '../../src/model/resources.js';

const measured = (amounts: Resources): MeasuredTotals =>
  Object.fromEntries(
    Object.entries(amounts).map(([name, total]) => [name, { total, source: 'detected' as const }]),
  );

const amountsOf = (totals: MeasuredTotals): Resources =>
  Object.fromEntries(Object.entries(totals).map(([name, { total }]) => [name, total]));

/** What counts after each of these reports, of the one class. */
function counted(...reports: readonly (number | null)[]): readonly (number | null)[] {
  let settled: SettledTotals = { accepted: {}, suspected: {} };
  return reports.map((cpu) => {
    const report = measured(cpu === null ? {} : { cpu });
    settled = settleTotals(settled.accepted, settled.suspected, report);
    return settled.accepted.cpu?.total ?? null;
  });
}

describe('the order of reports', () => {
  it.each([
    ['a higher number', { bootId: 'a', report: 8 }, true],
    ['the same number', { bootId: 'a', report: 7 }, false],
    ['a lower number', { bootId: 'a', report: 6 }, false],
    ['another start of the machine', { bootId: 'b', report: 1 }, true],
  ])('%s', (_what, report, expected) => {
    expect(isNews({ bootId: 'a', report: 7 }, report)).toBe(expected);
  });
});

describe('the totals that count', () => {
  it.each([
    ['grow at once', [8, 16], [8, 16]],
    ['shrink with the second report', [8, 4, 4], [8, 8, 4]],
    ['do not shrink when the second takes it back', [8, 4, 8, 4], [8, 8, 8, 8]],
    ['shrink to the larger of two', [8, 2, 4, 4], [8, 8, 4, 4]],
    ['shrink on, a report behind', [8, 4, 2, 2], [8, 8, 4, 2]],
    ['lose a class with the second report', [8, null, null], [8, 8, null]],
    ['keep a class that is back', [8, null, 8], [8, 8, 8]],
    ['keep a class of which nothing is left', [8, 0, 0], [8, 8, 0]],
    ['grow from what is doubted', [8, 4, 9], [8, 8, 9]],
  ])('%s', (_what, reports, expected) => {
    expect(counted(...reports)).toEqual(expected);
  });

  it('takes each class for itself', () => {
    const first = settleTotals({}, {}, measured({ cpu: 8, disk: 100 }));
    const second = settleTotals(first.accepted, first.suspected, measured({ cpu: 16, disk: 50 }));
    expect(amountsOf(second.accepted)).toEqual({ cpu: 16, disk: 100 });
    expect(second.suspected).toEqual({ disk: 50 });
  });

  it('lets a class become unknown with the second report, and be known again at once', () => {
    const known = { network: { total: 100, source: 'detected' } } as const;
    const unknown = { network: { total: 0, source: 'unknown' } } as const;
    let settled: SettledTotals = { accepted: {}, suspected: {} };
    const after = (reported: MeasuredTotals) => {
      settled = settleTotals(settled.accepted, settled.suspected, reported);
      return settled.accepted;
    };
    expect([after(known), after(unknown), after(unknown), after(known)]).toEqual([
      known,
      known,
      unknown,
      known,
    ]);
  });

  const totals = fc
    .dictionary(fc.constantFrom('cpu', 'disk', 'gpu'), fc.integer({ min: 0, max: 9 }))
    .map(measured);

  it('never counts less than one of the last two reports said, nor more than any', () => {
    fc.assert(
      fc.property(fc.array(totals, { minLength: 1, maxLength: 12 }), (reports) => {
        let settled: SettledTotals = { accepted: {}, suspected: {} };
        for (const [at, report] of reports.entries()) {
          const before = settled;
          settled = settleTotals(settled.accepted, settled.suspected, report);
          for (const name of ['cpu', 'disk', 'gpu']) {
            const said = report[name]?.total ?? 0;
            const earlier = reports[at - 1]?.[name]?.total ?? 0;
            const now = settled.accepted[name]?.total ?? 0;
            const was = before.accepted[name]?.total ?? 0;
            // Growth at once; otherwise the larger of the last two, if both were below what counted.
            expect(now).toBe(said >= was ? said : earlier < was ? Math.max(said, earlier) : was);
          }
        }
      }),
    );
  });

  it('counts what two equal reports say, whatever was before', () => {
    fc.assert(
      fc.property(fc.array(totals, { maxLength: 8 }), totals, (reports, last) => {
        let settled: SettledTotals = { accepted: {}, suspected: {} };
        for (const report of [...reports, last, last]) {
          settled = settleTotals(settled.accepted, settled.suspected, report);
        }
        const left = Object.entries(amountsOf(settled.accepted));
        expect(Object.fromEntries(left)).toEqual(amountsOf(last));
        expect(settled.suspected).toEqual({});
      }),
    );
  });
});
