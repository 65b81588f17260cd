/** The judge of the chaos runs must see what it is there for. */
import { describe, expect, it } from '@jest/globals';
import type { Deed } from './observed-driver.js';
import { Truth } from './truth.js';

function story(...facts: readonly (readonly [number, string, string, Deed])[]): Truth {
  const truth = new Truth([], { cpu: 4 });
  for (const [at, host, vm, what] of facts)
    truth.take({ at, host, vm, what, assignment: 1, resources: { cpu: 2 } });
  return truth;
}

describe('the truth of the hosts', () => {
  it('accepts a move, and a restart of an agent', () => {
    const truth = story(
      [1, 'oak', 'a', 'held'],
      [2, 'oak', 'a', 'up'],
      [3, 'oak', 'a', 'up'],
      [4, 'oak', 'a', 'gone'],
      [5, 'elm', 'a', 'up'],
    );
    expect([truth.violations, truth.runningTwice()]).toEqual([[], []]);
    expect([truth.runningOn('a'), truth.heldOn('a'), truth.held()]).toEqual([
      ['elm'],
      ['elm'],
      ['a'],
    ]);
  });

  it('sees a VM that runs twice, in whatever order it is told', () => {
    const both = story([1, 'oak', 'a', 'up'], [2, 'elm', 'a', 'up']);
    expect([both.violations, both.runningTwice()]).toEqual([
      [],
      [expect.anything(), expect.anything()],
    ]);
    const over = story(
      [1, 'oak', 'a', 'up'],
      [3, 'oak', 'a', 'down'],
      [2, 'elm', 'a', 'up'],
      [9, 'elm', 'a', 'gone'],
    );
    expect(over.violations).toEqual([expect.stringContaining('ran twice at once')]);
    const late = story(
      [2, 'elm', 'a', 'up'],
      [9, 'elm', 'a', 'gone'],
      [1, 'oak', 'a', 'up'],
      [3, 'oak', 'a', 'down'],
    );
    expect(late.violations).toHaveLength(1);
    const early = story(
      [2, 'elm', 'a', 'up'],
      [9, 'elm', 'a', 'gone'],
      [1, 'oak', 'a', 'up'],
      [2, 'oak', 'a', 'down'],
    );
    expect(early.violations).toEqual([]);
  });

  it('sees a host that holds too much, stopped VMs included', () => {
    const truth = story([1, 'oak', 'a', 'held'], [2, 'oak', 'b', 'down'], [3, 'oak', 'c', 'up']);
    expect(truth.violations).toEqual([expect.stringContaining('holds 6 cpu, over 4')]);
  });

  it('sees a VM that comes back after it was deleted for good', () => {
    const truth = story([1, 'oak', 'a', 'up'], [2, 'oak', 'a', 'gone']);
    truth.isFinal('a', 3);
    truth.take({ at: 4, host: 'elm', vm: 'a', what: 'up', assignment: 2, resources: {} });
    expect(truth.violations).toEqual([expect.stringContaining('deleted for good')]);
  });

  it('takes a machine that was switched off at its word', () => {
    const truth = story([1, 'oak', 'a', 'up']);
    truth.switchedOff('oak', 2);
    truth.take({ at: 3, host: 'elm', vm: 'a', what: 'up', assignment: 2, resources: {} });
    expect([truth.violations, truth.runningTwice()]).toEqual([[], []]);
  });
});
