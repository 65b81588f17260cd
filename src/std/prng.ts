/**
 * A seeded generator of chance: the same seed gives the same numbers on every machine. For what must
 * be replayed; never for secrets.
 */

export interface Prng {
  /** A number in [0, 1). */
  next(): number;
  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number;
  /** True in this share of the cases. */
  chance(share: number): boolean;
  /** One of them. @throws RangeError when there is none */
  pick<T>(from: readonly T[]): T;
  /** A generator of its own: drawing from it does not shift what this one gives. */
  fork(name: string): Prng;
}

/** @param seed any text or number; close ones give unrelated numbers */
export function prngOf(seed: string | number): Prng {
  const text = String(seed);
  let state = hashOf(text);
  // Mulberry32: one word of state, passes the usual tests of randomness.
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    next,
    between: (low, high) => low + Math.floor(next() * (high - low + 1)),
    chance: (share) => next() < share,
    pick<T>(from: readonly T[]): T {
      const found = from[Math.floor(next() * from.length)];
      if (found === undefined) throw new RangeError('nothing to pick from');
      return found;
    },
    fork: (name) => prngOf(`${text}/${name}`),
  };
}

/** FNV-1a with a last mixing, so that seeds that differ in one digit begin far apart. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) | 0;
}
