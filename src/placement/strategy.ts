/** What a placement strategy is; each lives in a file of its own. */
import { RANKED_CLASSES, type RankedClass } from '../model/resources.js';
import type { Addends } from '../model/decision.js';
import type { StrategyName } from '../model/strategies.js';
import type { HostTable } from './host-table.js';
import type { LargeShapes } from './large-shapes.js';

/**
 * What a score may hang on besides request and weights. All but `anything` allow that a score is
 * worked out once for all hosts that are alike, or kept until something that it hangs on changes.
 * - `amounts`: capacities, limits and bookings of the host itself, in the ranked classes.
 * - `largest`: these, and the table's `largest`.
 * - `fleet`: these, and the table's `totals`.
 * - `host`: everything that the table knows of the host itself, and nothing of other hosts.
 * - `anything`: what is none of these.
 */
export type Sight = 'amounts' | 'largest' | 'fleet' | 'host' | 'anything';

export interface Strategy {
  readonly name: StrategyName;
  /** `anything` when it is not said. To say less than is so makes wrong choices. */
  readonly sees?: Sight;
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
  /**
   * The same score for many rows in one go, where that costs less than row by row.
   * @param into takes the scores, in the order of the rows
   * @returns how many rows were scored: these now stand first in the line-up
   */
  scoreRows?(
    table: HostTable,
    requested: Float64Array,
    weights: Float64Array,
    lineUp: LineUp,
    into: Float64Array,
  ): number;
  /** What the score is made of: these add up to it, but for its rounding. */
  addends(table: HostTable, row: number, requested: Float64Array, weights: Float64Array): Addends;
}

/** Rows to be scored in one go. */
export interface LineUp {
  /** The first `count` of these. */
  readonly rows: Int32Array;
  readonly count: number;
  /** The highest score is looked for: rows that have less than another may be left out. */
  readonly isForBest: boolean;
}

/** A strategy with its weights: all that ranking needs besides fleet and request. */
export interface Ranking {
  readonly strategy: Strategy;
  readonly weights: Float64Array;
  /** Room is kept for these; none where absent. */
  readonly large?: LargeShapes;
  /** One of the best so many is taken at random; the best where absent. */
  readonly top?: RandomTop;
}

export interface RandomTop {
  /** At least 1, which is the plain choice. */
  readonly count: number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

/** Weights of the ranked classes in their order; 1 where none is given. */
export const weightsOf = (weights: Readonly<Partial<Record<RankedClass, number>>>): Float64Array =>
  Float64Array.from(RANKED_CLASSES, (name) => weights[name] ?? 1);
