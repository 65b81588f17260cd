/** Scores that are equal but for the last bits of their sums are made equal: they tie. */

const STEPS_PER_ONE = 1e9;

/** To a multiple of 1e-9; nothing is 0 and not −0. */
export const rounded = (score: number): number =>
  Math.round(score * STEPS_PER_ONE) / STEPS_PER_ONE + 0;
