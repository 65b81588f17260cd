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
