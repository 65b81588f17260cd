/**
 * Strategy `worst-fit`: prefer the host on which most is left over, so that load is spread and a
 * failing host takes few VMs with it. Breaks up the room that large VMs need.
 *
 *   score = left    the largest leftover wins; see leftover.ts for left
 */
import { leftover } from './leftover.js';
import type { Strategy } from './strategy.js';

export const worstFit: Strategy = {
  name: 'worst-fit',
  merit: 'most would be left over on it',
  score: leftover,
  addends: (...host) => ({ leftover: leftover(...host) }),
};
