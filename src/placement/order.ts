/** Which of two hosts with equal scores comes first, so that the order of rows never matters. */
import type { HostTable } from './host-table.js';

/** The host with the larger unweighted |remaining| wins, then the one registered first. */
export function winsTie(table: HostTable, row: number, other: number): boolean {
  const mine = table.room[row] ?? 0;
  const theirs = table.room[other] ?? 0;
  if (mine !== theirs) return mine > theirs;
  const mySeq = table.seq[row] ?? 0;
  const theirSeq = table.seq[other] ?? 0;
  // Hosts never share a number; if they did, one table would still always answer the same.
  return mySeq === theirSeq ? row < other : mySeq < theirSeq;
}
