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
 * What is the same for all hosts, or for all of one shape, is worked out once; then a host costs one
 * root and one division. Sums are written out for the three ranked classes, left to right, and one
 * host goes the same way as all, so that both get the same bits.
 *
 * Found by measuring on the hosts and requests of Alibaba's openb trace: bench/README.md.
 */
import { fillPrices, scaleWeights } from './class-prices.js';
import { RANKED, type HostTable } from './host-table.js';
import { rounded } from './rounded.js';
import type { LineUp, Strategy } from './strategy.js';

const USE_PRIOR = 0.05;
const SQUARINGS = 3;
const SIZE_FACTOR = 0.2;
const MISALIGN_FACTOR = 16;
const IMBALANCE_FACTOR = 3;

/** More than all roundings together. */
const SLACK = 1e-8;

/** Of one call: a scan allocates nothing but what the first of a larger fleet needs. */
const scaled = new Float64Array(RANKED);
const prices = new Float64Array(RANKED);
/** What a unit of each class counts for in `left` and in `size`: w / (n mean). */
const units = new Float64Array(RANKED);

/**
 * What a shape of host makes of the request, SHAPE numbers for each:
 * 0 to 2    1 / C                   0 for a class that it has not
 * 3 to 5    p, and 0 likewise
 * 6 to 8    p y / √Σ p y²           0 if the root is 0
 * 9 to 11   p / P                   0 if P = 0
 * 12        16 share                0 if nothing that has a price is asked for
 * 13        0.2 size
 */
let shapes = new Float64Array(0);
const SHAPE = 14;

/** Prices and units by the fleet as it is. @returns n */
function layFleet({ totals }: HostTable, weights: Float64Array): number {
  const count = scaleWeights(totals, weights, scaled);
  fillPrices(totals, scaled, USE_PRIOR, SQUARINGS, prices);
  for (let index = 0; index < RANKED; index += 1) {
    const weight = scaled[index] ?? 0;
    units[index] = weight === 0 ? 0 : weight / (count * (totals.mean[index] ?? 0));
  }
  return count;
}

/** Fills in the numbers of one shape. */
function layShape(table: HostTable, shape: number, requested: Float64Array, count: number): void {
  const at = shape * SHAPE;
  let askedSquared = 0;
  let priceSum = 0;
  let priceMax = 0;
  let size = 0;
  for (let index = 0; index < RANKED; index += 1) {
    const capacity = table.shapes.amountAt(shape, index);
    const price = capacity > 0 ? (prices[index] ?? 0) : 0;
    const inverse = capacity > 0 ? 1 / capacity : 0;
    const asked = (requested[index] ?? 0) * inverse;
    shapes[at + index] = inverse;
    shapes[at + RANKED + index] = price;
    shapes[at + 2 * RANKED + index] = price * asked;
    askedSquared += price * asked * asked;
    priceSum += price;
    priceMax = Math.max(priceMax, price);
    size += (units[index] ?? 0) * capacity;
  }
  const asked = Math.sqrt(askedSquared);
  const share = count <= 1 || asked === 0 ? 0 : Math.min(1, (priceSum - priceMax) / (count - 1));
  for (let index = 0; index < RANKED; index += 1) {
    const price = shapes[at + RANKED + index] ?? 0;
    const priced = shapes[at + 2 * RANKED + index] ?? 0;
    shapes[at + 2 * RANKED + index] = asked === 0 ? 0 : priced / asked;
    shapes[at + 3 * RANKED + index] = priceSum === 0 ? 0 : price / priceSum;
  }
  shapes[at + 12] = MISALIGN_FACTOR * share;
  shapes[at + 13] = SIZE_FACTOR * size;
}

/** The addends of the last row, as they are subtracted. */
const parts = { leftover: 0, size: 0, misalignment: 0, imbalance: 0 };

function scoreRows(
  { allocated, capacity, remaining, shapes: { of: shapeOf } }: HostTable,
  requested: Float64Array,
  { rows, count, isForBest }: LineUp,
  into: Float64Array,
): number {
  const [asked0 = 0, asked1 = 0, asked2 = 0] = requested;
  const [unit0 = 0, unit1 = 0, unit2 = 0] = units;
  const laid = shapes;
  let [leftover, size, misalignment, imbalance] = [0, 0, 0, 0];
  let scored = 0;
  let best = -Infinity;
  /** What leaves or is more than this cannot be the best, whatever its proportions. */
  let most = Infinity;
  for (let place = 0; place < count; place += 1) {
    const row = rows[place] ?? 0;
    const at = row * RANKED;
    const shape = (shapeOf[row] ?? 0) * SHAPE;
    const left0 = Math.max(0, (capacity[at] ?? 0) - (allocated[at] ?? 0) - asked0);
    const left1 = Math.max(0, (capacity[at + 1] ?? 0) - (allocated[at + 1] ?? 0) - asked1);
    const left2 = Math.max(0, (capacity[at + 2] ?? 0) - (allocated[at + 2] ?? 0) - asked2);
    leftover = unit0 * left0 + unit1 * left1 + unit2 * left2;
    size = laid[shape + 13] ?? 0;
    if (leftover + size > most) continue;
    const price0 = laid[shape + 3] ?? 0;
    const price1 = laid[shape + 4] ?? 0;
    const price2 = laid[shape + 5] ?? 0;

    const free0 = remaining[at] ?? 0;
    const free1 = remaining[at + 1] ?? 0;
    const free2 = remaining[at + 2] ?? 0;
    const squared = price0 * free0 * free0 + price1 * free1 * free1 + price2 * free2 * free2;
    const dot =
      (laid[shape + 6] ?? 0) * free0 +
      (laid[shape + 7] ?? 0) * free1 +
      (laid[shape + 8] ?? 0) * free2;
    const misalign = squared === 0 ? 0 : Math.max(0, 1 - dot / Math.sqrt(squared));
    misalignment = (laid[shape + 12] ?? 0) * misalign;

    const share0 = left0 * (laid[shape] ?? 0);
    const share1 = left1 * (laid[shape + 1] ?? 0);
    const share2 = left2 * (laid[shape + 2] ?? 0);
    const mean =
      (laid[shape + 9] ?? 0) * share0 +
      (laid[shape + 10] ?? 0) * share1 +
      (laid[shape + 11] ?? 0) * share2;
    imbalance =
      IMBALANCE_FACTOR *
      (price0 * Math.abs(share0 - mean) +
        price1 * Math.abs(share1 - mean) +
        price2 * Math.abs(share2 - mean));
    const score = rounded(0 - (leftover + size + misalignment + imbalance));
    if (score < best) continue;
    rows[scored] = row;
    into[scored] = score;
    scored += 1;
    if (!isForBest) continue;
    best = score;
    most = SLACK - best * (1 + SLACK);
  }
  parts.leftover = leftover;
  parts.size = size;
  parts.misalignment = misalignment;
  parts.imbalance = imbalance;
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
  makeRoom(table);
  layShape(table, table.shapes.of[row] ?? 0, requested, layFleet(table, weights));
  one.rows[0] = row;
  scoreRows(table, requested, one, ofOne);
  return ofOne[0] ?? 0;
}

function makeRoom({ shapes: { numbers } }: HostTable): void {
  if (shapes.length < numbers * SHAPE) shapes = new Float64Array(2 * numbers * SHAPE);
}

export const balancedFit: Strategy = {
  name: 'balanced-fit',
  sees: 'fleet',
  merit: 'it leaves little room unused and stays in proportion',
  score: scoreOne,
  scoreRows(table, requested, weights, lineUp, into) {
    makeRoom(table);
    const count = layFleet(table, weights);
    for (let shape = 0; shape < table.shapes.numbers; shape += 1) {
      layShape(table, shape, requested, count);
    }
    return scoreRows(table, requested, lineUp, into);
  },
  addends(...host) {
    scoreOne(...host);
    const { leftover, size, misalignment, imbalance } = parts;
    return {
      leftover: 0 - leftover,
      size: 0 - size,
      misalignment: 0 - misalignment,
      imbalance: 0 - imbalance,
    };
  },
};
