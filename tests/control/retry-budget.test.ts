/** Tries that are repeated stay a share of those that are not, and never end. */
import { describe, expect, it } from '@jest/globals';
import { RetryBudget } from '../../src/control/retry-budget.js';

function started() {
  let now = 0;
  const budget = new RetryBudget({ monotonic: () => now });
  return {
    budget,
    pass: (ms: number) => (now += ms),
    granted: (asked: number, hostId = 'a') =>
      Array.from({ length: asked }, () => budget.spend(hostId)).filter(Boolean).length,
  };
}

describe('repeats of one host', () => {
  it('are limited, and those of another are not', () => {
    const { granted } = started();
    expect(granted(1_000)).toBe(20);
    expect(granted(5, 'b')).toBe(5);
  });

  it('trickle on however much is asked', () => {
    const { granted, pass } = started();
    granted(1_000);
    let repeats = 0;
    for (let tenth = 0; tenth < 600; tenth += 1) {
      pass(100);
      repeats += granted(50);
    }
    // Two a second for a minute, give or take the arithmetic of tenths.
    expect(Math.abs(repeats - 120)).toBeLessThanOrEqual(1);
  });

  it('are a tenth of the first tries', () => {
    const { budget, granted } = started();
    granted(1_000);
    for (let first = 0; first < 105; first += 1) budget.earn('a');
    expect(granted(1_000)).toBe(10);
  });

  it('are saved up no further than at the beginning', () => {
    const { budget, granted, pass } = started();
    granted(1_000);
    pass(3_600_000);
    for (let first = 0; first < 1_000; first += 1) budget.earn('a');
    expect(granted(1_000)).toBe(20);
  });
});

it('forgets hosts that have their whole budget again', () => {
  const { budget, pass } = started();
  for (let host = 0; host < 1_000; host += 1) budget.spend(host.toString());
  pass(60_000);
  budget.spend('one more');
  expect(budget.size).toBe(1);
});
