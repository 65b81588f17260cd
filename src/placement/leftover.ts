/**
 * What a host would have left, as one number from 0 to 1: the mean over the ranked classes, by
 * weight, of the room left there after the request. Room is counted absolutely, in units of the
 * largest host of the fleet: a quarter of a large host is more than half of a small one.
 *
 *   left_i = (capacity_i − allocated_i − requested_i) / largest_i    0 if largest_i ≤ 0 or the
 *                                                numerator < 0; the reserve is not subtracted
 *   left   = Σ w_i left_i / Σ w_i                0 if Σ w_i is 0
 *
 * Sums run over cpu, memory, disk, left to right, so that every implementation gets the same bits.
 */
import { RANKED, type HostTable } from './host-table.js';
import { ratio } from './ratio.js';
import type { LineUp } from './strategy.js';

export function leftover(
  table: HostTable,
  row: number,
  requested: Float64Array,
  weights: Float64Array,
): number {
  const base = row * RANKED;
  const { largest } = table;
  let sum = 0;
  let weightSum = 0;
  for (let index = 0; index < RANKED; index += 1) {
    const capacity = table.capacity[base + index] ?? 0;
    const left = capacity - (table.allocated[base + index] ?? 0) - (requested[index] ?? 0);
    const weight = weights[index] ?? 0;
    sum += weight * ratio(left, largest[index] ?? 0);
    weightSum += weight;
  }
  return weightSum === 0 ? 0 : sum / weightSum;
}

/**
 * The same for many rows in one go, written out for the three ranked classes.
 * @param sign 1 for the leftover, −1 for its opposite
 */
export function leftoverOfRows(
  { capacity, allocated, largest }: HostTable,
  requested: Float64Array,
  weights: Float64Array,
  { rows, count, isForBest }: LineUp,
  into: Float64Array,
  sign: 1 | -1,
): number {
  const [asked0 = 0, asked1 = 0, asked2 = 0] = requested;
  const [weight0 = 0, weight1 = 0, weight2 = 0] = weights;
  const [largest0 = 0, largest1 = 0, largest2 = 0] = largest;
  const weightSum = weight0 + weight1 + weight2;
  let scored = 0;
  let best = -Infinity;
  for (let place = 0; place < count; place += 1) {
    const row = rows[place] ?? 0;
    const at = row * RANKED;
    const left0 = (capacity[at] ?? 0) - (allocated[at] ?? 0) - asked0;
    const left1 = (capacity[at + 1] ?? 0) - (allocated[at + 1] ?? 0) - asked1;
    const left2 = (capacity[at + 2] ?? 0) - (allocated[at + 2] ?? 0) - asked2;
    const sum =
      weight0 * ratio(left0, largest0) +
      weight1 * ratio(left1, largest1) +
      weight2 * ratio(left2, largest2);
    // Added to 0, so that nothing left over is 0 and not −0.
    const score = weightSum === 0 ? 0 : 0 + sign * (sum / weightSum);
    if (score < best) continue;
    rows[scored] = row;
    into[scored] = score;
    scored += 1;
    if (isForBest) best = score;
  }
  return scored;
}

/** Share of its own capacity that a host would have left of one class. */
export function leftAt(
  table: HostTable,
  row: number,
  requested: Float64Array,
  index: number,
): number {
  const at = row * RANKED + index;
  const capacity = table.capacity[at] ?? 0;
  return ratio(capacity - (table.allocated[at] ?? 0) - (requested[index] ?? 0), capacity);
}
