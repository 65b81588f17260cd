/**
 * One decision: filter every host, rank those that are left, take the best. Pure; books nothing.
 * explain.ts tells the same decision in full.
 */
import type { DecisionSummary, PlacementRequest } from '../model/decision.js';
import type { GroupRule } from '../model/groups.js';
import { admits, prepare } from './filter.js';
import { brokenWishCount, brokenWishes } from './group-rules.js';
import type { HostTable } from './host-table.js';
import { winsTie } from './order.js';
import type { Ranking } from './strategy.js';
import { summarise } from './explain.js';

/** A refusal is a value that explains itself. */
export type Decision =
  | {
      readonly kind: 'placed';
      readonly row: number;
      readonly score: number;
      /** Hosts that could have taken it, this one included. */
      readonly feasible: number;
      /** Soft rules that the chosen host breaks. */
      readonly violations: readonly GroupRule[];
    }
  | { readonly kind: 'nowhere'; readonly summary: DecisionSummary };

const NO_VIOLATIONS: readonly GroupRule[] = [];

/** The host that breaks the fewest soft rules; of those, the one with the highest score. */
export function choose(table: HostTable, request: PlacementRequest, ranking: Ranking): Decision {
  const prepared = prepare(table, request);
  const { strategy, weights } = ranking;
  const { groups } = prepared;
  let best = -1;
  let bestScore = 0;
  let bestBroken = 0;
  let feasible = 0;
  for (let row = 0; row < table.size; row += 1) {
    if (!admits(table, row, prepared)) continue;
    feasible += 1;
    const broken = groups === null ? 0 : brokenWishCount(groups, table.factsAt(row).id);
    if (best >= 0 && broken > bestBroken) continue;
    const score = strategy.score(table, row, prepared.ranked, weights);
    if (
      best < 0 ||
      broken < bestBroken ||
      score > bestScore ||
      (score === bestScore && winsTie(table, row, best))
    ) {
      best = row;
      bestScore = score;
      bestBroken = broken;
    }
  }
  if (best < 0) return { kind: 'nowhere', summary: summarise(table, request) };
  const violations = groups === null ? NO_VIOLATIONS : brokenWishes(groups, table.factsAt(best).id);
  return { kind: 'placed', row: best, score: bestScore, feasible, violations };
}
