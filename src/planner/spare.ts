/**
 * N+1: if any one host were lost, would its VMs fit on the others of its zone? Each host is lost in
 * thought, one at a time; its VMs are placed as production would place them, the largest first.
 */
import type { HostRef, PlacementRequest } from '../model/decision.js';
import type { Resources } from '../model/resources.js';
import { choose } from '../placement/choose.js';
import type { HostTable } from '../placement/host-table.js';
import type { Ranking } from '../placement/strategy.js';
import {
  groupsOf,
  vmsByHost,
  type PlannedFleet,
  type PlannedVm,
  type SlicedWork,
} from './fleet.js';
import { tightestShare } from './measures.js';
import { mainReason } from './replay.js';

/** A host whose VMs would not all find a place. */
export interface Unspared {
  readonly host: HostRef;
  readonly vms: number;
  /** Of these, those that no other host of the zone can take. */
  readonly stranded: number;
  /** Why the first of them finds none. */
  readonly reason: string;
}

export interface ZoneSpare {
  readonly zone: string;
  readonly hosts: number;
  /** Hosts that have VMs and could be lost. */
  readonly spared: number;
  /** Those that could not; the worst first. */
  readonly unspared: readonly Unspared[];
}

/** VMs between two looks of whoever drives the work. */
const SLICE_VMS = 8;

/** Looks at the fleet through the table and leaves the table as it was after each slice's host. */
export function* spare(
  table: HostTable,
  { hosts, vms }: PlannedFleet,
  ranking: Ranking,
): SlicedWork<readonly ZoneSpare[]> {
  const byHost = vmsByHost(vms);
  const zones = new Map<string, { hosts: number; spared: number; unspared: Unspared[] }>();
  let done = 0;
  for (const { id, name, zone, limits } of hosts) {
    const found = zones.get(zone) ?? { hosts: 0, spared: 0, unspared: [] };
    zones.set(zone, found);
    found.hosts += 1;
    const there = byHost.get(id) ?? [];
    if (there.length === 0) continue;
    const lost = lose(table, { id, zone }, largestFirst(there, limits), ranking);
    for (;;) {
      const step = lost.next();
      if (step.done !== true) {
        yield (done + step.value) / vms.length;
        continue;
      }
      const { stranded, reason } = step.value;
      if (reason === null) found.spared += 1;
      else found.unspared.push({ host: { id, name }, vms: there.length, stranded, reason });
      break;
    }
    done += there.length;
  }
  return [...zones]
    .map(([zone, found]) => ({
      zone,
      ...found,
      unspared: found.unspared.sort(
        (a, b) => b.stranded - a.stranded || (a.host.name < b.host.name ? -1 : 1),
      ),
    }))
    .sort((a, b) => (a.zone < b.zone ? -1 : 1));
}

function* lose(
  table: HostTable,
  host: { readonly id: string; readonly zone: string },
  vms: readonly PlannedVm[],
  ranking: Ranking,
): SlicedWork<{ readonly stranded: number; readonly reason: string | null }> {
  const undo: (() => void)[] = [];
  let stranded = 0;
  let reason: string | null = null;
  try {
    // All of them are gone at once: none keeps another from a place, or holds it to one.
    for (const vm of vms) undo.push(change(table, table.rowOf(host.id), vm, 'unbook'));
    for (const [index, vm] of vms.entries()) {
      const decision = choose(table, elsewhere(vm, host), ranking);
      if (decision.kind === 'placed') undo.push(change(table, decision.row, vm, 'book'));
      else {
        stranded += 1;
        reason ??= mainReason(decision.summary);
      }
      if (index % SLICE_VMS === 0) yield index;
    }
  } finally {
    for (const back of undo.reverse()) back();
  }
  return { stranded, reason };
}

/** A VM that is bound to its host has no other place, and is told as stranded. */
function elsewhere(
  { resources, path, constraints }: PlannedVm,
  { id, zone }: { readonly id: string; readonly zone: string },
): PlacementRequest {
  const { exclude = [], ...others } = constraints;
  return { resources, path, constraints: { zone, ...others, exclude: [...exclude, id] } };
}

/** @returns what takes it back */
function change(table: HostTable, row: number, vm: PlannedVm, how: 'book' | 'unbook'): () => void {
  if (row < 0) return () => undefined;
  const groups = groupsOf(vm);
  table[how](row, vm.resources, groups);
  return () => {
    table[how === 'book' ? 'unbook' : 'book'](row, vm.resources, groups);
  };
}

/** By the largest share that a VM takes of any class of its host: the hardest while there is room. */
const largestFirst = (vms: readonly PlannedVm[], limits: Resources): readonly PlannedVm[] =>
  vms
    .map((vm) => ({ vm, share: tightestShare(vm.resources, limits) }))
    .sort((a, b) => b.share - a.share || (a.vm.id < b.vm.id ? -1 : 1))
    .map(({ vm }) => vm);
