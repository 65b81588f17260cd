/** Decisions in words and numbers: every host's score, or every reason it was passed over. */
import type {
  Candidate,
  DecisionSummary,
  Explanation,
  HostRef,
  PlacementRequest,
  ReasonCode,
  Rejection,
  RejectReason,
} from '../model/decision.js';
import type { HostFacts } from '../model/host.js';
import { RANKED_CLASSES, type RankedClass, type Resources } from '../model/resources.js';
import { prepare, rejectReasons, type PreparedRequest } from './filter.js';
import { brokenWishes } from './group-rules.js';
import type { HostTable } from './host-table.js';
import { winsTie } from './order.js';
import { ratio } from './ratio.js';
import type { Ranking } from './strategy.js';
import { tellChoice } from './tell-choice.js';

/** The winner and the runner-up. */
const ADDENDS_SHOWN = 2;

/** The decision that `choose` takes on this table, with all that led to it. */
export function explain(
  table: HostTable,
  request: PlacementRequest,
  ranking: Ranking,
): Explanation {
  const prepared = prepare(table, request);
  const { rejected, feasible } = sift(table, prepared);
  const { groups } = prepared;
  const { strategy, weights } = ranking;
  const scored = feasible
    .map((row) => ({
      row,
      score: strategy.score(table, row, prepared.ranked, weights),
      violations: groups === null ? [] : brokenWishes(groups, table.factsAt(row).id),
    }))
    .sort(
      (a, b) =>
        a.violations.length - b.violations.length ||
        b.score - a.score ||
        (winsTie(table, a.row, b.row) ? -1 : 1),
    );
  const candidates = scored.map(({ row, score, violations }, index): Candidate => {
    const facts = table.factsAt(row);
    return {
      host: refOf(facts),
      rank: index + 1,
      score,
      ...(index < ADDENDS_SHOWN
        ? { addends: strategy.addends(table, row, prepared.ranked, weights) }
        : {}),
      violations,
      remaining: shares(
        facts,
        (name) => (facts.capacity[name] ?? 0) - (table.allocatedAt(row)[name] ?? 0),
      ),
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
    summary: summaryOf(table, request, rejected, feasible.length),
  };
}

/** Why nobody can take a request: counts per reason, and the host that comes nearest. */
export function summarise(table: HostTable, request: PlacementRequest): DecisionSummary {
  const { rejected, feasible } = sift(table, prepare(table, request));
  return summaryOf(table, request, rejected, feasible.length);
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

function summaryOf(
  table: HostTable,
  request: PlacementRequest,
  rejected: readonly Rejection[],
  feasible: number,
): DecisionSummary {
  const byReason: Partial<Record<ReasonCode, number>> = {};
  for (const { reasons } of rejected) {
    for (const code of new Set(reasons.map((reason) => reason.code))) {
      byReason[code] = (byReason[code] ?? 0) + 1;
    }
  }
  return {
    considered: table.size,
    feasible,
    byReason,
    nearest: feasible > 0 ? null : nearest(rejected, request),
  };
}

/**
 * Of the hosts that lack nothing but room, the one that lacks the smallest share of its limits;
 * the first registered among equals. Hosts that are closed or ruled out are no help to anybody.
 */
function nearest(
  rejected: readonly Rejection[],
  request: PlacementRequest,
): DecisionSummary['nearest'] {
  let best: { host: HostRef; missing: Resources } | null = null;
  let bestLack = Infinity;
  for (const { host, reasons } of rejected) {
    if (reasons.some((reason) => reason.code !== 'insufficient')) continue;
    const lack = reasons.reduce(
      (sum, reason) => sum + lackOf(reason) / Math.max(1, reason.limit ?? 0),
      0,
    );
    if (lack >= bestLack) continue;
    bestLack = lack;
    best = {
      host,
      missing: Object.fromEntries(
        Object.keys(request.resources).flatMap((name) => {
          const reason = reasons.find(({ resource }) => resource === name);
          return reason === undefined ? [] : [[name, lackOf(reason)]];
        }),
      ),
    };
  }
  return best;
}

const lackOf = (reason: RejectReason): number => (reason.requested ?? 0) - (reason.available ?? 0);

const refOf = (facts: HostFacts): HostRef => ({ id: facts.id, name: facts.name });

const seqOf = (table: HostTable, host: HostRef): number => table.seq[table.rowOf(host.id)] ?? 0;

const shares = (
  facts: HostFacts,
  amountOf: (name: RankedClass) => number,
): Record<RankedClass, number> =>
  Object.fromEntries(
    RANKED_CLASSES.map((name) => [name, ratio(amountOf(name), facts.capacity[name] ?? 0)]),
  ) as Record<RankedClass, number>;
