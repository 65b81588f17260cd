/** Fences in the catalogue's double: what an operator's word that a host is off means. */
import type { LedgerBooking } from '../../model/ports.js';
import {
  KEPT_BY_FENCE,
  refuseFence,
  RELEASED_BY_FENCE,
  type FenceStore,
} from '../../model/stores/fences.js';
import { dateOf } from './facts.js';
import type { AllocationRow, HostRow, VmRow } from './rows.js';
import { kept, keptText } from './stored-json.js';
import { answered, pairKey, type Tables } from './tables.js';
import { byText, findHost, hostNow, hostOf, vmRows } from './views.js';
import {
  deleteReservation,
  eraseAllocation,
  notePending,
  updateHost,
  updateVm,
} from './writing.js';
import { UNLEASED } from './work.js';

export const fencesOf = (tables: Tables): FenceStore => ({
  fenceHost: (idOrName, reason, by) =>
    answered(tables, () => fence(tables, idOrName, reason, by.name), { by, action: 'host.fence' }),

  fencedVms: (hostId) =>
    answered(tables, () =>
      [...tables.fencedOfHost.of(hostId)].sort(byText).flatMap((id) => {
        const row = tables.fencedVms.get(pairKey(hostId, id));
        return row === undefined ? [] : [{ vmId: row.vmId, assignment: row.assignment }];
      }),
    ),

  forgetFencedVms: (hostId, vms) =>
    answered(tables, () => {
      for (const { vmId, assignment } of vms) {
        const key = pairKey(hostId, vmId);
        // By its number too: a later fence may have taken the same VM away once more.
        if (tables.fencedVms.get(key)?.assignment === assignment) tables.fencedVms.delete(key);
      }
    }),

  liftFence: (hostId, at, by) =>
    answered(tables, () => lift(tables, hostId, at), { by, action: 'host.unfence' }),
});

function lift(tables: Tables, hostId: string, at: Date): boolean {
  const host = tables.hosts.get(hostId);
  if (host === undefined || host.fence === null || host.mode === 'retired') return false;
  const isThis = dateOf(host.fence.at).getTime() === at.getTime();
  const answers = host.state === 'joining' && host.missedPolls === 0;
  if (!isThis || !answers || tables.fencedOfHost.of(hostId).size > 0) return false;
  updateHost(tables, host, { fence: null });
  return true;
}

function fence(tables: Tables, idOrName: string, reason: string, by: string) {
  const found = findHost(tables, idOrName);
  if (found === undefined) return null;
  const before = hostOf(tables, found);
  refuseFence(before);
  if (before.fence !== null) return { host: before, released: [] };
  updateHost(tables, found, {
    fence: { at: tables.now(), reason: keptText(reason), by },
    revision: found.revision + 1,
  });
  const room = giveBackMoves(tables, found.id);
  const released = releaseVms(tables, found);
  keepOthers(tables, found.id);
  return { host: hostOf(tables, hostNow(tables, found.id)), released: [...room, ...released] };
}

/** Ends what moves hold on the host; a VM that is where it was, with its data, stays there. */
function giveBackMoves(tables: Tables, hostId: string): readonly LedgerBooking[] {
  const rooms = [...tables.reservations.rows()].filter(
    (row) => row.hostId === hostId && row.purpose === 'move',
  );
  const ids = new Set(rooms.map(({ id }) => id));
  for (const vm of vmRows(tables, tables.moving)) {
    if (!vm.hasRun || vm.hostId === null || !ids.has(vm.movingTo ?? '')) continue;
    updateVm(tables, vm, { movingTo: null, dueAt: tables.now(), tries: 0, leasedFor: null });
  }
  return rooms.flatMap(({ id }) => {
    const released = erase(tables, tables.allocationOfReservation(id));
    deleteReservation(tables, id);
    return released;
  });
}

const leaves = ({ desiredState, onHostLoss, movingTo, hasRun }: VmRow): boolean =>
  desiredState === 'deleted' || onHostLoss === 'restart' || (movingTo !== null && !hasRun);

function releaseVms(tables: Tables, host: HostRow): readonly LedgerBooking[] {
  const leaving = vmRows(tables, tables.vmsOfHost.of(host.id)).filter(leaves);
  return leaving.flatMap((vm) => {
    const allocation = tables.allocationOfVm(vm.id);
    if (allocation !== undefined) {
      const { id: vmId } = vm;
      const { assignment } = allocation;
      const row = { hostId: host.id, vmId, assignment };
      tables.fencedVms.put(pairKey(host.id, vmId), row);
    }
    const released = erase(tables, allocation);
    updateVm(tables, vm, afterRelease(vm, host, tables.now()));
    return released;
  });
}

function afterRelease(vm: VmRow, { id, name }: HostRow, now: number): Partial<VmRow> {
  const { detail } = RELEASED_BY_FENCE;
  const at = dateOf(now).toISOString();
  const attempt = kept({ host: { id, name }, at, outcome: 'fenced' as const, detail });
  const besides =
    vm.desiredState === 'deleted'
      ? { state: 'deleted' as const, reason: null, deletedAt: now, dueAt: null, movingTo: null }
      : {
          state: 'placed' as const,
          reason: RELEASED_BY_FENCE,
          attempts: Object.freeze([...vm.attempts, attempt]),
          dueAt: now,
        };
  return {
    ...besides,
    ...{ hasRun: false, hostId: null, tries: 0 },
    ...{ missingStrikes: 0, missingSince: null, outdatedStrikes: 0 },
    ...UNLEASED,
    updatedAt: now,
  };
}

/** Gives a booking back, and notes it for the ledger. */
function erase(tables: Tables, allocation: AllocationRow | undefined): readonly LedgerBooking[] {
  if (allocation === undefined) return [];
  eraseAllocation(tables, allocation);
  notePending(tables, allocation);
  const { bookingId, vmId, reservationId, hostId } = allocation;
  return [{ bookingId, vmId: vmId ?? reservationId ?? '', hostId }];
}

function keepOthers(tables: Tables, hostId: string): void {
  for (const vm of vmRows(tables, tables.vmsOfHost.of(hostId))) {
    const updatedAt = tables.now();
    updateVm(tables, vm, { state: 'unknown', reason: KEPT_BY_FENCE, ...UNLEASED, updatedAt });
  }
}
