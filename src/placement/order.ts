/** Which of two hosts with equal scores comes first, so that the order of rows never matters. */
import { ratio } from './ratio.js';
import { RANKED, type HostTable } from './host-table.js';

/** The host with the larger unweighted |remaining| wins, then the one registered first. */
export function winsTie(table: HostTable, row: number, other: number): boolean {
  const mine = remainingLength(table, row);
  const theirs = remainingLength(table, other);
  if (mine !== theirs) return mine > theirs;
  return (table.seq[row] ?? 0) < (table.seq[other] ?? 0);
}

/** Unweighted length of the vector of remaining shares. */
function remainingLength(table: HostTable, row: number): number {
  let squared = 0;
  for (let at = row * RANKED; at < (row + 1) * RANKED; at += 1) {
    const capacity = table.capacity[at] ?? 0;
    const remaining = ratio(capacity - (table.allocated[at] ?? 0), capacity);
    squared += remaining * remaining;
  }
  return Math.sqrt(squared);
}
