/**
 * Strategy `stranding`: prefer the host on which the request leaves least that nobody can use, and
 * of equals the one with the smallest leftover. Refuses large VMs latest and loses little when VMs
 * come and go; fills less than the others where several classes run out together.
 *
 *   n classes count, with the weights w and the prices p of class-prices.ts (no prior, power 4).
 *   The fleet's mix is what runs on it: d = use × capacity, both of fleet-totals.ts. Of a room F on
 *   a host, as many mixes as fit are usable and the rest is stranded:
 *
 *   stranded(F) = 1/n Σ p (F − k d) / mean,   k = the least of F / d over the classes with d > 0
 *                                             0 if nothing runs
 *   score = −(stranded(room after) − stranded(room before) + 0.2 left), rounded to 1e-9
 *                                             see leftover.ts for left
 *
 * Room is at least 0; the reserve is not subtracted. After the idea that Borg reports (Verma et al.,
 * EuroSys 2015): a hybrid that tries to reduce stranded resources.
 */
import { fillPrices, scaleWeights } from './class-prices.js';
import { RANKED, type HostTable } from './host-table.js';
import { leftover } from './leftover.js';
import { rounded } from './rounded.js';
import type { Strategy } from './strategy.js';

const NO_PRIOR = 0;
const SQUARINGS = 2;
const LEFTOVER_FACTOR = 0.2;

/** Of one call: a scan allocates nothing. */
const scaled = new Float64Array(RANKED);
const prices = new Float64Array(RANKED);
const room = new Float64Array(RANKED);

const addends = { stranding: 0, leftover: 0 };

function measure(
  table: HostTable,
  row: number,
  requested: Float64Array,
  weights: Float64Array,
): typeof addends {
  const { totals } = table;
  const count = scaleWeights(totals, weights, scaled);
  fillPrices(totals, scaled, NO_PRIOR, SQUARINGS, prices);
  fillRoom(table, row, null);
  const before = stranded(table, count);
  fillRoom(table, row, requested);
  const after = stranded(table, count);
  addends.stranding = before - after;
  addends.leftover = 0 - LEFTOVER_FACTOR * leftover(table, row, requested, weights);
  return addends;
}

function fillRoom(table: HostTable, row: number, requested: Float64Array | null): void {
  for (let index = 0; index < RANKED; index += 1) {
    const at = row * RANKED + index;
    const free = (table.capacity[at] ?? 0) - (table.allocated[at] ?? 0);
    room[index] = Math.max(0, free - (requested?.[index] ?? 0));
  }
}

/** What of the room at hand the fleet's mix cannot use. */
function stranded({ totals }: HostTable, count: number): number {
  let mixes = Infinity;
  for (let index = 0; index < RANKED; index += 1) {
    const demand = (totals.use[index] ?? 0) * (totals.capacity[index] ?? 0);
    if ((scaled[index] ?? 0) === 0 || demand === 0) continue;
    mixes = Math.min(mixes, (room[index] ?? 0) / demand);
  }
  if (mixes === Infinity) return 0;
  let sum = 0;
  for (let index = 0; index < RANKED; index += 1) {
    if ((scaled[index] ?? 0) === 0) continue;
    const demand = (totals.use[index] ?? 0) * (totals.capacity[index] ?? 0);
    const rest = (room[index] ?? 0) - mixes * demand;
    sum += ((prices[index] ?? 0) * rest) / (totals.mean[index] ?? 0);
  }
  return sum / count;
}

export const stranding: Strategy = {
  name: 'stranding',
  sees: 'fleet',
  merit: 'it leaves least room that nobody can use',
  score(table: HostTable, row: number, requested: Float64Array, weights: Float64Array): number {
    const { stranding, leftover } = measure(table, row, requested, weights);
    return rounded(stranding + leftover);
  },
  addends: (table, row, requested, weights) => ({ ...measure(table, row, requested, weights) }),
};
