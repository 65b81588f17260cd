/**
 * The scores of all rows for one request, as a tournament: who wins each block of rows, and who
 * wins among the blocks. A row that changes replays its own matches only (log n), and the best
 * beside a few rows is found without looking at the others.
 */
import type { HostTable } from './host-table.js';
import { winsTie } from './order.js';

/** Rows of a block. Fewer make the tree larger, more make a match of a block slower. */
const BLOCK_BITS = 4;
const BLOCK = 1 << BLOCK_BITS;

/** No row. */
const NONE = -1;

export class WinnerTree {
  /** Rows that it has places for: whole blocks. */
  readonly rows: number;
  readonly #table: HostTable;
  /** Score of each row; NaN for one that may not take the request. */
  readonly #scores: Float64Array<ArrayBuffer>;
  /** Leaves of the tree; a power of two. */
  readonly #blocks: number;
  /** Winner of each node: 1 is the root, the children of n are 2n and 2n + 1. */
  readonly #winners: Int32Array<ArrayBuffer>;
  #contenders = 0;

  constructor(table: HostTable, rows: number) {
    this.#table = table;
    const { inUse, blocks } = sizesOf(rows);
    this.#blocks = blocks;
    this.rows = inUse * BLOCK;
    this.#scores = new Float64Array(this.rows);
    this.#winners = new Int32Array(2 * this.#blocks);
  }

  /** What a tree of so many rows takes in memory. */
  static bytesOf(rows: number): number {
    const { inUse, blocks } = sizesOf(rows);
    return (
      inUse * BLOCK * Float64Array.BYTES_PER_ELEMENT + 2 * blocks * Int32Array.BYTES_PER_ELEMENT
    );
  }

  /** What it takes in memory. */
  get bytes(): number {
    return this.#scores.byteLength + this.#winners.byteLength;
  }

  /** How many rows have a score. */
  get contenders(): number {
    return this.#contenders;
  }

  /** Score of each row; NaN for one that may not take the request. */
  get scores(): Float64Array {
    return this.#scores;
  }

  /**
   * Plays all matches.
   * @param rows the first `count` have a score and stand in rising order; all others are out
   * @param scores in the order of `rows`
   */
  build(rows: Int32Array, scores: Float64Array, count: number): void {
    this.#contenders = count;
    const table = this.#table;
    const own = this.#scores.fill(NaN);
    this.#winners.fill(NONE);
    let [block, best, bestScore] = [NONE, NONE, NaN];
    for (let at = 0; at < count; at += 1) {
      const row = rows[at] ?? 0;
      const score = scores[at] ?? 0;
      own[row] = score;
      if (row >>> BLOCK_BITS !== block) {
        block = row >>> BLOCK_BITS;
      } else if (score < bestScore || (score === bestScore && !winsTie(table, row, best))) {
        continue;
      }
      best = row;
      bestScore = score;
      this.#winners[this.#blocks + block] = row;
    }
    for (let node = this.#blocks - 1; node >= 1; node -= 1) {
      this.#winners[node] = this.#winnerOfNode(node);
    }
  }

  /** The row, or its score, has changed. @param score NaN when it is out */
  replay(row: number, score: number): void {
    const before = this.#scores[row] ?? NaN;
    if (before === before) this.#contenders -= 1;
    if (score === score) this.#contenders += 1;
    this.#scores[row] = score;
    const block = row >>> BLOCK_BITS;
    let node = this.#blocks + block;
    let winner = this.#winnerOfBlock(block);
    // Above a match that this row neither won nor wins, nobody has changed.
    while (winner === row || this.#winners[node] !== winner) {
      this.#winners[node] = winner;
      node >>= 1;
      if (node === 0) return;
      winner = this.#winnerOfNode(node);
    }
  }

  /** The row that wins, or -1. */
  get best(): number {
    return this.#winners[1] ?? NONE;
  }

  /** The row that wins when these do not take part, or -1. */
  bestBeside(rows: ReadonlySet<number>): number {
    return this.#bestBeside(rows, 1);
  }

  #bestBeside(rows: ReadonlySet<number>, node: number): number {
    const winner = this.#winners[node] ?? NONE;
    if (winner === NONE || !rows.has(winner)) return winner;
    if (node < this.#blocks) {
      return this.#better(this.#bestBeside(rows, 2 * node), this.#bestBeside(rows, 2 * node + 1));
    }
    let best = NONE;
    const first = (node - this.#blocks) * BLOCK;
    for (let row = first; row < first + BLOCK; row += 1) {
      if (!rows.has(row)) best = this.#better(best, row);
    }
    return best;
  }

  #winnerOfBlock(block: number): number {
    const scores = this.#scores;
    let best = NONE;
    let bestScore = -Infinity;
    for (let row = block * BLOCK; row < (block + 1) * BLOCK; row += 1) {
      const score = scores[row] ?? NaN;
      // Also so when it is NaN.
      if (!(score >= bestScore)) continue;
      if (score === bestScore && best !== NONE && !winsTie(this.#table, row, best)) continue;
      best = row;
      bestScore = score;
    }
    return best;
  }

  #winnerOfNode(node: number): number {
    return this.#better(this.#winners[2 * node] ?? NONE, this.#winners[2 * node + 1] ?? NONE);
  }

  /** The better of two rows, either of which may be none or out. */
  #better(row: number, other: number): number {
    if (other === NONE) return row;
    const theirs = this.#scores[other] ?? NaN;
    if (theirs !== theirs) return row;
    if (row === NONE) return other;
    const mine = this.#scores[row] ?? NaN;
    if (mine !== mine || theirs > mine) return other;
    return theirs === mine && winsTie(this.#table, other, row) ? other : row;
  }
}

/** Blocks that rows fill, and leaves that the tree then has. */
function sizesOf(rows: number): { readonly inUse: number; readonly blocks: number } {
  const inUse = Math.max(1, Math.ceil(rows / BLOCK));
  return { inUse, blocks: 2 ** Math.ceil(Math.log2(inUse)) };
}
