/**
 * The largest shapes of requests that were asked for lately, for which room is to be kept. Remembers
 * the latest requests, placed or refused alike; knows no hosts.
 */
import type { FleetTotals } from './fleet-totals.js';
import { RANKED } from './host-table.js';

/** Requests that count as lately. */
const REMEMBERED = 4_096;

/** Shapes that room is kept for. */
const SHAPES_MAX = 12;

/** The largest are looked for anew after so many requests. */
const LOOK_EVERY = 64;

/** Amounts of the ranked classes that are asked for. */
export type LargeShape = Float64Array;

interface Asked {
  readonly shape: LargeShape;
  /** How many of the requests that are remembered. */
  times: number;
}

export class LargeShapes {
  /** How many places are kept for each of the largest shapes. */
  readonly places: number;
  readonly #latest: Asked[] = [];
  readonly #byKey = new Map<string, Asked>();
  #count = 0;
  #largest: readonly LargeShape[] = [];
  #lookedAt = -Infinity;

  constructor(places: number) {
    this.places = places;
  }

  /** A request has come. @param ranked amounts of the ranked classes */
  note(ranked: Float64Array): void {
    const key = ranked.join();
    let asked = this.#byKey.get(key);
    if (asked === undefined) this.#byKey.set(key, (asked = { shape: ranked.slice(), times: 0 }));
    asked.times += 1;
    const at = this.#count % REMEMBERED;
    const oldest = this.#latest[at];
    this.#latest[at] = asked;
    this.#count += 1;
    if (oldest === undefined) return;
    oldest.times -= 1;
    if (oldest.times === 0) this.#byKey.delete(oldest.shape.join());
  }

  /** The largest shapes, the largest first. */
  largest(totals: FleetTotals, weights: Float64Array): readonly LargeShape[] {
    if (this.#count - this.#lookedAt < LOOK_EVERY) return this.#largest;
    this.#lookedAt = this.#count;
    this.#largest = [...this.#byKey.values()]
      .map(({ shape }) => ({ shape, size: sizeOf(shape, totals, weights) }))
      .sort((a, b) => b.size - a.size || (a.shape.join() < b.shape.join() ? -1 : 1))
      .slice(0, SHAPES_MAX)
      .map(({ shape }) => shape);
    return this.#largest;
  }
}

/**
 * How large a request is: the largest share of a mean host that it asks for, over the classes that
 * count.
 *
 *   size = max requested_i / mean_i        mean: fleet-totals.ts; 0 where nothing counts
 */
export function sizeOf(
  requested: Float64Array,
  { mean }: FleetTotals,
  weights: Float64Array,
): number {
  let size = 0;
  for (let index = 0; index < RANKED; index += 1) {
    const unit = mean[index] ?? 0;
    if (unit > 0 && (weights[index] ?? 0) > 0) {
      size = Math.max(size, (requested[index] ?? 0) / unit);
    }
  }
  return size;
}
