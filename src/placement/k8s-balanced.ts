/**
 * Strategy `k8s-balanced`: what Kubernetes' scheduler does by default, for comparison: prefer the
 * emptiest host, and of those the one whose classes are in equal use. Spreads load evenly; breaks up
 * the room that large VMs need.
 *
 *   Over the classes that this host has (C = capacity > 0), with R = what would be left:
 *   least    = Σ w R / C / Σ w                        NodeResourcesFit, LeastAllocated
 *   balanced = 1 − standard deviation of 1 − R / C    NodeResourcesBalancedAllocation; over the
 *                                                     classes with a weight above 0
 *   score    = least + balanced, rounded to 1e-9      0 where no class counts
 *
 * R is at least 0; the reserve is not subtracted. Kubernetes counts each from 0 to 100 and in whole
 * numbers; here equals are equal and nothing more.
 * Source: kubernetes/kubernetes, pkg/scheduler/framework/plugins/noderesources.
 */
import { RANKED, type HostTable } from './host-table.js';
import { leftAt } from './leftover.js';
import { rounded } from './rounded.js';
import type { Strategy } from './strategy.js';

const addends = { least: 0, balanced: 0 };

function measure(
  table: HostTable,
  row: number,
  requested: Float64Array,
  weights: Float64Array,
): typeof addends {
  let count = 0;
  let weightSum = 0;
  let weighted = 0;
  let sum = 0;
  for (let index = 0; index < RANKED; index += 1) {
    if (!counts(table, row, index, weights)) continue;
    const share = leftAt(table, row, requested, index);
    count += 1;
    weightSum += weights[index] ?? 0;
    weighted += (weights[index] ?? 0) * share;
    sum += share;
  }
  addends.least = 0;
  addends.balanced = 0;
  if (count === 0) return addends;
  const mean = sum / count;
  let squares = 0;
  for (let index = 0; index < RANKED; index += 1) {
    if (!counts(table, row, index, weights)) continue;
    squares += (leftAt(table, row, requested, index) - mean) ** 2;
  }
  addends.least = weighted / weightSum;
  addends.balanced = 1 - Math.sqrt(squares / count);
  return addends;
}

const counts = (table: HostTable, row: number, index: number, weights: Float64Array): boolean =>
  (weights[index] ?? 0) > 0 && (table.capacity[row * RANKED + index] ?? 0) > 0;

export const k8sBalanced: Strategy = {
  name: 'k8s-balanced',
  sees: 'amounts',
  merit: 'it is the emptiest and most evenly used',
  score(table: HostTable, row: number, requested: Float64Array, weights: Float64Array): number {
    const { least, balanced } = measure(table, row, requested, weights);
    return rounded(least + balanced);
  },
  addends: (table, row, requested, weights) => ({ ...measure(table, row, requested, weights) }),
};
