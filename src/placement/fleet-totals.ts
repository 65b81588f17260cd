/**
 * What a strategy may read of the fleet as a whole, per ranked class. Closed hosts count too, so
 * that a score does not hang on who is open.
 *
 *   capacity_i = Σ capacity of all hosts
 *   mean_i     = capacity_i / number of hosts with capacity_i > 0          0 if there is none
 *   use_i      = Σ allocated / capacity_i, at least 0 and at most 1        0 if capacity_i is 0
 *
 * `use` goes in steps of 1/256: it then stays the same over many bookings, and with it all that is
 * worked out from it. Sums do not depend on the order of hosts or on what was booked and given back.
 */
import { RANKED_CLASSES } from '../model/resources.js';

/** Steps of `use` from empty to full. */
export const USE_STEPS = 256;

const CLASSES = RANKED_CLASSES.length;

/** A sum of whole numbers is kept in two parts of this size, so that it is exact beyond 2^53. */
const PART = 2 ** 26;

export class FleetTotals {
  readonly capacity = new Float64Array(CLASSES);
  readonly mean = new Float64Array(CLASSES);

  readonly #high = new Float64Array(CLASSES);
  readonly #low = new Float64Array(CLASSES);
  readonly #use = new Float64Array(CLASSES);
  /** Sums have changed since `use` was worked out. */
  #isStale = false;
  #revision = 0;

  get use(): Float64Array {
    this.#showUse();
    return this.#use;
  }

  /** Grows when any of these has become other than it was at the last look. */
  get revision(): number {
    this.#showUse();
    return this.#revision;
  }

  /** What is booked on some host in a class changes by as much. */
  book(index: number, before: number, after: number): void {
    if (before === after) return;
    const [from, to] = [Math.floor(before / PART), Math.floor(after / PART)];
    this.#high[index] = (this.#high[index] ?? 0) + to - from;
    this.#low[index] = (this.#low[index] ?? 0) + (after - to * PART) - (before - from * PART);
    this.#isStale = true;
  }

  /**
   * Takes in the capacities of all hosts.
   * @param capacities row `r` and class `c` stand at `r * CLASSES + c`
   */
  measure(capacities: Float64Array): void {
    for (let index = 0; index < CLASSES; index += 1) {
      // Added up in the order of size: fractions of an overcommit round the same way every time.
      const own = capacities.filter((amount, at) => at % CLASSES === index && amount > 0).sort();
      const sum = own.reduce((total, amount) => total + amount, 0);
      const mean = own.length === 0 ? 0 : sum / own.length;
      if (sum !== this.capacity[index] || mean !== this.mean[index]) this.#revision += 1;
      this.capacity[index] = sum;
      this.mean[index] = mean;
    }
    this.#isStale = true;
  }

  #showUse(): void {
    if (!this.#isStale) return;
    this.#isStale = false;
    for (let index = 0; index < CLASSES; index += 1) {
      const booked = (this.#high[index] ?? 0) * PART + (this.#low[index] ?? 0);
      const capacity = this.capacity[index] ?? 0;
      const share = capacity <= 0 ? 0 : Math.min(1, Math.max(0, booked / capacity));
      const use = Math.round(share * USE_STEPS) / USE_STEPS;
      if (use === this.#use[index]) continue;
      this.#use[index] = use;
      this.#revision += 1;
    }
  }
}
