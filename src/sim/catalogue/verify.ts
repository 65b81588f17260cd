/**
 * The books of the catalogue's double for `verify`, and the repairs. Members of groups are an index
 * of the allocations here, so they cannot be noted wrongly.
 */
import type { LedgerBooking } from '../../model/ports.js';
import type { CatalogueBooks, VerifyStore } from '../../model/stores/verify.js';
import type { VerifyFinding } from '../../model/verify.js';
import { sumOf } from './amounts.js';
import { dateOf } from './facts.js';
import type { AllocationRow, ReservationRow, VmRow } from './rows.js';
import { isSame, kept } from './stored-json.js';
import { answered, type Tables } from './tables.js';
import { allocationOf, inOrder } from './views.js';
import { deleteReservation, noteChange, notePending } from './writing.js';

/** How long a reservation may outlive its time: the loop that ends it may be a little late. */
const OVERDUE_GRACE_MS = 60_000;

const REPAIR = 'books.repair';

export const verifyOf = (tables: Tables): VerifyStore => ({
  inspectBooks: () => answered(tables, () => inspect(tables)),

  recountHosts: (hostIds, by) =>
    answered(tables, () => recount(tables, hostIds), { by, action: REPAIR }),

  endLeftovers: (ids, by) =>
    answered(tables, () => endLeftovers(tables, ids), { by, action: REPAIR }),

  regroup: (ids, by) =>
    answered(
      tables,
      () => {
        for (const id of ids) {
          const booking = tables.allocationOfVm(id) ?? tables.allocationOfReservation(id);
          if (booking !== undefined) noteChange(tables, { kind: 'group', id }, null, null);
        }
      },
      { by, action: REPAIR },
    ),

  renumber: (by) =>
    answered(
      tables,
      () => {
        const next = tables.nextAssignmentAbove(highestAssignment(tables));
        noteChange(tables, { kind: 'sequence', id: 'assignments' }, null, () => ({ next }));
      },
      { by, action: REPAIR },
    ),
});

function inspect(tables: Tables): CatalogueBooks {
  return {
    agreement: { ...tables.agreement },
    hosts: inOrder(tables.hosts.rows()).map(({ id, name, state, mode, allocated }) => ({
      ...{ id, name, state, mode, allocated },
    })),
    allocations: [...tables.allocations.rows()].map(allocationOf),
    pendingReleases: new Set([...tables.pendingReleases.rows()].map(({ bookingId }) => bookingId)),
    faults: [
      ...inOrder(tables.vms.rows()).flatMap(
        (vm) => faultOfVm(vm, tables.allocationOfVm(vm.id)) ?? [],
      ),
      ...inOrder(tables.reservations.rows()).flatMap(
        (row) => faultOfReservation(tables, row) ?? [],
      ),
      ...faultsOfSequence(tables),
    ],
  };
}

/** In these states a VM holds no room, in those it must. */
const HOLDS_NOTHING: readonly VmRow['state'][] = ['waiting', 'failed', 'deleted'];
const HOLDS_ROOM: readonly VmRow['state'][] = [
  ...(['creating', 'running', 'stopping', 'stopped', 'starting', 'deleting'] as const),
];

function faultOfVm(
  { id, name, state, hostId }: VmRow,
  booking: AllocationRow | undefined,
): VerifyFinding | null {
  const subject = { kind: 'vm', id, name } as const;
  if (booking === undefined) {
    if (hostId === null && !HOLDS_ROOM.includes(state)) return null;
    return {
      code: 'vm_without_booking',
      subject,
      detail: `The VM is ${state} and holds no room anywhere.`,
      ...(hostId === null ? {} : { expected: { host: hostId } }),
    };
  }
  if (HOLDS_NOTHING.includes(state)) {
    return {
      code: 'booking_of_gone_vm',
      subject,
      detail: `The VM is ${state} and still holds room.`,
      found: { booking: booking.bookingId, host: booking.hostId },
    };
  }
  if (hostId === booking.hostId) return null;
  return {
    code: 'booking_elsewhere',
    subject,
    detail: 'The VM is recorded on one host and holds room on another.',
    expected: { host: hostId ?? 'none' },
    found: { host: booking.hostId },
  };
}

function faultOfReservation(
  tables: Tables,
  { id, name, until }: ReservationRow,
): VerifyFinding | null {
  const subject = { kind: 'reservation', id, name } as const;
  if (tables.allocationOfReservation(id) === undefined) {
    const detail = 'The reservation holds no room.';
    return { code: 'reservation_without_booking', subject, detail };
  }
  if (until === null || until >= tables.now() - OVERDUE_GRACE_MS) return null;
  return {
    code: 'reservation_overdue',
    subject,
    detail: `It should have ended at ${dateOf(until).toISOString()} and still holds room.`,
  };
}

const highestAssignment = (tables: Tables): number =>
  [...tables.allocations.rows()].reduce((highest, row) => Math.max(highest, row.assignment), 0);

function faultsOfSequence(tables: Tables): readonly VerifyFinding[] {
  const highest = highestAssignment(tables);
  if (highest <= tables.lastAssignment) return [];
  return [
    {
      code: 'assignment_ahead',
      subject: { kind: 'sequence', id: 'assignments' },
      detail: 'An assignment was given that the sequence has not reached: it would be given again.',
      expected: { atLeast: highest },
      found: { last: tables.lastAssignment },
    },
  ];
}

/** What hosts carry, from what is booked there. */
function recount(tables: Tables, hostIds: Iterable<string>): void {
  for (const id of hostIds) {
    const host = tables.hosts.get(id);
    if (host === undefined) continue;
    const allocated = [...tables.allocationsOfHost.of(id)]
      .flatMap((bookingId) => tables.allocations.get(bookingId) ?? [])
      .reduce((sum, { resources }) => sumOf(sum, resources, 1), kept({}));
    if (isSame(allocated, host.allocated)) continue;
    tables.hosts.put(id, { ...host, allocated });
    const before = { allocated: host.allocated };
    noteChange(
      tables,
      { kind: 'host', id },
      () => before,
      () => ({ allocated }),
    );
  }
}

function endLeftovers(tables: Tables, ids: readonly string[]): readonly LedgerBooking[] {
  const ended: LedgerBooking[] = [];
  for (const id of ids) {
    const vm = tables.vms.get(id);
    const gone = tables.allocationOfVm(id);
    if (vm === undefined || gone === undefined || !HOLDS_NOTHING.includes(vm.state)) continue;
    const { bookingId: booking, hostId: host, resources } = gone;
    tables.allocations.delete(booking);
    notePending(tables, gone);
    noteChange(tables, { kind: 'vm', id }, () => ({ booking, host, resources }), null);
    ended.push({ bookingId: booking, vmId: id, hostId: host });
  }
  // The sums of their hosts, from what is left: right whatever they were before.
  recount(tables, new Set(ended.map(({ hostId }) => hostId)));
  for (const id of ids) {
    if (tables.allocationOfReservation(id) === undefined) deleteReservation(tables, id);
  }
  return ended;
}
