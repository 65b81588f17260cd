/** How often a request fits into free room: the arithmetic behind capacity and fragmentation. */
import type { ResourceClass, Resources } from '../model/resources.js';

/**
 * Whole copies of a request that fit into room, over the classes that it asks for:
 *
 *   copies = min over classes of floor(room_i / requested_i)    0 where room_i is negative
 *
 * @returns Infinity for a request that asks for nothing
 */
export function copiesIn(room: Resources, requested: Resources): number {
  let copies = Infinity;
  for (const [resource, amount] of Object.entries(requested)) {
    if (amount <= 0) continue;
    copies = Math.min(copies, Math.floor(Math.max(0, room[resource] ?? 0) / amount));
  }
  return copies;
}

/** What may still be booked, class by class; never below 0. */
export const roomOf = (limits: Resources, allocated: Resources): Record<ResourceClass, number> =>
  Object.fromEntries(
    Object.entries(limits).map(([name, limit]) => [
      name,
      Math.max(0, limit - (allocated[name] ?? 0)),
    ]),
  );

/** Takes copies of a request out of room. */
export function takeCopies(
  room: Record<ResourceClass, number>,
  requested: Resources,
  copies: number,
): void {
  for (const [resource, amount] of Object.entries(requested)) {
    if (amount > 0) room[resource] = (room[resource] ?? 0) - copies * amount;
  }
}
