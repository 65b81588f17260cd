/** A decision for people: why the winner won, each host's score, or its reasons. */
import { RANKED_CLASSES } from '../model/resources.js';
import type { PlacementBody } from '../wire/placements.js';
import { showAmount, showShare } from './amounts.js';
import type { CliContext } from './context.js';
import { counted, printLine, printTable, type Column } from './print.js';

type Candidate = PlacementBody['candidates'][number];
type Reason = PlacementBody['rejected'][number]['reasons'][number];
type Summary = PlacementBody['summary'];

const SCORE_DIGITS = 4;

/** @param rowsMax most hosts in each of the two tables */
export function printPlacement(
  context: CliContext,
  placement: PlacementBody,
  rowsMax: number,
): void {
  printLine(context, whyLine(placement));
  printCandidates(context, placement.candidates, rowsMax);
  printAddends(context, placement.candidates);
  printRejected(context, placement.rejected, rowsMax);
}

function printCandidates(
  context: CliContext,
  candidates: readonly Candidate[],
  rowsMax: number,
): void {
  if (candidates.length === 0) return;
  const isAnyKept = candidates.some(({ keptFor }) => keptFor !== undefined);
  const breaksSome = candidates.some(({ violations }) => violations.length > 0);
  printLine(context);
  printLine(context, 'Hosts that fit; of each class the share that is left / asked:');
  printTable(
    context,
    [
      { head: '#', align: 'right' },
      { head: 'HOST', flexible: true },
      { head: 'SCORE', align: 'right' },
      ...RANKED_CLASSES.map((name): Column => ({ head: name.toUpperCase(), align: 'right' })),
      ...(breaksSome ? [{ head: 'BREAKS' }] : []),
      ...(isAnyKept ? [{ head: 'KEPT FOR' }] : []),
    ],
    candidates
      .slice(0, rowsMax)
      .map(({ rank, host, score, remaining, requested, violations, keptFor = {} }) => [
        rank.toString(),
        host.name,
        score.toFixed(SCORE_DIGITS),
        ...RANKED_CLASSES.map(
          (name) => `${showShare(remaining[name])} / ${showShare(requested[name])}`,
        ),
        ...(breaksSome ? [violations.map(ruleOf).join(', ')] : []),
        ...(isAnyKept ? [shapeOf(keptFor)] : []),
      ]),
  );
  printRest(context, candidates.length - rowsMax);
}

const REJECTED_COLUMNS: readonly Column[] = [
  { head: 'HOST', flexible: true },
  { head: 'REASON' },
  { head: 'CLASS' },
  { head: 'REQUESTED', align: 'right' },
  { head: 'AVAILABLE', align: 'right' },
  { head: 'LIMIT', align: 'right' },
];

function printRejected(
  context: CliContext,
  rejected: PlacementBody['rejected'],
  rowsMax: number,
): void {
  if (rejected.length === 0) return;
  printLine(context);
  printLine(context, 'Hosts that were passed over:');
  printTable(
    context,
    REJECTED_COLUMNS,
    rejected
      .slice(0, rowsMax)
      .flatMap(({ host, reasons }) =>
        reasons.map((reason) => [host.name, reasonCell(reason), ...amountCells(reason)]),
      ),
  );
  printRest(context, rejected.length - rowsMax);
}

const ruleOf = ({ name, policy }: Candidate['violations'][number]): string => `${policy} ${name}`;

const shapeOf = (amounts: NonNullable<Candidate['keptFor']>): string =>
  Object.entries(amounts)
    .map(([name, amount]) => `${name} ${showAmount(name, amount)}`)
    .join(', ');

const reasonCell = ({ code, group }: Reason): string =>
  group === undefined ? code : `${code} (${group})`;

function amountCells({ resource, requested, available, limit }: Reason): readonly string[] {
  if (resource === undefined) return ['', '', '', ''];
  const cell = (amount: number | undefined) =>
    amount === undefined ? '' : showAmount(resource, amount);
  return [resource, cell(requested), cell(available), cell(limit)];
}

function printRest(context: CliContext, rest: number): void {
  if (rest > 0)
    printLine(context, `… and ${counted(rest, 'host')} more; raise --limit to see them`);
}

/** Why the winner won, or why nobody did. */
const whyLine = ({ explanation, summary }: PlacementBody): string =>
  explanation ??
  ['No host can take this VM:', ...reasonCounts(summary), ...missingLine(summary)].join(' ');

/** Of what the scores of the winner and the next are made, where that is more than one thing. */
function printAddends(context: CliContext, candidates: readonly Candidate[]): void {
  const shown = candidates.filter(({ addends }) => addends !== undefined);
  const names = Object.keys(shown[0]?.addends ?? {});
  if (names.length < 2) return;
  printLine(context);
  printLine(context, 'What their scores are made of; the highest sum wins:');
  printTable(
    context,
    [
      { head: 'HOST', flexible: true },
      ...names.map((name): Column => ({ head: name.toUpperCase(), align: 'right' })),
    ],
    shown.map(({ host, addends }) => [
      host.name,
      ...names.map((name) => (addends?.[name] ?? 0).toFixed(SCORE_DIGITS)),
    ]),
  );
}

/** `of 3 hosts, 2 are out for insufficient and 1 for cordoned.` as a list of at most one line. */
export function reasonCounts({ considered, byReason }: Summary): readonly string[] {
  if (considered === 0) return ['there are no hosts yet.'];
  const counts = Object.entries(byReason).map(([code, count]) => `${code} ${count.toString()}`);
  return [`of ${counted(considered, 'host')}, passed over for: ${counts.join(', ')}.`];
}

/** What the nearest host lacks, as a list of at most one line. */
export function missingLine({ nearest }: Summary): readonly string[] {
  if (nearest === null) return [];
  const missing = Object.entries(nearest.missing).map(
    ([resource, amount]) => `${showAmount(resource, amount)} of ${resource}`,
  );
  return [`The nearest, ${nearest.host.name}, lacks ${missing.join(' and ')}.`];
}
