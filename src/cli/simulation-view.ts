/** What a replay found, for people and for spreadsheets. */
import type { ReplayResult } from '../planner/replay.js';
import { showShare } from './amounts.js';
import type { CliContext } from './context.js';
import { counted, printFacts, printLine, printTable, type Column } from './print.js';

/** Several are ranked in a table; the best, or the only one, is told in full. */
export function printSimulation(context: CliContext, results: readonly ReplayResult[]): void {
  const [best] = results;
  if (best === undefined) return;
  if (results.length > 1) {
    printRanking(context, results);
    printLine(context);
    printLine(context, `${best.strategy}, in full:`);
  }
  printFacts(context, [
    ['requests', `${best.requests.toString()} on ${counted(best.hosts, 'host')}`],
    ['placed', best.placed.toString()],
    ['refused', refusedOf(best)],
    ['first refusal', metAt(best.firstRefusal)],
    ['1 % refused', metAt(best.onePercent)],
    ...Object.keys(best.peak).map(
      (name) =>
        [
          `use of ${name}`,
          `mean ${showShare(best.mean[name] ?? 0)}, peak ${showShare(best.peak[name] ?? 0)}`,
        ] as const,
    ),
    ['fragmentation', `mean ${showShare(best.fragmentation)}`],
    ['empty hosts', `mean ${best.emptyHosts.toFixed(1)}`],
  ]);
  printReasons(context, best);
}

function refusedOf({ refused, requests, refusedVolume }: ReplayResult): string {
  if (refused === 0) return 'none';
  const share = showShare(refused / Math.max(1, requests));
  return `${refused.toString()} (${share}); ${showShare(refusedVolume)} of the amounts asked for`;
}

const metAt = (met: ReplayResult['firstRefusal']): string =>
  met === null ? 'never' : `request ${met.request.toString()}, at ${showShare(met.load)} load`;

function printReasons(context: CliContext, { refusedByReason }: ReplayResult): void {
  const reasons = Object.entries(refusedByReason).sort(([, left], [, right]) => right - left);
  if (reasons.length === 0) return;
  printLine(context);
  printTable(
    context,
    [
      { head: 'REFUSED FOR', flexible: true },
      { head: 'REQUESTS', align: 'right' },
    ],
    reasons.map(([reason, count]) => [reason, count.toString()]),
  );
}

const RANKING_COLUMNS: readonly Column[] = [
  { head: '', align: 'right' },
  { head: 'STRATEGY' },
  { head: 'REFUSED', align: 'right' },
  { head: 'OF AMOUNTS', align: 'right' },
  { head: 'FIRST AT', align: 'right' },
  { head: '1 % AT', align: 'right' },
  { head: 'FRAGMENTED', align: 'right' },
  { head: 'EMPTY', align: 'right' },
];

function printRanking(context: CliContext, results: readonly ReplayResult[]): void {
  printTable(
    context,
    RANKING_COLUMNS,
    results.map((result, index) => [
      (index + 1).toString(),
      result.strategy,
      result.refused.toString(),
      showShare(result.refusedVolume),
      result.firstRefusal === null ? '-' : showShare(result.firstRefusal.load),
      result.onePercent === null ? '-' : showShare(result.onePercent.load),
      showShare(result.fragmentation),
      result.emptyHosts.toFixed(1),
    ]),
  );
}

/** A line per strategy and sample. */
export function samplesCsv(results: readonly ReplayResult[]): string {
  const classes = Object.keys(results[0]?.peak ?? {});
  const head = [
    ...['strategy', 'at_s', 'load', 'placed', 'refused', 'fragmentation', 'empty_hosts'],
    ...classes.map((name) => `${name}_share`),
  ];
  const rows = results.flatMap(({ strategy, samples }) =>
    samples.map(({ atS, load, placed, refused, fragmentation, emptyHosts, utilisation }) =>
      [
        strategy,
        ...[atS, load, placed, refused, fragmentation, emptyHosts].map(rounded),
        ...classes.map((name) => rounded(utilisation[name] ?? 0)),
      ].join(','),
    ),
  );
  return [head.join(','), ...rows, ''].join('\n');
}

const rounded = (value: number): string => Number(value.toFixed(6)).toString();
