/**
 * What a report of an agent means beside the ones before it: whether it is news at all, and which
 * totals count after it. Pure.
 */
import type { MeasuredTotals } from './agent-report.js';
import type { Resources } from './resources.js';

/** Names a report of an agent; its numbers grow while the machine is up. */
export interface ReportNumber {
  readonly bootId: string;
  readonly report: number;
}

/** A report that was overtaken on its way, or sent twice, says nothing. A new start begins anew. */
export const isNews = (last: ReportNumber, report: ReportNumber): boolean =>
  report.bootId !== last.bootId || report.report > last.report;

export interface SettledTotals {
  /** What counts. */
  readonly accepted: MeasuredTotals;
  /** What the last report gave below that, per class: counts when the next one says so too. */
  readonly suspected: Resources;
}

/**
 * Totals after one more report. More of a class counts at once; less of it only when two reports in
 * a row say so, for a disk that was not mounted yet must not make a host over-full. What counts then
 * is the larger of the two. A class that a report does not name is reported as 0, and goes when that
 * counts.
 */
export function settleTotals(
  accepted: MeasuredTotals,
  suspected: Resources,
  reported: MeasuredTotals,
): SettledTotals {
  const counts: Record<string, MeasuredTotals[string]> = { ...reported };
  const doubted: Record<string, number> = {};
  for (const [resource, before] of Object.entries(accepted)) {
    const said = reported[resource]?.total ?? 0;
    if (said >= before.total) continue;
    const earlier = suspected[resource];
    const total = earlier === undefined ? before.total : Math.max(earlier, said);
    if (said < total) doubted[resource] = said;
    const entry = reported[resource] ?? before;
    // A total that still stands was not unknown; what replaces it may be.
    const source = total > said ? before.source : entry.source;
    if (total > 0 || reported[resource] !== undefined) {
      counts[resource] = { ...entry, total, source };
    }
  }
  return { accepted: counts, suspected: doubted };
}
