/** A decision for people: each host's score, or its reasons, and one sentence why the winner won. */
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
  printRejected(context, placement.rejected, rowsMax);
}

function printCandidates(
  context: CliContext,
  candidates: readonly Candidate[],
  rowsMax: number,
): void {
  if (candidates.length === 0) return;
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
    ],
    candidates
      .slice(0, rowsMax)
      .map(({ rank, host, score, remaining, requested, violations }) => [
        rank.toString(),
        host.name,
        score.toFixed(SCORE_DIGITS),
        ...RANKED_CLASSES.map(
          (name) => `${showShare(remaining[name])} / ${showShare(requested[name])}`,
        ),
        ...(breaksSome ? [violations.map(ruleOf).join(', ')] : []),
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
export function whyLine({ candidates, chosen, strategy, summary }: PlacementBody): string {
  const [winner, second] = candidates;
  if (chosen === null || winner === undefined) {
    return ['No host can take this VM:', ...reasonCounts(summary), ...missingLine(summary)].join(
      ' ',
    );
  }
  const { name } = winner.host;
  if (second === undefined) {
    return summary.considered === 1
      ? `${name} is chosen: it is the only host, and it fits.${concession(winner)}`
      : `${name} is chosen: of ${counted(summary.considered, 'host')} it is the only one that fits.${concession(winner)}`;
  }
  return `${name} is chosen: ${whyBefore(winner, second, strategy)}.${concession(winner)}`;
}

/** What a high score means, by strategy. */
const MERITS: Readonly<Record<string, string>> = {
  cosine: 'what it has left is most like the request',
  'best-fit': 'least would be left over on it',
  'worst-fit': 'most would be left over on it',
  'first-fit': 'of the hosts that fit it was registered first',
};

function whyBefore(winner: Candidate, second: Candidate, strategy: string): string {
  const [broken, more] = [winner.violations.length, second.violations.length];
  if (broken < more) {
    return `it breaks ${counted(broken, 'soft rule')}, the next, ${second.host.name}, ${more.toString()}`;
  }
  if (winner.score === second.score) return tieLine(winner, second);
  const scores = `${winner.score.toFixed(SCORE_DIGITS)}; next ${second.host.name}, ${second.score.toFixed(SCORE_DIGITS)}`;
  const merit = MERITS[strategy] ?? `it has the highest score of strategy ${strategy}`;
  return `${merit} (${scores})`;
}

/** The soft rules that even the winner breaks. */
const concession = ({ violations }: Candidate): string =>
  violations.length === 0 ? '' : ` It breaks ${violations.map(ruleOf).join(' and ')}.`;

/** The two rules that part equal scores: more room left, then the earlier registration. */
function tieLine(winner: Candidate, second: Candidate): string {
  const tied = `it has the same score as ${second.host.name} (${winner.score.toFixed(SCORE_DIGITS)})`;
  return lengthOf(winner) > lengthOf(second)
    ? `${tied} and more room left`
    : `${tied} and as much room left, and was registered first`;
}

const lengthOf = ({ remaining }: Candidate): number =>
  Math.hypot(...RANKED_CLASSES.map((name) => remaining[name]));

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
