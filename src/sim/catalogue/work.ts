/** The lifecycle's work in the catalogue's double: what is due, who has it, and what was found. */
import type { Catalogue, Progress, ReleaseResult, WorkItem } from '../../model/ports.js';
import type { Vm } from '../../model/vm.js';
import type { VmRow } from './rows.js';
import { kept } from './stored-json.js';
import { answered, type Tables } from './tables.js';
import { contactOf, inOrder, vmOf } from './views.js';
import { eraseAllocation, notePending, updateVm } from './writing.js';

type Work = Pick<Catalogue, 'takeWork' | 'saveProgress' | 'releaseVm'>;

export const workOf = (tables: Tables): Work => ({
  takeWork: (lease, limit, leaseMs, busy = []) =>
    answered(tables, () => takeWork(tables, lease, limit, leaseMs, busy)),

  saveProgress: (found) =>
    answered(tables, () => {
      const saved = new Set<string>();
      for (const { vmId, lease, progress } of found) {
        const row = tables.vms.get(vmId);
        if (row?.leaseOwner !== lease) continue;
        updateVm(tables, row, afterStep(tables, row, progress));
        saved.add(vmId);
      }
      return saved;
    }),

  releaseVm: (lease, vmId, result) =>
    answered(tables, () => releaseVm(tables, lease, vmId, result)),
});

/** What ends a lease. */
export const UNLEASED = { leaseOwner: null, leaseUntil: null, leasedFor: null } as const;

const isDue = (tables: Tables, row: VmRow, now: number): boolean =>
  row.dueAt !== null &&
  row.dueAt <= now &&
  (row.leaseUntil === null || row.leaseUntil < now) &&
  (row.hostId === null || tables.hosts.get(row.hostId)?.state !== 'down');

function takeWork(
  tables: Tables,
  lease: string,
  limit: number,
  leaseMs: number,
  busy: readonly string[],
): readonly WorkItem[] {
  const now = tables.now();
  const due: VmRow[] = [];
  for (const id of tables.due) {
    const row = tables.vms.get(id);
    if (row === undefined || busy.includes(row.hostId ?? '')) continue;
    if (isDue(tables, row, now)) due.push(row);
  }
  due.sort((left, right) => (left.dueAt ?? 0) - (right.dueAt ?? 0));
  due.length = Math.min(due.length, limit);
  return inOrder(due).map((row) => takeVm(tables, row, lease, now + leaseMs));
}

/** A VM goes to whoever has this lease. */
export function takeVm(tables: Tables, row: VmRow, lease: string, leaseUntil: number): WorkItem {
  const leased = { leaseOwner: lease, leaseUntil, leasedFor: row.desiredState };
  const vm = updateVm(tables, row, leased);
  const host = vm.hostId === null ? undefined : tables.hosts.get(vm.hostId);
  return {
    lease,
    vm: vmOf(tables, vm),
    contact: host === undefined ? null : { ...contactOf(host), bootId: host.bootId },
    overrides: host?.overrides ?? {},
    tries: vm.tries,
  };
}

/** What was wanted may have changed while the step was under way: then it is due again at once. */
function afterStep(tables: Tables, row: VmRow, progress: Progress): Partial<VmRow> {
  const now = tables.now();
  const { state, nextInMs, desiredState = row.desiredState } = progress;
  const isAsItWas = row.desiredState === row.leasedFor;
  const tries = progress.failedTry === true ? row.tries + 1 : 0;
  const nextAt = nextInMs === null ? null : now + nextInMs;
  return {
    state,
    reason: kept(progress.reason),
    hasRun: row.hasRun || progress.hasRun === true,
    tries: progress.postponed === true ? row.tries : tries,
    desiredState: isAsItWas ? desiredState : row.desiredState,
    dueAt: isAsItWas ? nextAt : now,
    ...UNLEASED,
    updatedAt: row.state === state ? row.updatedAt : now,
  };
}

function releaseVm(
  tables: Tables,
  lease: string,
  vmId: string,
  { state, reason, attempt, movesOn = false }: ReleaseResult,
): Vm | null {
  const row = tables.vms.get(vmId);
  if (row?.leaseOwner !== lease) return null;
  const allocation = tables.allocationOfVm(vmId);
  if (allocation !== undefined) {
    eraseAllocation(tables, allocation);
    notePending(tables, allocation);
  }
  const now = tables.now();
  const goesOn = state === 'placed' || row.desiredState !== row.leasedFor;
  const attempts =
    attempt === undefined
      ? row.attempts
      : Object.freeze([...row.attempts, kept({ ...attempt, at: attempt.at.toISOString() })]);
  const released = updateVm(tables, row, {
    state,
    reason: kept(reason),
    hostId: null,
    movingTo: movesOn ? row.movingTo : null,
    waitUntil: null,
    attempts,
    tries: 0,
    dueAt: state !== 'deleted' && goesOn ? now : null,
    deletedAt: state === 'deleted' ? now : null,
    ...UNLEASED,
    updatedAt: now,
  });
  return vmOf(tables, released);
}
