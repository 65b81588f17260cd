/**
 * One decision: filter every host, rank those that are left, take the best. Pure; books nothing.
 * explain.ts tells the same decision in full.
 */
import type { DecisionSummary, PlacementRequest } from '../model/decision.js';
import { admits, prepare } from './filter.js';
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
    }
  | { readonly kind: 'nowhere'; readonly summary: DecisionSummary };

export function choose(table: HostTable, request: PlacementRequest, ranking: Ranking): Decision {
  const prepared = prepare(request);
  const { strategy, weights } = ranking;
  let best = -1;
  let bestScore = 0;
  let feasible = 0;
  for (let row = 0; row < table.size; row += 1) {
    if (!admits(table, row, prepared)) continue;
    feasible += 1;
    const score = strategy.score(table, row, prepared.ranked, weights);
    if (best < 0 || score > bestScore || (score === bestScore && winsTie(table, row, best))) {
      best = row;
      bestScore = score;
    }
  }
  return best < 0
    ? { kind: 'nowhere', summary: summarise(table, request) }
    : { kind: 'placed', row: best, score: bestScore, feasible };
}
