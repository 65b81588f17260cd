/** Which hosts a VM is not offered to again: those that refused it, and for how long. */
import { describe, expect, it } from '@jest/globals';
import { refusersOf } from '../../src/control/finding.js';
import type { Attempt, AttemptOutcome } from '../../src/model/vm.js';

const at = (seconds: number, host: string, outcome: AttemptOutcome): Attempt => ({
  host: { id: host, name: host },
  at: new Date(seconds * 1_000),
  outcome,
  detail: null,
});

describe('the hosts that have refused a VM', () => {
  const refusers = (seconds: number, attempts: readonly Attempt[]) =>
    refusersOf({ attempts, hasRun: false }, { clock: { now: () => seconds * 1_000 } as never });

  it('are not asked again by one that was never moved', () => {
    const attempts = [at(0, 'a', 'placed'), at(1, 'a', 'refused'), at(2, 'b', 'placed')];
    expect(refusers(3, attempts)).toEqual(['a']);
    expect(refusers(1_000_000, attempts)).toEqual(['a']);
  });

  it('are history from before a move', () => {
    const attempts = [at(0, 'a', 'refused'), at(1, 'b', 'placed'), at(2, 'b', 'moved')];
    expect(refusers(3, attempts)).toEqual([]);
  });

  it('are asked again by one that was moved, after a rest that grows with each refusal', () => {
    const once = [at(0, 'b', 'moved'), at(10, 'a', 'refused'), at(11, 'c', 'failed')];
    expect(refusers(20, once)).toEqual(['a', 'c']);
    expect(refusers(25.5, once)).toEqual(['c']);
    expect(refusers(30, once)).toEqual([]);
    const twice = [...once, at(30, 'a', 'refused')];
    expect(refusers(59, twice)).toEqual(['a']);
    expect(refusers(61, twice)).toEqual([]);
    const often = Array.from({ length: 100 }, (_, turn) => at(turn, 'a', 'refused'));
    expect(refusers(1_000, [at(0, 'b', 'moved'), ...often])).toEqual(['a']);
    expect(refusers(99 + 1_801, [at(0, 'b', 'moved'), ...often])).toEqual([]);
  });
});
