/**
 * Strategy `cosine`: prefer the host whose remaining capacity points the same way as the request,
 * so that no class runs out long before the others. Good while hosts are alike and half empty.
 *
 *   rem_i = (capacity_i − allocated_i) / capacity_i    0 if capacity_i ≤ 0 or the numerator < 0;
 *                                                      the reserve is not subtracted
 *   req_i = requested_i / capacity_i                   0 if capacity_i ≤ 0
 *   score = Σ w_i rem_i req_i / (√Σ w_i rem_i² · √Σ w_i req_i²)
 *           0 if either root is 0;  −1 if any rem_i ≤ 0
 *
 * Sums run over cpu, memory, disk, left to right, so that every implementation gets the same bits.
 */
import { RANKED, type HostTable } from './host-table.js';
import { ratio } from './ratio.js';
import type { Strategy } from './strategy.js';

/** Score of a host that has nothing left of some class: it is taken only if no other fits. */
const EXHAUSTED = -1;

export const cosine: Strategy = {
  name: 'cosine',
  merit: 'what it has left is most like the request',
  score(table: HostTable, row: number, requested: Float64Array, weights: Float64Array): number {
    const base = row * RANKED;
    let dot = 0;
    let remainingSquared = 0;
    let requestedSquared = 0;
    for (let index = 0; index < RANKED; index += 1) {
      const capacity = table.capacity[base + index] ?? 0;
      const remaining = ratio(capacity - (table.allocated[base + index] ?? 0), capacity);
      if (remaining <= 0) return EXHAUSTED;
      const asked = ratio(requested[index] ?? 0, capacity);
      const weight = weights[index] ?? 0;
      dot += weight * remaining * asked;
      remainingSquared += weight * remaining * remaining;
      requestedSquared += weight * asked * asked;
    }
    const lengths = Math.sqrt(remainingSquared) * Math.sqrt(requestedSquared);
    return lengths === 0 ? 0 : dot / lengths;
  },
  addends: (...host) => ({ alignment: cosine.score(...host) }),
};
