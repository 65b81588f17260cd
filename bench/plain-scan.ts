/** The baseline of decisions: every host judged anew for every request, nothing kept or shared. */
import type { PlacementRequest } from '../src/model/decision.js';
import { admits, prepare } from '../src/placement/filter.js';
import type { HostTable } from '../src/placement/host-table.js';
import { winsTie } from '../src/placement/order.js';
import type { Ranking } from '../src/placement/strategy.js';

/** @returns the row, or -1 when nobody can take it; knows no groups */
export function plainChoice(
  table: HostTable,
  request: PlacementRequest,
  { strategy, weights }: Ranking,
): number {
  const prepared = prepare(table, request);
  let best = -1;
  let bestScore = 0;
  for (let row = 0; row < table.size; row += 1) {
    if (!admits(table, row, prepared)) continue;
    const score = strategy.score(table, row, prepared.ranked, weights);
    if (best < 0 || score > bestScore || (score === bestScore && winsTie(table, row, best))) {
      best = row;
      bestScore = score;
    }
  }
  return best;
}
