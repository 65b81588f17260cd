/** How properties are run: always on the same cases, and on some that nobody has seen. */
import { randomInt } from 'node:crypto';
import fc from 'fast-check';

const SEED = 20_261_121;

/** @throws when a case breaks the property; the message names its seed */
export function check(property: fc.IProperty<unknown>, runs: number): void {
  fc.assert(property, { numRuns: runs, seed: SEED });
  fc.assert(property, { numRuns: Math.ceil(runs / 10), seed: randomInt(2 ** 31) });
}

/** The same for a property that waits. */
export async function checkAsync(
  property: fc.IAsyncProperty<unknown>,
  runs: number,
): Promise<void> {
  await fc.assert(property, { numRuns: runs, seed: SEED });
  await fc.assert(property, { numRuns: Math.ceil(runs / 10), seed: randomInt(2 ** 31) });
}
