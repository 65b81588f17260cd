/** Why the first candidate and not the second, for a person. */
import type { Candidate } from '../model/decision.js';
import { RANKED_CLASSES } from '../model/resources.js';
import type { HostTable } from './host-table.js';
import type { Ranking } from './strategy.js';

const SCORE_DIGITS = 4;

/** Addends that differ by less are not worth a word. */
const DIFFERENCE_MIN = 0.00005;

/** null when there is no candidate. @param candidates best first */
export function tellChoice(
  table: HostTable,
  ranking: Ranking,
  candidates: readonly Candidate[],
): string | null {
  const [winner, next] = candidates;
  if (winner === undefined) return null;
  const why = next === undefined ? whyAlone(table.size) : whyBefore(table, ranking, winner, next);
  const others = candidates.filter((one) => !isWorse(one, winner)).length;
  return `${winner.host.name} is chosen: ${why}.${concession(winner)}${lot(ranking, others)}`;
}

const whyAlone = (considered: number): string =>
  considered === 1
    ? 'it is the only host, and it fits'
    : `of ${considered.toString()} hosts it is the only one that fits`;

function whyBefore(table: HostTable, ranking: Ranking, winner: Candidate, next: Candidate): string {
  const [broken, more] = [winner.violations.length, next.violations.length];
  if (broken < more) {
    const rules = broken === 1 ? 'rule' : 'rules';
    return `it breaks ${broken.toString()} soft ${rules}, the next, ${next.host.name}, ${more.toString()}`;
  }
  if (isWorse(next, winner)) {
    return `the next, ${next.host.name}, is kept for larger VMs (${shape(next.keptFor)})`;
  }
  if (winner.score === next.score) return tie(winner, next);
  const scores = `${shown(winner.score)}; next ${next.host.name}, ${shown(next.score)}`;
  const merit = `${ranking.strategy.merit} (${scores})`;
  const parts = Object.keys(winner.addends ?? {});
  return parts.length < 2
    ? merit
    : [merit, comparison(winner, next), ends(table, ranking, winner, next)].join('; ');
}

/** The addends in which the two differ, the one that counted most first. */
function comparison(winner: Candidate, next: Candidate): string {
  const differences = Object.entries(winner.addends ?? {})
    .map(([name, mine]) => ({ name, mine, theirs: next.addends?.[name] ?? 0 }))
    .map((one) => ({ ...one, lead: one.mine - one.theirs }))
    .filter(({ lead }) => Math.abs(lead) >= DIFFERENCE_MIN)
    .sort((a, b) => Math.abs(b.lead) - Math.abs(a.lead));
  const told = (word: string, some: typeof differences) =>
    some.length === 0
      ? []
      : [
          `${word} in ${some
            .map(({ name, mine, theirs }) => `${name} (${shown(mine)} against ${shown(theirs)})`)
            .join(' and ')}`,
        ];
  return [
    ...told(
      'ahead',
      differences.filter(({ lead }) => lead > 0),
    ),
    ...told(
      'behind',
      differences.filter(({ lead }) => lead < 0),
    ),
  ].join(', ');
}

/** How full the two would be, in the classes that count, and which the fleet is shortest of. */
function ends(
  { totals }: HostTable,
  { weights }: Ranking,
  winner: Candidate,
  next: Candidate,
): string {
  const counted = RANKED_CLASSES.filter(
    (_name, index) => (weights[index] ?? 0) > 0 && (totals.mean[index] ?? 0) > 0,
  );
  const useOf = (name: (typeof RANKED_CLASSES)[number]) =>
    totals.use[RANKED_CLASSES.indexOf(name)] ?? 0;
  const free = ({ remaining, requested }: Candidate) =>
    counted
      .map((name) => `${percent(Math.max(0, remaining[name] - requested[name]))} ${name}`)
      .join(', ');
  const tightest = counted.reduce(
    (one, other) => (useOf(other) > useOf(one) ? other : one),
    counted[0] ?? 'cpu',
  );
  return (
    `it would end with ${free(winner)} free, ${next.host.name} with ${free(next)}, ` +
    `and the fleet is shortest of ${tightest} (${percent(useOf(tightest))} in use)`
  );
}

/** The two rules that part equal scores: more room left, then the earlier registration. */
function tie(winner: Candidate, next: Candidate): string {
  const tied = `it has the same score as ${next.host.name} (${shown(winner.score)})`;
  return lengthOf(winner) > lengthOf(next)
    ? `${tied} and more room left`
    : `${tied} and as much room left, and was registered first`;
}

const lengthOf = ({ remaining }: Candidate): number =>
  Math.hypot(...RANKED_CLASSES.map((name) => remaining[name]));

/** Whether one comes after the other whatever the scores: for soft rules, or as one that is kept. */
const isWorse = (one: Candidate, other: Candidate): boolean =>
  one.violations.length > other.violations.length ||
  (one.keptFor !== undefined && other.keptFor === undefined);

/** The soft rules that even the winner breaks, and that it was not to be taken. */
function concession({ violations, keptFor }: Candidate): string {
  const rules = violations.map(({ name, policy }) => `${policy} ${name}`).join(' and ');
  return [
    violations.length === 0 ? '' : ` It breaks ${rules}.`,
    keptFor === undefined
      ? ''
      : ` It is taken although it is kept for larger VMs (${shape(keptFor)}).`,
  ].join('');
}

const shape = (amounts: Candidate['keptFor'] = {}): string =>
  Object.entries(amounts)
    .map(([name, amount]) => `${amount.toString()} ${name}`)
    .join(', ');

/** That it need not have been the first. @param alike candidates that no rule puts after it */
function lot({ top }: Ranking, alike: number): string {
  const count = Math.min(top?.count ?? 1, alike);
  return count < 2 ? '' : ` One of the first ${count.toString()} is taken by lot.`;
}

const shown = (score: number): string => score.toFixed(SCORE_DIGITS);

const percent = (share: number): string => `${Math.round(100 * share).toString()} %`;
