/**
 * Strategy `cosine`: prefer the host whose remaining capacity points the same way as the request,
 * so that no class runs out long before the others. Good while hosts are alike and half empty.
 *
 *   rem_i = (capacity_i − allocated_i) / capacity_i    0 if capacity_i ≤ 0 or the numerator < 0;
 *                                                      the reserve is not subtracted
 *   req_i = requested_i / capacity_i                   0 if capacity_i ≤ 0
 *   score = Σ w_i rem_i req_i / (√Σ w_i rem_i² · √Σ w_i req_i²)
 *           0 if either root is 0;  −1 if any rem_i ≤ 0 of a class that counts (w_i > 0)
 *
 * So a host that has nothing of a class that counts comes last, as one that has nothing left of it:
 * where no host has the class, its weight should be 0.
 *
 * Sums run over cpu, memory, disk, left to right, so that every implementation gets the same bits.
 */
import { RANKED, type HostTable } from './host-table.js';
import { ratio } from './ratio.js';
import type { Strategy } from './strategy.js';

/** Score of a host that has nothing left of a class that counts: it is taken only if no other fits. */
const EXHAUSTED = -1;

/** What is below the best by more than this share is so after all roundings too. */
const NEARLY = 1 - 1e-12;

export const cosine: Strategy = {
  name: 'cosine',
  sees: 'amounts',
  merit: 'what it has left is most like the request',
  score(table: HostTable, row: number, requested: Float64Array, weights: Float64Array): number {
    const base = row * RANKED;
    let dot = 0;
    let remainingSquared = 0;
    let requestedSquared = 0;
    for (let index = 0; index < RANKED; index += 1) {
      const weight = weights[index] ?? 0;
      if (weight === 0) continue;
      const remaining = table.remaining[base + index] ?? 0;
      if (remaining <= 0) return EXHAUSTED;
      const asked = ratio(requested[index] ?? 0, table.capacity[base + index] ?? 0);
      dot += weight * remaining * asked;
      remainingSquared += weight * remaining * remaining;
      requestedSquared += weight * asked * asked;
    }
    const lengths = Math.sqrt(remainingSquared) * Math.sqrt(requestedSquared);
    return lengths === 0 ? 0 : dot / lengths;
  },

  /** What is asked, as shares of the capacity, is the same for all hosts of one shape. */
  scoreRows(table, requested, weights, { rows, count, isForBest }, into) {
    const { remaining, room } = table;
    const shapes = table.shapes.of;
    const asked = askedOfShapes(table, requested, weights);
    const [w0 = 0, w1 = 0, w2 = 0] = weights;
    // Then the length of what remains is the one that breaks ties.
    const isEven = w0 === 1 && w1 === 1 && w2 === 1;
    // What remains is at least 0: a class that does not count is never exhausted.
    const [end0 = 0, end1 = 0, end2 = 0] = weights.map((weight) => (weight > 0 ? 0 : -1));
    let scored = 0;
    let best = -Infinity;
    let least = -Infinity;
    for (let place = 0; place < count; place += 1) {
      const row = rows[place] ?? 0;
      const base = row * RANKED;
      const r0 = remaining[base] ?? 0;
      const r1 = remaining[base + 1] ?? 0;
      const r2 = remaining[base + 2] ?? 0;
      const at = (shapes[row] ?? 0) * ASKED;
      const dot =
        w0 * r0 * (asked[at] ?? 0) +
        w1 * r1 * (asked[at + 1] ?? 0) +
        w2 * r2 * (asked[at + 2] ?? 0);
      const length = isEven
        ? (room[row] ?? 0)
        : Math.sqrt(w0 * r0 * r0 + w1 * r1 * r1 + w2 * r2 * r2);
      const lengths = length * (asked[at + 3] ?? 0);
      if (dot < least * lengths) continue;
      let score = lengths === 0 ? 0 : dot / lengths;
      if (r0 <= end0 || r1 <= end1 || r2 <= end2) score = EXHAUSTED;
      if (score < best) continue;
      rows[scored] = row;
      into[scored] = score;
      scored += 1;
      if (!isForBest) continue;
      best = score;
      least = best * NEARLY;
    }
    return scored;
  },

  addends: (...host) => ({ alignment: cosine.score(...host) }),
};

/** Per shape: the share asked of each class, and the length of that vector by weight. */
const ASKED = RANKED + 1;

function askedOfShapes(
  { shapes }: HostTable,
  requested: Float64Array,
  weights: Float64Array,
): Float64Array {
  const asked = new Float64Array(shapes.numbers * ASKED);
  for (let shape = 0; shape < shapes.numbers; shape += 1) {
    let squared = 0;
    for (let index = 0; index < RANKED; index += 1) {
      const share = ratio(requested[index] ?? 0, shapes.amountAt(shape, index));
      asked[shape * ASKED + index] = share;
      squared += (weights[index] ?? 0) * share * share;
    }
    asked[shape * ASKED + RANKED] = Math.sqrt(squared);
  }
  return asked;
}
