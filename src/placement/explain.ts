/** Decisions in words and numbers: every host's score, or every reason it was passed over. */
import type {
  Candidate,
  Explanation,
  HostRef,
  PlacementRequest,
  Rejection,
} from '../model/decision.js';
import type { HostFacts } from '../model/host.js';
import { RANKED_CLASSES, type RankedClass, type Resources } from '../model/resources.js';
import { prepare, rejectReasons, type PreparedRequest } from './filter.js';
import { brokenWishes } from './group-rules.js';
import type { HostTable } from './host-table.js';
import { keptRows } from './kept-places.js';
import type { LargeShape } from './large-shapes.js';
import { winsTie } from './order.js';
import { ratio } from './ratio.js';
import type { Ranking } from './strategy.js';
import { summarise } from './summarise.js';
import { tellChoice } from './tell-choice.js';

/** The winner and the runner-up. */
const ADDENDS_SHOWN = 2;

/**
 * The decision that `choose` takes on this table, with all that led to it. Where it takes one of the
 * best few at random, the first of them is told as chosen.
 */
export function explain(
  table: HostTable,
  request: PlacementRequest,
  ranking: Ranking,
): Explanation {
  const prepared = prepare(table, request);
  const { rejected, feasible } = sift(table, prepared);
  const { groups } = prepared;
  const { strategy, weights } = ranking;
  const kept = keptRows(table, prepared, ranking);
  const scored = feasible
    .map((row) => ({
      row,
      score: strategy.score(table, row, prepared.ranked, weights),
      violations: groups === null ? [] : brokenWishes(groups, table.factsAt(row).id),
    }))
    .sort(
      (a, b) =>
        a.violations.length - b.violations.length ||
        Number(kept.has(a.row)) - Number(kept.has(b.row)) ||
        b.score - a.score ||
        (winsTie(table, a.row, b.row) ? -1 : 1),
    );
  const candidates = scored.map(({ row, score, violations }, index): Candidate => {
    const facts = table.factsAt(row);
    const shape = kept.get(row);
    return {
      host: refOf(facts),
      rank: index + 1,
      score,
      ...(index < ADDENDS_SHOWN
        ? { addends: strategy.addends(table, row, prepared.ranked, weights) }
        : {}),
      violations,
      ...(shape === undefined ? {} : { keptFor: amountsOf(shape) }),
      remaining: shares(facts, (name) => (facts.capacity[name] ?? 0) - table.bookedAt(row, name)),
      requested: shares(facts, (name) => request.resources[name] ?? 0),
    };
  });
  return {
    strategy: strategy.name,
    request: { resources: request.resources, constraints: request.constraints, path: request.path },
    chosen: candidates[0]?.host.id ?? null,
    explanation: tellChoice(table, ranking, candidates),
    candidates,
    rejected,
    summary: summarise(table, request),
  };
}

function sift(
  table: HostTable,
  request: PreparedRequest,
): { readonly rejected: readonly Rejection[]; readonly feasible: readonly number[] } {
  const rejected: Rejection[] = [];
  const feasible: number[] = [];
  for (let row = 0; row < table.size; row += 1) {
    const facts = table.factsAt(row);
    const reasons = rejectReasons(table, row, request);
    if (reasons.length === 0) feasible.push(row);
    else rejected.push({ host: refOf(facts), reasons });
  }
  rejected.sort((a, b) => seqOf(table, a.host) - seqOf(table, b.host));
  return { rejected, feasible };
}

const refOf = (facts: HostFacts): HostRef => ({ id: facts.id, name: facts.name });

const seqOf = (table: HostTable, host: HostRef): number => table.seq[table.rowOf(host.id)] ?? 0;

/** The classes that a shape asks for. */
const amountsOf = (shape: LargeShape): Resources =>
  Object.fromEntries(
    RANKED_CLASSES.map((name, index) => [name, shape[index] ?? 0] as const).filter(
      ([, amount]) => amount > 0,
    ),
  );

const shares = (
  facts: HostFacts,
  amountOf: (name: RankedClass) => number,
): Record<RankedClass, number> =>
  Object.fromEntries(
    RANKED_CLASSES.map((name) => [name, ratio(amountOf(name), facts.capacity[name] ?? 0)]),
  ) as Record<RankedClass, number>;
