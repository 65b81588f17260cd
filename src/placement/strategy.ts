/** What a placement strategy is; each lives in a file of its own. */
import { RANKED_CLASSES, type RankedClass } from '../model/resources.js';
import type { Addends } from '../model/decision.js';
import type { StrategyName } from '../model/strategies.js';
import type { HostTable } from './host-table.js';

export interface Strategy {
  readonly name: StrategyName;
  /** What a high score means, of the host that has it. */
  readonly merit: string;
  /**
   * How well a host suits a request that it can take; the highest wins. Follows from the request,
   * the host's row and, of the fleet, `largest` (all that look at the leftover) and `totals`
   * (balanced-fit, stranding) alone.
   * @param requested amounts of the ranked classes
   * @param weights one per ranked class
   */
  score(table: HostTable, row: number, requested: Float64Array, weights: Float64Array): number;
  /** What the score is made of: these add up to it, but for its rounding. */
  addends(table: HostTable, row: number, requested: Float64Array, weights: Float64Array): Addends;
}

/** A strategy with its weights: all that ranking needs besides fleet and request. */
export interface Ranking {
  readonly strategy: Strategy;
  readonly weights: Float64Array;
}

/** Weights of the ranked classes in their order; 1 where none is given. */
export const weightsOf = (weights: Readonly<Partial<Record<RankedClass, number>>>): Float64Array =>
  Float64Array.from(RANKED_CLASSES, (name) => weights[name] ?? 1);
