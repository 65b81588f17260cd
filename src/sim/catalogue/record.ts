/** The record of a batch: the last word on bookings. What record_bookings does in SQL. */
import type {
  Catalogue,
  RecordItem,
  RecordOutcome,
  RecordReply,
  Taking,
} from '../../model/ports.js';
import type { AuditAction } from '../../model/audit.js';
import { plainOnes, refusalOf } from './record-rules.js';
import type { AllocationRow, StoredAttempt, VmRow } from './rows.js';
import { kept, keptText } from './stored-json.js';
import { answered, type Tables } from './tables.js';
import { reservationOf, vmOf } from './views.js';
import { takeVm } from './work.js';
import {
  deleteReservation,
  eraseAllocation,
  insertAllocation,
  insertReservation,
  insertVm,
  updateVm,
} from './writing.js';

export const recordOf = (tables: Tables): Pick<Catalogue, 'record'> => ({
  record: (epoch, seq, items, taking = null) =>
    answered(tables, () => record(tables, epoch, seq, items, taking)),
});

function record(
  tables: Tables,
  epoch: number,
  seq: number,
  items: readonly RecordItem[],
  taking: Taking | null,
): RecordReply {
  const { agreement } = tables;
  if (agreement.epoch !== epoch) return { kind: 'stale_epoch' };
  tables.agreement = { ...agreement, highWater: Math.max(agreement.highWater, seq) };
  const plain = new Map<RecordItem, RecordOutcome>();
  for (const item of plainOnes(tables, items)) {
    const outcome = recordBooking(tables, item);
    const isTaken = taking !== null && plain.size < taking.countMax;
    plain.set(item, isTaken ? taken(tables, item, outcome, taking) : outcome);
  }
  const outcomes = partiesOf(items).flatMap((party) => {
    const told = plain.get(party[0]);
    if (told !== undefined) return [told];
    return party[0].booking.set === null
      ? [recordBooking(tables, party[0])]
      : recordSet(tables, party);
  });
  return { kind: 'done', outcomes };
}

function taken(
  tables: Tables,
  { spec }: RecordItem,
  outcome: RecordOutcome,
  { lease, leaseMs }: Taking,
): RecordOutcome {
  const row = tables.vms.get(spec.id);
  if (outcome.kind !== 'recorded' || row === undefined) return outcome;
  return { ...outcome, work: takeVm(tables, row, lease, tables.now() + leaseMs) };
}

type Party = [RecordItem, ...RecordItem[]];

/** The items in their order; those of a set, which stand side by side, together. */
function partiesOf(items: readonly RecordItem[]): readonly Party[] {
  const parties: Party[] = [];
  let presentSet: string | null = null;
  for (const item of items) {
    const { set } = item.booking;
    const party = parties.at(-1);
    if (set !== null && set === presentSet && party !== undefined) party.push(item);
    else parties.push([item]);
    presentSet = set;
  }
  return parties;
}

const isRefused = ({ kind }: RecordOutcome): boolean => kind !== 'recorded' && kind !== 'reserved';

/** All of it or nothing. Who is refused says why, the others are refused with it. */
function recordSet(tables: Tables, members: Party): readonly RecordOutcome[] {
  // What stands already was recorded as a whole; this is a repeat, and some may have ended since.
  if (members.some(({ booking }) => tables.allocations.has(booking.bookingId))) {
    return members.map((item) => recordBooking(tables, item));
  }
  const start = tables.journal.mark();
  const outcomes: RecordOutcome[] = [];
  for (const item of members) {
    const outcome = recordBooking(tables, item);
    outcomes.push(outcome);
    if (!isRefused(outcome)) continue;
    tables.journal.undoTo(start);
    const blamed = outcomes.length - 1;
    return members.map((_member, place) => (place === blamed ? outcome : { kind: 'set' }));
  }
  return outcomes;
}

/** One booking. What it refuses has changed nothing. */
function recordBooking(tables: Tables, item: RecordItem): RecordOutcome {
  const { booking, kind } = item;
  const standing = tables.allocations.get(booking.bookingId);
  if (standing !== undefined) return outcomeOf(tables, standing);
  const refusal = refusalOf(tables, item);
  if (refusal !== null) return { kind: refusal };

  tables.doing = doingOf(item);
  for (const { bookingId } of booking.frees) giveBack(tables, bookingId);
  if (kind === 'reserve') reserve(tables, item);
  else if (kind === 'create') create(tables, item);
  else rehost(tables, item);
  const isReservation = kind === 'reserve';
  const allocation: AllocationRow = {
    bookingId: booking.bookingId,
    vmId: isReservation ? null : item.spec.id,
    reservationId: isReservation ? item.spec.id : null,
    hostId: booking.hostId,
    assignment: isReservation ? 0 : tables.nextAssignment(),
    path: booking.path,
    resources: kept(booking.resources),
    groups: kept(booking.groups),
  };
  insertAllocation(tables, allocation);
  tables.doing = null;
  return outcomeOf(tables, allocation);
}

function outcomeOf(tables: Tables, { vmId, reservationId, assignment }: AllocationRow) {
  const vm = vmId === null ? undefined : tables.vms.get(vmId);
  if (vm !== undefined) return { kind: 'recorded' as const, vm: vmOf(tables, vm), assignment };
  const row = tables.reservations.get(reservationId ?? '');
  if (row === undefined) throw new Error('a booking stands without its holder');
  return { kind: 'reserved' as const, reservation: reservationOf(tables, row) };
}

function doingOf({ kind, by }: RecordItem): Tables['doing'] {
  if (by === null || (kind !== 'create' && kind !== 'reserve')) return null;
  const action: AuditAction = kind === 'create' ? 'vm.create' : 'reservation.create';
  return { by, action };
}

/** The ledger has given it back already, so nothing is left pending. */
function giveBack(tables: Tables, bookingId: string): void {
  const gone = tables.allocations.get(bookingId);
  if (gone === undefined) return;
  eraseAllocation(tables, gone);
  if (gone.reservationId !== null) deleteReservation(tables, gone.reservationId);
}

const attemptOf = ({ attempt }: RecordItem): StoredAttempt =>
  kept({ ...attempt, at: attempt.at.toISOString() });

function create(tables: Tables, item: RecordItem): void {
  const now = tables.now();
  insertVm(
    tables,
    newVm(tables, item, now, {
      hostId: item.booking.hostId,
      attempts: Object.freeze([attemptOf(item)]),
      violations: kept(item.violations),
      dueAt: now,
    }),
  );
}

/** A new VM as it is asked for, and what is said of it besides. */
export const newVm = (
  tables: Tables,
  asked: Pick<RecordItem, 'spec' | 'requestHash' | 'strategy'>,
  now: number,
  besides: Partial<VmRow>,
): VmRow => Object.assign(freshVm(tables, asked, now), besides);

const freshVm = (
  tables: Tables,
  { spec, requestHash, strategy }: Pick<RecordItem, 'spec' | 'requestHash' | 'strategy'>,
  now: number,
): VmRow => ({
  id: spec.id,
  seq: tables.draw('vm'),
  name: keptText(spec.name),
  path: spec.path,
  resources: kept(spec.resources),
  image: spec.image,
  users: kept(spec.users),
  constraints: kept(spec.constraints),
  requestHash,
  desiredState: 'running',
  state: 'placed',
  hostId: null,
  reason: null,
  attempts: NOTHING,
  hasRun: false,
  onHostLoss: spec.onHostLoss,
  violations: NOTHING,
  strategy,
  waitUntil: null,
  movingTo: null,
  missingStrikes: 0,
  missingSince: null,
  outdatedStrikes: 0,
  tries: 0,
  dueAt: null,
  leaseOwner: null,
  leaseUntil: null,
  leasedFor: null,
  createdAt: now,
  updatedAt: now,
  deletedAt: null,
});

const NOTHING: readonly never[] = Object.freeze([]);

function reserve(tables: Tables, { spec, booking, reservation }: RecordItem): void {
  if (reservation === null) throw new Error('violates a check: a reservation has a purpose');
  const now = tables.now();
  insertReservation(tables, {
    id: spec.id,
    seq: tables.draw('reservation'),
    purpose: reservation.purpose,
    name: keptText(spec.name),
    path: spec.path,
    resources: kept(booking.resources),
    constraints: kept(spec.constraints),
    hostId: booking.hostId,
    until: reservation.endsInMs === null ? null : now + reservation.endsInMs,
    createdAt: now,
  });
}

/** Gives a host to a VM that has none. A moved VM is made anew: on this host it has never run. */
function rehost(tables: Tables, item: RecordItem): void {
  const vm = tables.vms.get(item.spec.id);
  if (vm === undefined) throw new Error('a VM vanished while it was placed');
  const moves = item.kind === 'move';
  const now = tables.now();
  updateVm(tables, vm, {
    hostId: item.booking.hostId,
    attempts: Object.freeze([...vm.attempts, attemptOf(item)]),
    state: 'placed',
    waitUntil: null,
    reason: null,
    violations: kept(item.violations),
    movingTo: moves ? null : vm.movingTo,
    hasRun: vm.hasRun && !moves,
    tries: moves ? 0 : vm.tries,
    dueAt: now,
    updatedAt: now,
  });
}
