/** What is asked of a fleet over time: the requests of a replay, and their making denser. Pure. */
import type { Constraints } from '../model/constraints.js';
import type { Resources } from '../model/resources.js';
import { prngOf } from '../std/prng.js';
import { tightestShare } from './measures.js';

export interface LoadRequest {
  readonly name: string;
  /** When it comes, in seconds from the beginning. */
  readonly arrivalS: number;
  /** How long it stays, in seconds, more than 0; null: for good. */
  readonly lifetimeS: number | null;
  readonly path: string;
  readonly resources: Resources;
  readonly constraints: Constraints;
}

/** Most requests of one replay. */
export const REQUESTS_MAX = 2_000_000;

/**
 * The same requests again and again until they ask for this share of the tightest class: first in
 * their order, then in shuffles by the seed, a second apart, and nobody leaves. What a fleet is
 * filled with.
 * @param limits of all hosts together
 * @throws RangeError when that would be more than REQUESTS_MAX
 */
export function filling(
  requests: readonly LoadRequest[],
  limits: Resources,
  share: number,
  seed: string | number,
): readonly LoadRequest[] {
  const prng = prngOf(seed);
  const offered: Record<string, number> = {};
  const filled: LoadRequest[] = [];
  let pass = [...requests];
  for (let at = 0; pass.length > 0 && tightestShare(offered, limits) < share; at += 1) {
    if (at === pass.length) {
      pass = shuffled(requests, () => prng.next());
      at = 0;
    }
    const request = pass[at];
    if (request === undefined) break;
    if (filled.length >= REQUESTS_MAX) {
      throw new RangeError(`more than ${REQUESTS_MAX.toString()} requests would be needed`);
    }
    filled.push({
      ...request,
      name: `${request.name}#${filled.length.toString()}`,
      arrivalS: filled.length,
      lifetimeS: null,
    });
    for (const [name, amount] of Object.entries(request.resources)) {
      offered[name] = (offered[name] ?? 0) + amount;
    }
  }
  return filled;
}

/** Fisher and Yates. */
function shuffled<Item>(items: readonly Item[], next: () => number): Item[] {
  const copy = [...items];
  for (let at = copy.length - 1; at > 0; at -= 1) {
    const other = Math.floor(next() * (at + 1));
    const swapped = copy[at] as Item;
    copy[at] = copy[other] as Item;
    copy[other] = swapped;
  }
  return copy;
}

/** The mean request: by which fragmentation is judged. Whole amounts, at least 1 where any asks. */
export function meanRequest(requests: readonly LoadRequest[]): Resources {
  const sums: Record<string, number> = {};
  for (const { resources } of requests) {
    for (const [name, amount] of Object.entries(resources)) sums[name] = (sums[name] ?? 0) + amount;
  }
  return Object.fromEntries(
    Object.entries(sums)
      .filter(([, sum]) => sum > 0)
      .map(([name, sum]) => [name, Math.max(1, Math.round(sum / requests.length))]),
  );
}
