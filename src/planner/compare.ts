/** Several strategies on the same fleet and load, the best first. */
import type { StrategyName } from '../model/strategies.js';
import type { SlicedWork } from './fleet.js';
import { replay, type ReplayInput, type ReplayResult } from './replay.js';

export interface CompareInput extends Omit<ReplayInput, 'strategy'> {
  readonly strategies: readonly StrategyName[];
}

/** Replays them one after another. */
export function* compare({
  strategies,
  ...rest
}: CompareInput): SlicedWork<readonly ReplayResult[]> {
  const results: ReplayResult[] = [];
  for (const [index, strategy] of strategies.entries()) {
    const work = replay({ ...rest, strategy });
    for (;;) {
      const step = work.next();
      if (step.done === true) {
        results.push(step.value);
        break;
      }
      yield (index + step.value) / strategies.length;
    }
  }
  return ranked(results);
}

/**
 * The best first: who refuses the smallest share of what is asked for; then who refuses later; then
 * who leaves less room in pieces; then by name.
 */
export function ranked(results: readonly ReplayResult[]): readonly ReplayResult[] {
  const firstOf = ({ firstRefusal }: ReplayResult) => firstRefusal?.request ?? Infinity;
  const later = (a: ReplayResult, b: ReplayResult) => {
    const [left, right] = [firstOf(a), firstOf(b)];
    return left === right ? 0 : right > left ? 1 : -1;
  };
  return [...results].sort(
    (a, b) =>
      a.refusedVolume - b.refusedVolume ||
      later(a, b) ||
      a.fragmentation - b.fragmentation ||
      (a.strategy < b.strategy ? -1 : 1),
  );
}
