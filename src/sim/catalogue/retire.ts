/** Retirement in the catalogue's double: a host is taken out for good, its row stays. */
import { DomainError } from '../../model/errors.js';
import type { LedgerBooking } from '../../model/ports.js';
import type { DrainStore } from '../../model/stores/drains.js';
import { movesOn, putMove } from './drains.js';
import type { HostRow } from './rows.js';
import { kept } from './stored-json.js';
import { answered, pairKey, type Tables } from './tables.js';
import { findHost, hostNow, hostOf, vmRows } from './views.js';
import { deleteReservation, notePending, updateHost, updateVm } from './writing.js';
import { UNLEASED } from './work.js';

export const retireOf = (tables: Tables): Pick<DrainStore, 'retireHost'> => ({
  retireHost: (idOrName, force, by) =>
    answered(
      tables,
      () => {
        const found = findHost(tables, idOrName);
        if (found === undefined) return null;
        const released =
          found.mode === 'retired' ? [] : retire(tables, found, force?.reason ?? null);
        return { host: hostOf(tables, hostNow(tables, found.id)), released };
      },
      { by, action: 'host.retire' },
    ),
});

function retire(tables: Tables, { id }: HostRow, reason: string | null): readonly LedgerBooking[] {
  const vms = tables.vmsOfHost.of(id).size;
  const held = [...tables.reservations.rows()].filter(({ hostId }) => hostId === id);
  if (vms + held.length > 0 && reason === null) throw notEmpty(vms, held.length);
  const released = eraseAll(tables, id);
  for (const reservation of held) deleteReservation(tables, reservation.id);
  failAll(tables, id, reason ?? '');
  close(tables, id, reason);
  return released;
}

const notEmpty = (vms: number, reservations: number): DomainError =>
  new DomainError(
    'host_not_empty',
    'VMs or reservations are booked on this host: drain it first, or retire it with force and a reason.',
    { extra: { vms, reservations } },
  );

/** What is booked there is set to nothing at the end, whatever it was. */
function eraseAll(tables: Tables, hostId: string): readonly LedgerBooking[] {
  return [...tables.allocationsOfHost.of(hostId)].flatMap((bookingId) => {
    const allocation = tables.allocations.get(bookingId);
    if (allocation === undefined) return [];
    tables.allocations.delete(bookingId);
    notePending(tables, allocation);
    const vmId = allocation.vmId ?? allocation.reservationId ?? '';
    return [{ bookingId, vmId, hostId }];
  });
}

/** What was to run there has failed, what was to go is gone. */
function failAll(tables: Tables, hostId: string, reason: string): void {
  const failure = kept({ code: 'host_retired', detail: `Its host was retired: ${reason}` });
  for (const vm of vmRows(tables, tables.vmsOfHost.of(hostId))) {
    const isGone = vm.desiredState === 'deleted';
    const now = tables.now();
    updateVm(tables, vm, {
      state: isGone ? 'deleted' : 'failed',
      reason: isGone ? null : failure,
      deletedAt: isGone ? now : null,
      ...{ hostId: null, movingTo: null, tries: 0, dueAt: null },
      ...UNLEASED,
      updatedAt: now,
    });
  }
}

function close(tables: Tables, hostId: string, reason: string | null): void {
  const host = hostNow(tables, hostId);
  updateHost(tables, host, {
    ...{ mode: 'retired', modeReason: reason, modeOwner: null, modeUntil: null },
    ...{ tokenHash: null, credential: '' },
    ...{ allocated: kept({}), orphaned: kept({}) },
    revision: host.revision + 1,
  });
  // Nobody asks its agent any more.
  for (const vmId of [...tables.orphansOfHost.of(hostId)]) {
    tables.orphans.delete(pairKey(hostId, vmId));
  }
  for (const vmId of [...tables.fencedOfHost.of(hostId)]) {
    tables.fencedVms.delete(pairKey(hostId, vmId));
  }
  const drain = tables.drains.get(hostId);
  if (drain?.state === 'draining') {
    tables.drains.put(hostId, { ...drain, state: 'done', endedAt: tables.now() });
  }
  for (const move of movesOn(tables, hostId)) {
    const isOpen = ['planned', 'blocked', 'moving'].includes(move.state);
    if (!isOpen || (tables.vms.get(move.vm.id)?.movingTo ?? null) !== null) continue;
    putMove(tables, { ...move, state: 'cancelled', detail: 'The host was retired.', target: null });
  }
}
