/** Arithmetic on amounts as the catalogue's functions do it, and whether a host has room. */
import type { Resources } from '../../model/resources.js';
import { wholeNumber } from './stored-json.js';

/** amounts + sign × more, class by class; classes that come to 0 are left out. */
export function sumOf(amounts: Resources, more: Resources, sign: 1 | -1): Resources {
  const sum: Record<string, number> = {};
  for (const [resource, amount] of Object.entries(amounts)) {
    const total = amount + sign * wholeNumber(more[resource] ?? 0);
    if (total !== 0) sum[resource] = total;
  }
  for (const [resource, amount] of Object.entries(more)) {
    if (amount !== 0 && amounts[resource] === undefined) {
      sum[resource] = sign * wholeNumber(amount);
    }
  }
  return Object.freeze(sum);
}

/** @throws Error as the database's check does */
export function refuseNegative(amounts: Resources, what: string): void {
  for (const amount of Object.values(amounts)) {
    if (wholeNumber(amount) < 0) throw new Error(`violates a check: an amount of ${what} below 0`);
  }
}

/**
 * Why a host has no room; null: it has. `closed`: more is booked than may be, in any class.
 * `over_limit`: what is requested does not fit.
 */
export function roomRefusal(
  limits: Resources,
  allocated: Resources,
  requested: Resources,
): 'closed' | 'over_limit' | null {
  let isShort = false;
  for (const [resource, present] of Object.entries(allocated)) {
    if (present > (limits[resource] ?? 0)) return 'closed';
  }
  for (const [resource, more] of Object.entries(requested)) {
    const present = allocated[resource] ?? 0;
    if (wholeNumber(more) > 0 && present + more > (limits[resource] ?? 0)) isShort = true;
  }
  return isShort ? 'over_limit' : null;
}
