/**
 * One look at every row for one request. Hosts that are alike are judged once where the strategy
 * allows it. Allocates nothing per row.
 *
 * Sums and comparisons are written out for the three ranked classes: a loop over them costs more
 * than they do.
 */
import { hasOtherRoom, hasRankedRoom, type PreparedRequest } from './filter.js';
import { isIn, type HostSet } from './host-sets.js';
import { RANKED, type HostTable } from './host-table.js';
import { winsTie } from './order.js';
import type { Ranking, Sight, Strategy } from './strategy.js';

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

/** Sharing costs two more looks per row: less than a score, more than nothing. */
const ROWS_PER_KIND_MIN = 1.25;

export class Scanner {
  readonly #table: HostTable;
  /** Score of each row; NaN where it is known that there is no room. */
  #scores = new Float64Array(0);
  /** Per kind of hosts: the scan that has judged it last, and the score. */
  #judgedIn = new Float64Array(0);
  #ofKinds = new Float64Array(0);
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
    const { size, open, allocated, limit } = table;
    const { others } = request;
    const [asked0 = 0, asked1 = 0, asked2 = 0] = request.ranked;
    const scores = this.#score(request, ranking);
    let best = -1;
    let bestScore = 0;
    let feasible = 0;
    for (let row = 0; row < size; row += 1) {
      if (into !== null) into[row] = NaN;
      const score = scores[row] ?? NaN;
      if (open[row] !== 1 || score !== score) continue;
      // As hasRankedRoom. A class that is not asked for has room: an over-full host is not open.
      const at = row * RANKED;
      if ((allocated[at] ?? 0) + asked0 > (limit[at] ?? 0)) continue;
      if ((allocated[at + 1] ?? 0) + asked1 > (limit[at + 1] ?? 0)) continue;
      if ((allocated[at + 2] ?? 0) + asked2 > (limit[at + 2] ?? 0)) continue;
      if (among !== null && !isIn(among, row)) continue;
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

  /** Scores of all rows that have room, and of some that have not. */
  #score(request: PreparedRequest, ranking: Ranking): Float64Array {
    const table = this.#table;
    const { strategy, weights } = ranking;
    if (this.#scores.length < table.size) this.#scores = new Float64Array(table.open.length);
    const scores = this.#scores;
    if (strategy.scoreAll !== undefined) {
      strategy.scoreAll(table, request.ranked, weights, scores);
    } else if (this.#canShare(strategy)) {
      this.#scoreKinds(request, ranking, scores);
    } else {
      for (let row = 0; row < table.size; row += 1) {
        scores[row] = table.open[row] === 1 ? judge(table, request, ranking, row) : NaN;
      }
    }
    return scores;
  }

  #canShare({ sees }: Strategy): boolean {
    const { kinds, size } = this.#table;
    return SHARED.includes(sees ?? 'anything') && kinds.size * ROWS_PER_KIND_MIN <= size;
  }

  #scoreKinds(request: PreparedRequest, ranking: Ranking, scores: Float64Array): void {
    const { kinds, size } = this.#table;
    if (this.#ofKinds.length < kinds.numbers) {
      this.#judgedIn = new Float64Array(2 * kinds.numbers);
      this.#ofKinds = new Float64Array(2 * kinds.numbers);
    }
    this.#scan += 1;
    for (let row = 0; row < size; row += 1) {
      const kind = kinds.of[row] ?? 0;
      if (this.#judgedIn[kind] !== this.#scan) {
        this.#judgedIn[kind] = this.#scan;
        this.#ofKinds[kind] = judge(this.#table, request, ranking, row);
      }
      scores[row] = this.#ofKinds[kind] ?? NaN;
    }
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
