/**
 * Strategy `worst-fit`: prefer the host on which most is left over, so that load is spread and a
 * failing host takes few VMs with it. Breaks up the room that large VMs need.
 *
 *   score = left    the largest leftover wins; see leftover.ts for left
 */
import { leftover, leftoverOfRows } from './leftover.js';
import type { Strategy } from './strategy.js';

export const worstFit: Strategy = {
  name: 'worst-fit',
  sees: 'largest',
  merit: 'most would be left over on it',
  score: leftover,
  scoreRows: (table, requested, weights, lineUp, into) =>
    leftoverOfRows(table, requested, weights, lineUp, into, 1),
  addends: (...host) => ({ leftover: leftover(...host) }),
};
