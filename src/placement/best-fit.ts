/**
 * Strategy `best-fit`: prefer the host on which least is left over, so that large holes stay whole
 * for large VMs. Loses least when VMs come and go on a full fleet; strands a class that runs out
 * late.
 *
 *   score = −left    the smallest leftover wins; see leftover.ts for left
 */
import type { HostTable } from './host-table.js';
import { leftover, leftoverOfRows } from './leftover.js';
import type { Strategy } from './strategy.js';

export const bestFit: Strategy = {
  name: 'best-fit',
  sees: 'largest',
  merit: 'least would be left over on it',
  score: (table: HostTable, row: number, requested: Float64Array, weights: Float64Array): number =>
    // Not the bare sign: nothing left over is 0 and not −0.
    0 - leftover(table, row, requested, weights),
  scoreRows: (table, requested, weights, lineUp, into) =>
    leftoverOfRows(table, requested, weights, lineUp, into, -1),
  addends: (...host) => ({ leftover: bestFit.score(...host) }),
};
