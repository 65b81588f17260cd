/**
 * How rows of the catalogue's double are written: checked as the real tables check them, and told
 * of in events and audit as the real triggers do.
 */
import type { AuditSubject } from '../../model/audit.js';
import type { EventKind } from '../../model/events.js';
import type { Watch } from '../../model/fleet-breaker.js';
import { RESERVATION_PREFIX } from '../../model/reservation.js';
import { refuseNegative, sumOf } from './amounts.js';
import {
  fleetFacts,
  hostFacts,
  orphanFacts,
  reservationFacts,
  tokenFacts,
  vmFacts,
} from './facts.js';
import type {
  AllocationRow,
  FactsLater,
  HostRow,
  OrphanRow,
  ReservationRow,
  TokenRow,
  VmRow,
} from './rows.js';
import { isSame } from './stored-json.js';
import { pairKey, type Tables } from './tables.js';

/** What the database says of a row that breaks a check or an index of its table. */
function refuseUnless(holds: boolean, rule: string): void {
  if (!holds) throw new Error(`violates a check: ${rule}`);
}

interface Telling {
  readonly kind: EventKind;
  readonly subject: AuditSubject;
  readonly hostId: string | null;
  readonly before: FactsLater | null;
  readonly after: FactsLater | null;
}

function tell(tables: Tables, { kind, subject, hostId, before, after }: Telling): void {
  const facts = after ?? before;
  if (facts === null) return;
  const { id: subjectId, path = null } = subject;
  tables.outbox.append({ at: tables.now(), kind, subjectId, path, hostId, facts });
  noteChange(tables, subject, before, after);
}

/** Into the audit log alone, and only when somebody has asked for it. */
export function noteChange(
  tables: Tables,
  subject: AuditSubject,
  before: FactsLater | null,
  after: FactsLater | null,
): void {
  const { doing } = tables;
  if (doing === null) return;
  const { by: actor, action } = doing;
  const id = tables.draw('audit');
  tables.audit.append({ id, at: tables.now(), actor, action, subject, before, after });
}

/** Who a host is now: names change, and facts are those of their time. */
function hostRef(tables: Tables, hostId: string): { readonly id: string; readonly name: string } {
  const host = tables.hosts.get(hostId);
  if (host === undefined) throw new Error(`violates a foreign key: there is no host ${hostId}`);
  return { id: hostId, name: host.name };
}

// VMs.

const HOSTLESS = new Set<VmRow['state']>(['waiting', 'failed', 'deleted']);

function checkVm(vm: VmRow): void {
  refuseUnless((vm.waitUntil === null) === (vm.state !== 'waiting'), 'who waits has a deadline');
  refuseUnless((vm.deletedAt !== null) === (vm.state === 'deleted'), 'what is deleted has a time');
  refuseUnless(!HOSTLESS.has(vm.state) || vm.hostId === null, `a VM ${vm.state} has no host`);
}

function vmFactsLater(tables: Tables, vm: VmRow): FactsLater {
  const host = vm.hostId === null ? null : hostRef(tables, vm.hostId);
  return () => vmFacts(vm, host);
}

export function insertVm(tables: Tables, vm: VmRow): VmRow {
  refuseUnless(!tables.vms.has(vm.id), 'an id of a VM is given once');
  checkVm(vm);
  const after = vmFactsLater(tables, vm);
  tables.vms.put(vm.id, vm);
  const subject = { kind: 'vm', id: vm.id, path: vm.path };
  tell(tables, { kind: 'vm.created', subject, hostId: vm.hostId, before: null, after });
  return vm;
}

/** Whether somebody could see the difference. */
const isSeenOfVm = (before: VmRow, after: VmRow): boolean =>
  before.state !== after.state ||
  before.desiredState !== after.desiredState ||
  before.hostId !== after.hostId ||
  before.waitUntil !== after.waitUntil ||
  !isSame(before.reason, after.reason) ||
  !isSame(before.violations, after.violations) ||
  !isSame(before.attempts, after.attempts);

export function updateVm(tables: Tables, before: VmRow, changes: Partial<VmRow>): VmRow {
  // Much faster than to spread both.
  const after: VmRow = Object.assign({ ...before }, changes);
  checkVm(after);
  tables.vms.put(after.id, after);
  if (!isSeenOfVm(before, after)) return after;
  tell(tables, {
    kind: after.state === 'deleted' ? 'vm.deleted' : 'vm.changed',
    subject: { kind: 'vm', id: after.id, path: after.path },
    hostId: after.hostId ?? before.hostId,
    before: vmFactsLater(tables, before),
    after: vmFactsLater(tables, after),
  });
  return after;
}

// Hosts.

function checkHost(host: HostRow): void {
  refuseUnless(host.modeUntil === null || host.mode === 'cordoned', 'only a cordon has an end');
  refuseUnless(host.missedPolls >= 0, 'missed polls are counted');
  refuseUnless(host.fence === null || host.state !== 'up', 'what is fenced is not up');
}

/** A retired host gives its name back. */
function checkName(tables: Tables, host: HostRow): void {
  if (host.mode === 'retired') return;
  for (const other of tables.hosts.rows()) {
    const isTaken = other.name === host.name && other.id !== host.id && other.mode !== 'retired';
    refuseUnless(!isTaken, 'a name belongs to one host');
  }
}

export function insertHost(tables: Tables, host: HostRow): HostRow {
  checkHost(host);
  checkName(tables, host);
  tables.hosts.put(host.id, host);
  tell(tables, {
    kind: 'host.joined',
    subject: { kind: 'host', id: host.id },
    hostId: host.id,
    before: null,
    after: () => hostFacts(host),
  });
  return host;
}

/** Whether somebody could see the difference; what is booked is told with the VMs. */
const isSeenOfHost = (before: HostRow, after: HostRow): boolean =>
  before.state !== after.state ||
  before.mode !== after.mode ||
  before.modeReason !== after.modeReason ||
  before.modeOwner !== after.modeOwner ||
  before.modeUntil !== after.modeUntil ||
  before.fence?.at !== after.fence?.at ||
  before.name !== after.name ||
  before.address !== after.address ||
  before.zone !== after.zone ||
  before.version !== after.version ||
  before.bootId !== after.bootId ||
  !isSame(before.labels, after.labels) ||
  !isSame(before.overrides, after.overrides) ||
  !isSame(before.inventory, after.inventory) ||
  !isSame(before.orphaned, after.orphaned);

export function updateHost(tables: Tables, before: HostRow, changes: Partial<HostRow>): HostRow {
  const after: HostRow = Object.assign({ ...before }, changes);
  checkHost(after);
  if (before.name !== after.name || before.mode !== after.mode) checkName(tables, after);
  tables.hosts.put(after.id, after);
  if (!isSeenOfHost(before, after)) return after;
  tell(tables, {
    kind: after.mode === 'retired' && before.mode !== 'retired' ? 'host.retired' : 'host.changed',
    subject: { kind: 'host', id: after.id },
    hostId: after.id,
    before: () => hostFacts(before),
    after: () => hostFacts(after),
  });
  return after;
}

// The fleet.

export function putWatch(tables: Tables, watch: Watch): void {
  const before = tables.watch;
  tables.watches.put('', { ...tables.watchRow, watch });
  if (before.isOpen === watch.isOpen) return;
  tell(tables, {
    kind: watch.isOpen ? 'fleet.breaker_opened' : 'fleet.breaker_closed',
    subject: { kind: 'fleet', id: 'fleet' },
    hostId: null,
    before: () => fleetFacts(before),
    after: () => fleetFacts(watch),
  });
}

// Bookings.

function book(tables: Tables, allocation: AllocationRow, sign: 1 | -1): void {
  const host = tables.hosts.get(allocation.hostId);
  if (host === undefined) throw new Error(`violates a foreign key: host ${allocation.hostId}`);
  const allocated = sumOf(host.allocated, allocation.resources, sign);
  refuseNegative(allocated, `what host ${host.id} has booked`);
  tables.hosts.put(host.id, { ...host, allocated });
}

/** Erases a booking and gives its room back. */
export function eraseAllocation(tables: Tables, allocation: AllocationRow): void {
  tables.allocations.delete(allocation.bookingId);
  book(tables, allocation, -1);
}

/** Notes for the ledger that a booking is gone. */
export function notePending(tables: Tables, allocation: AllocationRow): void {
  const { bookingId, vmId, reservationId, hostId } = allocation;
  tables.pendingReleases.put(bookingId, {
    bookingId,
    vmId: vmId ?? reservationId ?? '',
    hostId,
    createdAt: tables.now(),
  });
}

/** Writes a booking and takes its room; whether there is room was asked before. */
export function insertAllocation(tables: Tables, allocation: AllocationRow): void {
  const { vmId, reservationId, resources } = allocation;
  refuseNegative(resources, 'a booking');
  refuseUnless((vmId === null) !== (reservationId === null), 'a booking has one holder');
  const isTwice =
    (vmId !== null && tables.allocationOfVm(vmId) !== undefined) ||
    (reservationId !== null && tables.allocationOfReservation(reservationId) !== undefined);
  refuseUnless(!isTwice, 'a holder has one booking');
  tables.allocations.put(allocation.bookingId, allocation);
  book(tables, allocation, 1);
}

// Reservations.

export function insertReservation(tables: Tables, row: ReservationRow): void {
  refuseUnless(row.id.startsWith(RESERVATION_PREFIX), 'ids of reservations begin as such');
  refuseUnless(row.until !== null || row.purpose === 'move', 'what is held has an end');
  const host = hostRef(tables, row.hostId);
  tables.reservations.put(row.id, row);
  tell(tables, {
    kind: 'reservation.created',
    subject: { kind: 'reservation', id: row.id, path: row.path },
    hostId: row.hostId,
    before: null,
    after: () => reservationFacts(row, host),
  });
}

export function deleteReservation(tables: Tables, id: string): void {
  const row = tables.reservations.get(id);
  if (row === undefined) return;
  const host = hostRef(tables, row.hostId);
  tables.reservations.delete(id);
  tell(tables, {
    kind: 'reservation.ended',
    subject: { kind: 'reservation', id, path: row.path },
    hostId: row.hostId,
    before: () => reservationFacts(row, host),
    after: null,
  });
}

// What is in the audit log alone.

export function putToken(tables: Tables, token: TokenRow): void {
  const before = tables.tokens.get(token.id);
  tables.tokens.put(token.id, token);
  if (before?.revokedAt === token.revokedAt) return;
  const subject = { kind: 'token', id: token.id, path: token.path };
  const factsBefore = before === undefined ? null : () => tokenFacts(before);
  noteChange(tables, subject, factsBefore, () => tokenFacts(token));
}

export function markLeaving(tables: Tables, orphan: OrphanRow): void {
  if (orphan.leaving) return;
  const after = { ...orphan, leaving: true };
  tables.orphans.put(pairKey(orphan.hostId, orphan.vmId), after);
  const host = hostRef(tables, orphan.hostId);
  const subject = { kind: 'orphan', id: orphan.vmId, path: null };
  const factsBefore = () => orphanFacts(orphan, host);
  noteChange(tables, subject, factsBefore, () => orphanFacts(after, host));
}
