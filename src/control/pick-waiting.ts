/**
 * Which of the VMs that wait would fit now, in their order. A look without the lock: it spares the
 * scheduler those that fit nowhere, and decides nothing.
 */
import { membershipsOf } from '../model/groups.js';
import type { PlacementRequest } from '../model/decision.js';
import type { WaitingVm } from '../model/stores/waiting.js';
import { choose } from '../placement/choose.js';
import { admits, prepare } from '../placement/filter.js';
import type { HostTable } from '../placement/host-table.js';
import type { Ranking } from '../placement/strategy.js';

/** Requests that are held against every host in one go: nothing else has its turn meanwhile. */
export const CHECKS_MAX = 128;

export interface Pick {
  readonly picked: readonly WaitingVm[];
  /** How many were looked at, from the front; the others are for the next go. */
  readonly seen: number;
}

/**
 * Each one that fits takes its room from those behind it; one that does not is passed over, and so
 * are its likes. The table is as it was when this returns.
 */
export function pickWaiting(table: HostTable, line: readonly WaitingVm[], ranking: Ranking): Pick {
  const picked: WaitingVm[] = [];
  const undo: (() => void)[] = [];
  /** Rooms only shrink while this looks, so what fits nowhere once fits nowhere later. */
  const misfits = new Set<string>();
  let checks = 0;
  let seen = 0;
  for (const waiting of line) {
    if (checks === CHECKS_MAX) break;
    seen += 1;
    const { resources, path, constraints } = waiting.spec;
    const request: PlacementRequest = { resources, path, constraints };
    // An affinity to a group without members is met by whoever comes first: not the same for all.
    const kind = constraints.groups === undefined ? JSON.stringify([resources, constraints]) : null;
    if (kind !== null && misfits.has(kind)) continue;
    checks += 1;
    if (!fitsAnywhere(table, request)) {
      if (kind !== null) misfits.add(kind);
      continue;
    }
    const decision = choose(table, request, ranking);
    if (decision.kind === 'nowhere') continue;
    const { row } = decision;
    const groups = membershipsOf(path, constraints.groups);
    table.book(row, resources, groups);
    undo.push(() => {
      table.unbook(row, resources, groups);
    });
    picked.push(waiting);
  }
  for (const giveBack of undo.reverse()) giveBack();
  return { picked, seen };
}

/** Without the reasons and the scores, which cost far more and which nobody reads here. */
function fitsAnywhere(table: HostTable, request: PlacementRequest): boolean {
  const prepared = prepare(table, request);
  for (let row = 0; row < table.size; row += 1) {
    if (admits(table, row, prepared)) return true;
  }
  return false;
}
