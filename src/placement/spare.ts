/**
 * What may still be booked of a class on a host, as a whole number of 32 bits. Two such numbers are
 * compared by the sign of their difference, which costs a sum and no jump: on a fleet that is filled
 * by lot nobody can foretell where there is room.
 *
 *   spare = limit − allocated    rounded down, from −1 (over-full, or the host takes no VMs) to 2^31 − 1
 *   has room: spare − asked ≥ 0  for whole amounts up to 2^31 − 1; the difference never leaves 32 bits
 */

/** No amount goes into it, not even 0. */
export const CLOSED = -1;

const SPARE_MAX = 2 ** 31 - 1;

export const spareOf = (limit: number, allocated: number): number =>
  Math.max(CLOSED, Math.min(SPARE_MAX, Math.floor(limit - allocated)));

/** An amount as it is compared with `spare`: as it is, or less where it `isCut`. */
export const askedOf = (amount: number): number =>
  Math.max(0, Math.min(SPARE_MAX, Math.floor(amount)));

/** Whether `spare` alone cannot tell: an amount beyond its range, or part of one. */
export const isCut = (amount: number): boolean => askedOf(amount) !== amount;
