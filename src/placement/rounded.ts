/** Scores that are equal but for the last bits of their sums are made equal: they tie. */

const STEPS_PER_ONE = 1e9;

/**
 * A number this large has no bits left for a fraction: what is added to it is rounded to a whole
 * number, without the jump that Math.round costs. 1.5 × 2^52 is enough for scores up to two million.
 */
const WHOLE_ONLY = 1.5 * 2 ** 52;

/** To a multiple of 1e-9, halves to the even one; nothing is 0 and not −0. */
export const rounded = (score: number): number =>
  (score * STEPS_PER_ONE + WHOLE_ONLY - WHOLE_ONLY) / STEPS_PER_ONE;
