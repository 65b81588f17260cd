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
 * With v = p / (n mean) that is Σ v F − k Σ v d: what is the same for all hosts is worked out once,
 * and a host costs no division. One host goes the same way as all, so that both get the same bits.
 *
 * Room is at least 0; the reserve is not subtracted. After the idea that Borg reports (Verma et al.,
 * EuroSys 2015): a hybrid that tries to reduce stranded resources.
 */
import { fillPrices, scaleWeights } from './class-prices.js';
import { RANKED, type HostTable } from './host-table.js';
import { rounded } from './rounded.js';
import type { LineUp, Strategy } from './strategy.js';

const NO_PRIOR = 0;
const SQUARINGS = 2;
const LEFTOVER_FACTOR = 0.2;

/** Of one call: a scan allocates nothing. */
const scaled = new Float64Array(RANKED);
const prices = new Float64Array(RANKED);
/** v of each class, and of a whole mix. */
const values = new Float64Array(RANKED);
let mixValue = 0;
/** F / d is F times this and plus that: Infinity for a class that no mix asks for. */
const perMix = new Float64Array(RANKED);
const unasked = new Float64Array(RANKED);
/** What a unit of each class counts for in 0.2 `left`: 0.2 w / (largest Σ w). */
const units = new Float64Array(RANKED);

/** Fills all of these in by the fleet as it is. */
function layFleet(table: HostTable, weights: Float64Array): void {
  const { totals, largest } = table;
  const count = scaleWeights(totals, weights, scaled);
  fillPrices(totals, scaled, NO_PRIOR, SQUARINGS, prices);
  const weightSum = weights.reduce((sum, weight) => sum + weight, 0);
  mixValue = 0;
  let isAnyAsked = false;
  for (let index = 0; index < RANKED; index += 1) {
    const counts = (scaled[index] ?? 0) > 0;
    const demand = counts ? (totals.use[index] ?? 0) * (totals.capacity[index] ?? 0) : 0;
    values[index] = counts ? (prices[index] ?? 0) / (count * (totals.mean[index] ?? 0)) : 0;
    mixValue += (values[index] ?? 0) * demand;
    perMix[index] = demand === 0 ? 0 : 1 / demand;
    unasked[index] = demand === 0 ? Infinity : 0;
    isAnyAsked ||= demand > 0;
    const unit = (largest[index] ?? 0) * weightSum;
    units[index] = unit <= 0 ? 0 : (LEFTOVER_FACTOR * (weights[index] ?? 0)) / unit;
  }
  if (isAnyAsked) return;
  // Nothing runs: nothing is stranded, and no mix is Infinity.
  values.fill(0);
  unasked.fill(0);
}

/** The addends of the last row, as they are subtracted. */
const parts = { stranding: 0, leftover: 0 };

/** Written out for the three classes. */
function scoreRows(
  { allocated, capacity }: HostTable,
  requested: Float64Array,
  { rows, count, isForBest }: LineUp,
  into: Float64Array,
): number {
  const [asked0 = 0, asked1 = 0, asked2 = 0] = requested;
  const [value0 = 0, value1 = 0, value2 = 0] = values;
  const [perMix0 = 0, perMix1 = 0, perMix2 = 0] = perMix;
  const [unasked0 = 0, unasked1 = 0, unasked2 = 0] = unasked;
  const [unit0 = 0, unit1 = 0, unit2 = 0] = units;
  const ofMix = mixValue;
  let [stranding, leftover] = [0, 0];
  let scored = 0;
  let best = -Infinity;
  for (let place = 0; place < count; place += 1) {
    const row = rows[place] ?? 0;
    const at = row * RANKED;
    const free0 = (capacity[at] ?? 0) - (allocated[at] ?? 0);
    const free1 = (capacity[at + 1] ?? 0) - (allocated[at + 1] ?? 0);
    const free2 = (capacity[at + 2] ?? 0) - (allocated[at + 2] ?? 0);
    const before0 = Math.max(0, free0);
    const before1 = Math.max(0, free1);
    const before2 = Math.max(0, free2);
    const left0 = Math.max(0, free0 - asked0);
    const left1 = Math.max(0, free1 - asked1);
    const left2 = Math.max(0, free2 - asked2);
    const mixesBefore = Math.min(
      before0 * perMix0 + unasked0,
      before1 * perMix1 + unasked1,
      before2 * perMix2 + unasked2,
    );
    const mixesAfter = Math.min(
      left0 * perMix0 + unasked0,
      left1 * perMix1 + unasked1,
      left2 * perMix2 + unasked2,
    );
    const taken =
      value0 * (before0 - left0) + value1 * (before1 - left1) + value2 * (before2 - left2);
    stranding = ofMix * (mixesBefore - mixesAfter) - taken;
    leftover = unit0 * left0 + unit1 * left1 + unit2 * left2;
    const score = rounded(0 - (stranding + leftover));
    if (score < best) continue;
    rows[scored] = row;
    into[scored] = score;
    scored += 1;
    if (isForBest) best = score;
  }
  parts.stranding = stranding;
  parts.leftover = leftover;
  return scored;
}

const one = { rows: new Int32Array(1), count: 1, isForBest: false };
const ofOne = new Float64Array(1);

function scoreOne(
  table: HostTable,
  row: number,
  requested: Float64Array,
  weights: Float64Array,
): number {
  layFleet(table, weights);
  one.rows[0] = row;
  scoreRows(table, requested, one, ofOne);
  return ofOne[0] ?? 0;
}

export const stranding: Strategy = {
  name: 'stranding',
  sees: 'fleet',
  merit: 'it leaves least room that nobody can use',
  score: scoreOne,
  scoreRows(table, requested, weights, lineUp, into) {
    layFleet(table, weights);
    return scoreRows(table, requested, lineUp, into);
  },
  addends(...host) {
    scoreOne(...host);
    return { stranding: 0 - parts.stranding, leftover: 0 - parts.leftover };
  },
};
