/**
 * The ranked classes in their order, each by a name that is known beforehand: to look amounts up by
 * names that vary, in a loop, cost a booking more than all its sums.
 */
import { RANKED_CLASSES, type ResourceClass, type Resources } from '../model/resources.js';

const [FIRST, SECOND, THIRD] = RANKED_CLASSES;

/** Place of a class among the ranked ones, or −1. */
export const rankOf = (name: ResourceClass): number =>
  name === FIRST ? 0 : name === SECOND ? 1 : name === THIRD ? 2 : -1;

/** Amounts of the ranked classes, in their order. */
export function rankedAmounts(
  resources: Resources,
  into = new Float64Array(RANKED_CLASSES.length),
): Float64Array {
  into[0] = resources[FIRST] ?? 0;
  into[1] = resources[SECOND] ?? 0;
  into[2] = resources[THIRD] ?? 0;
  return into;
}
