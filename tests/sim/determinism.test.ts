/** One seed makes one history, to the last line of its trace. */
import { describe, expect, it } from '@jest/globals';
import { runHistory } from '../../src/sim/history.js';

/** Fifty of each mode. */
const SEEDS = Array.from({ length: 50 }, (_, index) => 700 + 13 * index);

describe('a simulated history', () => {
  it.each(['safety', 'liveness'] as const)(
    'is the same again: %s',
    async (mode) => {
      const hashes = async () => {
        const found: string[] = [];
        for (const seed of SEEDS) found.push((await runHistory({ seed, mode })).hash);
        return found;
      };
      const first = await hashes();
      expect(await hashes()).toEqual(first);
      expect(new Set(first).size).toBe(SEEDS.length);
    },
    300_000,
  );
});
