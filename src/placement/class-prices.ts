/**
 * What a ranked class counts in a score: by its weight, and by how short the fleet is of it.
 * A class counts when some host has it and its weight is above 0; n is the number of those.
 *
 *   w_i = weight_i n / Σ weight                               0 for a class that does not count
 *   p_i = w_i ((use_i + prior) / max(use + prior))^(2^k)      the tightest class has the price w_i
 */
import type { FleetTotals } from './fleet-totals.js';
import { RANKED } from './host-table.js';

/**
 * @param scaled is filled with w
 * @returns n
 */
export function scaleWeights(
  { mean }: FleetTotals,
  weights: Float64Array,
  scaled: Float64Array,
): number {
  let count = 0;
  let sum = 0;
  for (let index = 0; index < RANKED; index += 1) {
    const weight = weights[index] ?? 0;
    const counts = weight > 0 && (mean[index] ?? 0) > 0;
    scaled[index] = counts ? weight : 0;
    if (!counts) continue;
    count += 1;
    sum += weight;
  }
  for (let index = 0; index < RANKED; index += 1) {
    const weight = scaled[index] ?? 0;
    if (weight > 0) scaled[index] = (weight * count) / sum;
  }
  return count;
}

/**
 * @param prior added to the use of every class, so that a nearly empty fleet has prices alike
 * @param squarings k, the power is 2^k
 * @param prices is filled with p
 */
export function fillPrices(
  { use }: FleetTotals,
  scaled: Float64Array,
  prior: number,
  squarings: number,
  prices: Float64Array,
): void {
  let tightest = 0;
  for (let index = 0; index < RANKED; index += 1) {
    if ((scaled[index] ?? 0) > 0) tightest = Math.max(tightest, (use[index] ?? 0) + prior);
  }
  for (let index = 0; index < RANKED; index += 1) {
    let price = tightest === 0 ? 1 : ((use[index] ?? 0) + prior) / tightest;
    for (let times = 0; times < squarings; times += 1) price *= price;
    prices[index] = (scaled[index] ?? 0) * price;
  }
}
