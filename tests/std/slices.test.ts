/** Long work beside other work. */
import { describe, expect, it } from '@jest/globals';
import { inSlices } from '../../src/std/slices.js';

/** Ten steps, each of which takes a millisecond by its own clock. */
function work() {
  let nowMs = 0;
  function* steps(): Generator<number, string> {
    for (let step = 0; step < 10; step += 1) {
      nowMs += 1;
      yield step / 10;
    }
    return 'done';
  }
  return { steps: steps(), now: () => nowMs };
}

describe('work in slices', () => {
  it('lets others have a turn after each slice', async () => {
    const { steps, now } = work();
    let turns = 0;
    let isRunning = true;
    const others = (): void => {
      turns += 1;
      if (isRunning) setImmediate(others);
    };
    setImmediate(others);
    const seen: number[] = [];
    const result = await inSlices(steps, { sliceMs: 4, now, onSlice: (done) => seen.push(done) });
    isRunning = false;
    expect(result).toBe('done');
    expect(seen).toEqual([0, 0.3, 0.7]);
    expect(turns).toBeGreaterThanOrEqual(2);
  });

  it('ends when whoever watches has had enough', async () => {
    const { steps, now } = work();
    const enough = (done: number): void => {
      if (done > 0.5) throw new Error('enough');
    };
    await expect(inSlices(steps, { sliceMs: 2, now, onSlice: enough })).rejects.toThrow('enough');
    expect(now()).toBeLessThan(10);
  });
});
