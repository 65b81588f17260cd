/**
 * One look at every row for one request: list those that can take it, score these, find the best.
 * Hosts that are alike are judged once where the strategy scores them one by one and allows it.
 * Allocates nothing per row.
 */
import { Contenders, type Field } from './contenders.js';
import { hasRankedRoom, type PreparedRequest } from './filter.js';
import type { HostSet } from './host-sets.js';
import type { HostTable } from './host-table.js';
import { winsTie } from './order.js';
import type { Ranking, Sight, Strategy } from './strategy.js';
import type { WinnerTree } from './winner-tree.js';

/** The best of some rows. */
export interface Best {
  /** -1 when none can take it. */
  readonly row: number;
  readonly score: number;
  /** How many could have taken it. */
  readonly feasible: number;
}

/** Where the score of one host is that of all that are alike. */
const SHARED: readonly Sight[] = ['amounts', 'largest', 'fleet'];

/** Sharing costs two more looks per row: less than a score, more than nothing. */
const ROWS_PER_KIND_MIN = 1.25;

const NOBODY: Best = { row: -1, score: 0, feasible: 0 };

const NO_ROWS: ReadonlySet<number> = new Set();

export class Scanner {
  readonly #table: HostTable;
  readonly #contenders: Contenders;
  /** Scores of the contenders, in their order. */
  #scores = new Float64Array(0);
  /** Per kind of hosts: the scan that has judged it last, and the score. */
  #judgedIn = new Float64Array(0);
  #ofKinds = new Float64Array(0);
  #scan = 0;

  constructor(table: HostTable) {
    this.#table = table;
    this.#contenders = new Contenders(table);
  }

  /** The best row of the field. */
  best(request: PreparedRequest, ranking: Ranking, field: Field): Best {
    this.#contenders.find(request, field);
    const { rows, count: feasible } = this.#contenders;
    const scored = this.#score(request, ranking, true);
    const place = this.#placeOfBest(scored);
    return place < 0
      ? NOBODY
      : { row: rows[place] ?? -1, score: this.#scores[place] ?? 0, feasible };
  }

  #placeOfBest(scored: number): number {
    const { rows } = this.#contenders;
    const scores = this.#scores;
    let best = -1;
    let bestScore = -Infinity;
    for (let place = 0; place < scored; place += 1) {
      const score = scores[place] ?? 0;
      if (score < bestScore) continue;
      if (
        score > bestScore ||
        best < 0 ||
        winsTie(this.#table, rows[place] ?? 0, rows[best] ?? 0)
      ) {
        best = place;
        bestScore = score;
      }
    }
    return best;
  }

  /** Plays a tournament of all rows. */
  play(request: PreparedRequest, ranking: Ranking, among: HostSet | null, tree: WinnerTree): void {
    this.#contenders.find(request, { among, beside: NO_ROWS });
    const count = this.#score(request, ranking, false);
    tree.build(this.#contenders.rows, this.#scores, count);
  }

  /** @returns how many contenders were scored; they stand first */
  #score(request: PreparedRequest, ranking: Ranking, isForBest: boolean): number {
    const table = this.#table;
    const { strategy, weights } = ranking;
    if (this.#scores.length < table.size) this.#scores = new Float64Array(table.open.length);
    const scores = this.#scores;
    const { rows, count } = this.#contenders;
    if (strategy.scoreRows !== undefined) {
      return strategy.scoreRows(table, request.ranked, weights, { rows, count, isForBest }, scores);
    }
    if (this.#canShare(strategy)) {
      this.#scoreKinds(request, ranking, scores);
    } else {
      for (let at = 0; at < count; at += 1) {
        scores[at] = strategy.score(table, rows[at] ?? 0, request.ranked, weights);
      }
    }
    return count;
  }

  #canShare({ sees }: Strategy): boolean {
    const { kinds, size } = this.#table;
    return SHARED.includes(sees ?? 'anything') && kinds.size * ROWS_PER_KIND_MIN <= size;
  }

  #scoreKinds(
    { ranked }: PreparedRequest,
    { strategy, weights }: Ranking,
    scores: Float64Array,
  ): void {
    const { kinds } = this.#table;
    const { rows, count } = this.#contenders;
    if (this.#ofKinds.length < kinds.numbers) {
      this.#judgedIn = new Float64Array(2 * kinds.numbers);
      this.#ofKinds = new Float64Array(2 * kinds.numbers);
    }
    this.#scan += 1;
    for (let at = 0; at < count; at += 1) {
      const row = rows[at] ?? 0;
      const kind = kinds.of[row] ?? 0;
      if (this.#judgedIn[kind] !== this.#scan) {
        this.#judgedIn[kind] = this.#scan;
        this.#ofKinds[kind] = strategy.score(this.#table, row, ranked, weights);
      }
      scores[at] = this.#ofKinds[kind] ?? 0;
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
