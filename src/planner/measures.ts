/** What is measured of a fleet at an instant, in shares from 0 to 1. Closed hosts count as well. */
import type { ResourceClass, Resources } from '../model/resources.js';
import type { HostTable } from '../placement/host-table.js';
import { copiesIn, roomOf } from './copies.js';

/** Booked share of the limits, per class. */
export function utilisationOf(
  table: HostTable,
  classes: readonly ResourceClass[],
): Record<ResourceClass, number> {
  const booked = classes.map(() => 0);
  const limits = classes.map(() => 0);
  for (let row = 0; row < table.size; row += 1) {
    const facts = table.factsAt(row);
    classes.forEach((name, index) => {
      booked[index] = (booked[index] ?? 0) + table.bookedAt(row, name);
      limits[index] = (limits[index] ?? 0) + (facts.limits[name] ?? 0);
    });
  }
  return Object.fromEntries(
    classes.map((name, index) => [name, shareOf(booked[index] ?? 0, limits[index] ?? 0)]),
  );
}

/**
 * How much of the free room is of no use because it lies on many hosts, for one kind of request:
 *
 *   fragmentation = 1 − Σ_hosts copies in the room of the host / copies in all the room together
 *
 * 0: nothing is lost. 1: none fits, though there is room for some. 0 also where there is none.
 */
export function fragmentationOf(table: HostTable, requested: Resources): number {
  const pooled: Record<ResourceClass, number> = {};
  let apart = 0;
  for (let row = 0; row < table.size; row += 1) {
    const room = roomOf(table.factsAt(row).limits, table.allocatedAt(row));
    const copies = copiesIn(room, requested);
    if (!Number.isFinite(copies)) return 0;
    apart += copies;
    for (const [name, amount] of Object.entries(room)) pooled[name] = (pooled[name] ?? 0) + amount;
  }
  const together = copiesIn(pooled, requested);
  return together === 0 ? 0 : 1 - apart / together;
}

export const shareOf = (part: number, whole: number): number => (whole <= 0 ? 0 : part / whole);

/** Largest of the shares `amounts_i / totals_i`: the load of the tightest class. */
export function tightestShare(amounts: Resources, totals: Resources): number {
  let largest = 0;
  for (const [name, amount] of Object.entries(amounts)) {
    largest = Math.max(largest, shareOf(amount, totals[name] ?? 0));
  }
  return largest;
}
