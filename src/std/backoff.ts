/** Pauses between tries. */

/**
 * Exponential back-off with full jitter: a random pause between 0 and `baseMs × 2^tries`, cut at
 * `maxMs`, so that many callers that failed together do not come back together.
 * @param random a number in [0, 1)
 */
export function fullJitterMs(
  tries: number,
  limits: { readonly baseMs: number; readonly maxMs: number },
  random: number,
): number {
  const ceiling = Math.min(limits.maxMs, limits.baseMs * 2 ** Math.min(tries, 30));
  return Math.floor(ceiling * random);
}
