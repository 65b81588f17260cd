/**
 * One look at every row for one request. Hosts that are alike are judged once where the strategy
 * allows it. Allocates nothing per row.
 */
import { hasOtherRoom, hasRankedRoom, type PreparedRequest } from './filter.js';
import { isIn, type HostSet } from './host-sets.js';
import type { HostTable } from './host-table.js';
import { winsTie } from './order.js';
import type { Ranking, Sight } from './strategy.js';

/** The best of some rows. */
export interface Best {
  /** -1 when none can take it. */
  readonly row: number;
  readonly score: number;
  /** How many could have taken it. */
  readonly feasible: number;
}

export interface Field {
  /** Rows that meet the zone and labels; null when all do. */
  readonly among: HostSet | null;
  /** Rows that are left out. */
  readonly beside: ReadonlySet<number>;
}

/** Where the score of one host is that of all that are alike. */
const SHARED: readonly Sight[] = ['amounts', 'largest', 'fleet'];

/** Sharing costs a look into two more arrays per row: less than a score, more than nothing. */
const ROWS_PER_KIND_MIN = 1.25;

export class Scanner {
  readonly #table: HostTable;
  /** Per kind: the scan that judged it, and its score; NaN when there is no room. */
  #judgedIn = new Float64Array(0);
  #scores = new Float64Array(0);
  #scan = 0;

  constructor(table: HostTable) {
    this.#table = table;
  }

  /**
   * The best row of the field.
   * @param into takes the score of every row when given; NaN for one that cannot take the request
   */
  scan(
    request: PreparedRequest,
    ranking: Ranking,
    { among, beside }: Field,
    into: Float64Array | null = null,
  ): Best {
    const table = this.#table;
    const { size, open } = table;
    const { others } = request;
    const shares = this.#canShare(ranking);
    let best = -1;
    let bestScore = 0;
    let feasible = 0;
    for (let row = 0; row < size; row += 1) {
      if (into !== null) into[row] = NaN;
      if (open[row] !== 1 || (among !== null && !isIn(among, row))) continue;
      const score = shares
        ? this.#shared(request, ranking, row)
        : judge(table, request, ranking, row);
      if (score !== score) continue;
      if (others !== null && !hasOtherRoom(row, others)) continue;
      if (into !== null) into[row] = score;
      if (beside.size > 0 && beside.has(row)) continue;
      feasible += 1;
      if (best < 0 || score > bestScore || (score === bestScore && winsTie(table, row, best))) {
        best = row;
        bestScore = score;
      }
    }
    return { row: best, score: bestScore, feasible };
  }

  #canShare({ strategy }: Ranking): boolean {
    const { kinds, size } = this.#table;
    if (!SHARED.includes(strategy.sees ?? 'anything')) return false;
    if (kinds.size * ROWS_PER_KIND_MIN > size) return false;
    if (this.#scores.length < kinds.numbers) {
      this.#judgedIn = new Float64Array(2 * kinds.numbers);
      this.#scores = new Float64Array(2 * kinds.numbers);
    }
    this.#scan += 1;
    return true;
  }

  #shared(request: PreparedRequest, ranking: Ranking, row: number): number {
    const kind = this.#table.kinds.of[row] ?? 0;
    if (this.#judgedIn[kind] === this.#scan) return this.#scores[kind] ?? NaN;
    const score = judge(this.#table, request, ranking, row);
    this.#judgedIn[kind] = this.#scan;
    this.#scores[kind] = score;
    return score;
  }
}

/** The score of a row, or NaN when the request does not fit into its ranked classes. */
export const judge = (
  table: HostTable,
  request: PreparedRequest,
  { strategy, weights }: Ranking,
  row: number,
): number =>
  hasRankedRoom(table, row, request) ? strategy.score(table, row, request.ranked, weights) : NaN;
