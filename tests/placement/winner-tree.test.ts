/** The tournament against a plain look at all rows, and the log that says which rows to replay. */
import { describe, expect, it } from '@jest/globals';
import { ChangeLog } from '../../src/placement/change-log.js';
import { HostTable } from '../../src/placement/host-table.js';
import { WinnerTree } from '../../src/placement/winner-tree.js';
import { prngOf } from '../../src/std/prng.js';
import { fleetHost } from '../support/hosts.js';

const ROWS = 100;

/** Hosts of two sizes of room, so that equal scores are common and ties go both ways. */
const table = HostTable.of(
  Array.from({ length: ROWS }, (_, row) =>
    fleetHost({ seq: (row * 37) % ROWS, allocated: row % 3 === 0 ? { cpu: 8 } : {} }),
  ),
);

/** The contract: the highest score, the most room, the first registered. */
function plainBest(scores: readonly number[], beside: ReadonlySet<number>): number {
  const rows = [...scores.keys()].filter((row) => !Number.isNaN(scores[row]) && !beside.has(row));
  rows.sort(
    (a, b) =>
      scores[b]! - scores[a]! || table.room[b]! - table.room[a]! || table.seq[a]! - table.seq[b]!,
  );
  return rows[0] ?? -1;
}

function built(scores: readonly number[]): WinnerTree {
  const tree = new WinnerTree(table, scores.length);
  const rows = [...scores.keys()].filter((row) => !Number.isNaN(scores[row]));
  const ofRows = Float64Array.from(rows, (row) => scores[row]!);
  tree.build(Int32Array.from(rows), ofRows, rows.length);
  return tree;
}

describe('a tournament', () => {
  const prng = prngOf('tournament');
  const someScore = () => (prng.chance(0.3) ? NaN : prng.between(0, 4));

  it.each([1, 2, 15, 16, 17, 33, 64, ROWS])(
    'of %d rows has the winner of a plain look, after any row has changed',
    (rows) => {
      const scores = Array.from({ length: rows }, someScore);
      const tree = built(scores);
      for (let at = 0; at < 500; at += 1) {
        const beside = new Set(Array.from({ length: at % 5 }, () => prng.between(0, rows - 1)));
        expect(tree.best).toBe(plainBest(scores, new Set()));
        expect(tree.bestBeside(beside)).toBe(plainBest(scores, beside));
        expect(tree.contenders).toBe(scores.filter((score) => !Number.isNaN(score)).length);
        const row = prng.between(0, rows - 1);
        scores[row] = someScore();
        tree.replay(row, scores[row]);
      }
    },
  );

  it('without a row that has a score has no winner', () => {
    const tree = built([NaN, NaN]);
    expect(tree.best).toBe(-1);
    expect(tree.bestBeside(new Set([0]))).toBe(-1);
    tree.replay(1, 3);
    expect(tree.best).toBe(1);
    expect(tree.bestBeside(new Set([1]))).toBe(-1);
  });
});

describe('the log of changes', () => {
  it('tells the rows in order from any mark', () => {
    const log = new ChangeLog();
    log.note(7);
    const mark = log.now;
    for (const row of [3, 1, 3]) log.note(row);
    expect(log.since(mark)).toBe(3);
    expect([0, 1, 2].map((at) => log.rowAt(mark + at))).toEqual([3, 1, 3]);
    expect(log.since(log.now)).toBe(0);
  });

  it('says so when it has forgotten, and when everything has changed', () => {
    const log = new ChangeLog();
    const mark = log.now;
    for (let row = 0; row < 20_000; row += 1) log.note(row);
    expect(log.since(mark)).toBe(Infinity);
    const recent = log.now;
    log.note(5);
    expect(log.since(recent)).toBe(1);
    log.noteAll();
    expect(log.since(recent)).toBe(Infinity);
    expect(log.since(log.now)).toBe(0);
    expect(log.since(-Infinity)).toBe(Infinity);
  });
});
