/** A sleep that a poke cuts short, also when the poke came first. */
import { describe, expect, it } from '@jest/globals';
import { systemClock } from '../../src/std/clock.js';
import { WakeUp } from '../../src/std/wake-up.js';

const FOR_EVER_MS = 2 ** 30;

describe('wake-up', () => {
  it('ends a sleep under way', async () => {
    const wakeUp = new WakeUp(systemClock);
    const sleep = wakeUp.sleep(FOR_EVER_MS);
    wakeUp.poke();
    await expect(sleep).resolves.toBeUndefined();
  });

  it('skips the next sleep, and only that one', async () => {
    const wakeUp = new WakeUp(systemClock);
    wakeUp.poke();
    wakeUp.poke();
    await wakeUp.sleep(FOR_EVER_MS);
    let slept = false;
    const next = wakeUp.sleep(FOR_EVER_MS).then(() => {
      slept = true;
    });
    await systemClock.sleep(5);
    expect(slept).toBe(false);
    wakeUp.poke();
    await next;
  });
});
