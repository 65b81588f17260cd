/** What a placement strategy is; each lives in a file of its own. */
import { RANKED_CLASSES, type RankedClass } from '../model/resources.js';
import type { StrategyName } from '../model/strategies.js';
import type { HostTable } from './host-table.js';

/** Parts of a score by their names, the sum's sign included: the more, the better. */
export type Addends = Readonly<Record<string, number>>;

export interface Strategy {
  readonly name: StrategyName;
  /**
   * How well a host suits a request that it can take; the highest wins.
   * @param requested amounts of the ranked classes
   * @param weights one per ranked class
   */
  score(table: HostTable, row: number, requested: Float64Array, weights: Float64Array): number;
  /** What the score is made of, by name: these add up to it. Without them the score is one piece. */
  addends?(table: HostTable, row: number, requested: Float64Array, weights: Float64Array): Addends;
}

/** A strategy with its weights: all that ranking needs besides fleet and request. */
export interface Ranking {
  readonly strategy: Strategy;
  readonly weights: Float64Array;
}

/** Weights of the ranked classes in their order; 1 where none is given. */
export const weightsOf = (weights: Readonly<Partial<Record<RankedClass, number>>>): Float64Array =>
  Float64Array.from(RANKED_CLASSES, (name) => weights[name] ?? 1);
