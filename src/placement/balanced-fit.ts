/**
 * Strategy `balanced-fit`: prefer the host on which least is left over, as long as it stays in
 * proportion in the classes that the fleet is short of. Large holes stay whole for large VMs, and
 * hosts are drained without stranding a class. Take it when hosts fill up.
 *
 *   n classes count, with the weights w and the prices p of class-prices.ts (prior 0.05, power 8).
 *   C = capacity, x = free / C, y = requested / C, R = what is left, z = R / C; free and R are at
 *   least 0, the reserve is not subtracted; mean: fleet-totals.ts.
 *
 *   left      = 1/n Σ w R / mean
 *   size      = 1/n Σ w C / mean
 *   and over the classes that this host has (C > 0), with P = Σ p:
 *   misalign  = 1 − Σ p x y / √(Σ p x² · Σ p y²)     0 if a root is 0 or the result is negative
 *   share     = min(1, (P − max p) / (n − 1))        0 if n = 1: how much a second class matters
 *   imbalance = Σ p |z − z̄|,  z̄ = Σ p z / P          0 if P = 0
 *
 *   score = −(left + 0.2 size + 16 share misalign + 3 imbalance), rounded to 1e-9
 *
 * Found by measuring on the hosts and requests of Alibaba's openb trace: bench/README.md.
 */
import { fillPrices, scaleWeights } from './class-prices.js';
import { RANKED, type HostTable } from './host-table.js';
import { leftAt } from './leftover.js';
import { ratio } from './ratio.js';
import { rounded } from './rounded.js';
import type { Strategy } from './strategy.js';

const USE_PRIOR = 0.05;
const SQUARINGS = 3;
const SIZE_FACTOR = 0.2;
const MISALIGN_FACTOR = 16;
const IMBALANCE_FACTOR = 3;

/** Of one call: a scan allocates nothing. */
const scaled = new Float64Array(RANKED);
const prices = new Float64Array(RANKED);

/** The four addends of one host. */
const addends = { leftover: 0, size: 0, misalignment: 0, imbalance: 0 };

function measure(
  table: HostTable,
  row: number,
  requested: Float64Array,
  weights: Float64Array,
): typeof addends {
  const { totals } = table;
  const count = scaleWeights(totals, weights, scaled);
  fillPrices(totals, scaled, USE_PRIOR, SQUARINGS, prices);
  addends.leftover = 0;
  addends.size = 0;
  for (let index = 0; index < RANKED; index += 1) {
    const weight = scaled[index] ?? 0;
    if (weight === 0) continue;
    const unit = weight / (count * (totals.mean[index] ?? 0));
    const at = row * RANKED + index;
    const capacity = table.capacity[at] ?? 0;
    const left = capacity - (table.allocated[at] ?? 0) - (requested[index] ?? 0);
    addends.leftover -= unit * Math.max(0, left);
    addends.size -= SIZE_FACTOR * unit * capacity;
  }
  addends.misalignment = 0 - MISALIGN_FACTOR * misalignment(table, row, requested, count);
  addends.imbalance = 0 - IMBALANCE_FACTOR * imbalance(table, row, requested);
  return addends;
}

/** `share misalign` by the prices at hand. */
function misalignment(
  table: HostTable,
  row: number,
  requested: Float64Array,
  count: number,
): number {
  let dot = 0;
  let freeSquared = 0;
  let askedSquared = 0;
  let priceSum = 0;
  let priceMax = 0;
  for (let index = 0; index < RANKED; index += 1) {
    const at = row * RANKED + index;
    const capacity = table.capacity[at] ?? 0;
    const price = prices[index] ?? 0;
    if (capacity <= 0 || price === 0) continue;
    const free = ratio(capacity - (table.allocated[at] ?? 0), capacity);
    const asked = (requested[index] ?? 0) / capacity;
    dot += price * free * asked;
    freeSquared += price * free * free;
    askedSquared += price * asked * asked;
    priceSum += price;
    priceMax = Math.max(priceMax, price);
  }
  if (count <= 1) return 0;
  const lengths = Math.sqrt(freeSquared) * Math.sqrt(askedSquared);
  const share = Math.min(1, (priceSum - priceMax) / (count - 1));
  return lengths === 0 ? 0 : share * Math.max(0, 1 - dot / lengths);
}

function imbalance(table: HostTable, row: number, requested: Float64Array): number {
  let priceSum = 0;
  let pricedLeft = 0;
  for (let index = 0; index < RANKED; index += 1) {
    const price = pricedAt(table, row, index);
    priceSum += price;
    if (price > 0) pricedLeft += price * leftAt(table, row, requested, index);
  }
  if (priceSum === 0) return 0;
  const mean = pricedLeft / priceSum;
  let sum = 0;
  for (let index = 0; index < RANKED; index += 1) {
    const price = pricedAt(table, row, index);
    if (price > 0) sum += price * Math.abs(leftAt(table, row, requested, index) - mean);
  }
  return sum;
}

/** The price of a class on a host that has it; 0 on one that has not. */
const pricedAt = (table: HostTable, row: number, index: number): number =>
  (table.capacity[row * RANKED + index] ?? 0) > 0 ? (prices[index] ?? 0) : 0;

export const balancedFit: Strategy = {
  name: 'balanced-fit',
  sees: 'fleet',
  merit: 'it leaves little room unused and stays in proportion',
  score(table: HostTable, row: number, requested: Float64Array, weights: Float64Array): number {
    const { leftover, size, misalignment, imbalance } = measure(table, row, requested, weights);
    return rounded(leftover + size + misalignment + imbalance);
  },
  addends: (table, row, requested, weights) => ({ ...measure(table, row, requested, weights) }),
};
