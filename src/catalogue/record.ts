/**
 * The record of a batch: one call of `record_creates` or `record_bookings`, said again when its answer
 * is lost. Each booking is recorded under its own id, so a repeat finds what the first call did.
 */
import { sql } from 'kysely';
import type { AuditAction } from '../model/audit.js';
import type {
  Catalogue,
  RecordItem,
  RecordOutcome,
  RecordReply,
  Taking,
  WorkItem,
} from '../model/ports.js';
import type { Vm } from '../model/vm.js';
import { systemClock } from '../std/clock.js';
import type { Database } from './connection.js';
import { answered, isNoAnswer } from './failures.js';
import { jsonOf } from './json.js';
import { reservationOf, type ReservationRow } from './reservations.js';
import { isPlain, recordCreates } from './record-creates.js';
import { vmOf, type VmRow } from './rows.js';
import { faultOfVm } from './sound.js';
import type { HostContactRow } from './vms.js';
import { workItemOf } from './work.js';

const TRIES_MAX = 5;
/** No new try begins later: a lost connection is worth one, a database that hangs is not. */
const DEADLINE_MS = 1_000;
/** Times the number of tries. */
const PAUSE_MS = 50;

type OutcomeRow =
  | { readonly outcome: 'stale_epoch' }
  | { readonly outcome: 'recorded'; readonly recorded: RecordedRow }
  | { readonly outcome: 'reserved'; readonly recorded: ReservationRow }
  | { readonly outcome: Exclude<RecordOutcome['kind'], 'recorded' | 'reserved'> };

type RecordedRow = VmRow & { readonly assignment: number; readonly lease_owner: string | null } &
  /** Only of VMs that were taken. */
  Partial<HostContactRow>;

export const recordOf = (db: Database): Pick<Catalogue, 'record'> => ({
  record: (epoch, seq, items, taking = null) =>
    answered(async () => {
      const created =
        items.length > 0 && items.every(isPlain)
          ? await saidUntilAnswered(() => recordCreates(db, epoch, seq, items, taking))
          : null;
      return created ?? (await record(db, epoch, seq, items, taking));
    }),
});

async function record(
  db: Database,
  epoch: number,
  seq: number,
  items: readonly RecordItem[],
  taking: Taking | null,
): Promise<RecordReply> {
  const batch = jsonOf(partiesOf(items));
  const touched = touchedBy(items);
  const outcomes: RecordOutcome[] = [];
  const rows = await saidUntilAnswered(async () => {
    const call = sql<OutcomeRow>`
      select outcome, recorded from record_bookings(
        ${epoch}, ${seq}, ${touched}, ${batch}::jsonb,
        ${taking?.lease ?? null}, ${taking?.leaseMs ?? null}, ${taking?.countMax ?? 0})`;
    return withUsers(db, items, async (tx) => (await call.execute(tx)).rows);
  });
  for (const row of rows) {
    if (row.outcome === 'stale_epoch') return { kind: 'stale_epoch' };
    outcomes.push(outcomeOf(row, taking));
  }
  return { kind: 'done', outcomes };
}

/** Few VMs have users; who does not pays nothing for them (see migration 0016). */
function withUsers<T>(
  db: Database,
  items: readonly RecordItem[],
  run: (tx: Database) => Promise<T>,
): Promise<T> {
  const made = items.filter(({ kind, spec }) => kind === 'create' && spec.users.length > 0);
  if (made.length === 0) return run(db);
  const users = Object.fromEntries(made.map(({ spec }) => [spec.id, spec.users]));
  return db.transaction().execute(async (tx) => {
    await sql`select set_config('berth.users', ${jsonOf(users)}, true)`.execute(tx);
    return run(tx);
  });
}

async function saidUntilAnswered<T>(call: () => Promise<T>): Promise<T> {
  const end = systemClock.monotonic() + DEADLINE_MS;
  for (let tries = 1; ; tries += 1) {
    try {
      return await call();
    } catch (error) {
      const late = systemClock.monotonic() > end;
      if (!isNoAnswer(error) || tries === TRIES_MAX || late) throw error;
      await systemClock.sleep(tries * PAUSE_MS);
    }
  }
}

function outcomeOf(
  row: Exclude<OutcomeRow, { outcome: 'stale_epoch' }>,
  taking: Taking | null,
): RecordOutcome {
  switch (row.outcome) {
    case 'recorded': {
      const vm = vmOf(row.recorded);
      const work = takenOf(row.recorded, vm, taking);
      return {
        kind: 'recorded',
        vm,
        assignment: row.recorded.assignment,
        ...(work === null ? {} : { work }),
      };
    }
    case 'reserved':
      return { kind: 'reserved', reservation: reservationOf(row.recorded) };
    default:
      return { kind: row.outcome };
  }
}

/** A repeat of a call tells no contacts: then the lease runs out and the VM is taken again. */
function takenOf(row: RecordedRow, vm: Vm, taking: Taking | null): WorkItem | null {
  const { address = null, credential = null, ip = null, boot_id = null, overrides = null } = row;
  if (row.lease_owner !== taking?.lease || address === null) return null;
  if (faultOfVm(row) !== null) return null;
  const contact = { host_id: row.host_id, address, credential, ip, boot_id, overrides };
  return workItemOf(contact, vm, taking.lease, 0);
}

/** Hosts on which something is booked or given back. */
const touchedBy = (items: readonly RecordItem[]): string[] => [
  ...new Set(
    items.flatMap(({ booking }) => [booking.hostId, ...booking.frees.map(({ hostId }) => hostId)]),
  ),
];

/** The items in their order; those of a set, which stand side by side, as a list. */
function partiesOf(items: readonly RecordItem[]): readonly unknown[] {
  const parties: unknown[] = [];
  let present: unknown[] = [];
  let presentSet: string | null = null;
  for (const item of items) {
    const { set } = item.booking;
    if (set === null) parties.push(parameterOf(item));
    else if (set === presentSet) present.push(parameterOf(item));
    else parties.push((present = [parameterOf(item)]));
    presentSet = set;
  }
  return parties;
}

/** What is usual is left out: the functions do less for it. */
const parameterOf = (item: RecordItem) => ({
  kind: item.kind,
  vm: {
    id: item.spec.id,
    name: item.spec.name,
    path: item.spec.path,
    image: item.spec.image,
    constraints: item.spec.constraints,
    requestHash: item.requestHash,
    ...(item.spec.onHostLoss === 'keep' ? {} : { onHostLoss: item.spec.onHostLoss }),
  },
  booking: bookingParameterOf(item.booking),
  attempt: item.attempt,
  ...(item.violations.length === 0 ? {} : { violations: item.violations }),
  ...(item.strategy === null ? {} : { strategy: item.strategy }),
  ...(item.reservation === null ? {} : { reservation: item.reservation }),
  ...byOf(item),
});

const bookingParameterOf = ({ groups, frees, ...booking }: RecordItem['booking']) => ({
  bookingId: booking.bookingId,
  hostId: booking.hostId,
  path: booking.path,
  resources: booking.resources,
  ...(groups.length === 0 ? {} : { groups }),
  ...(frees.length === 0 ? {} : { frees: frees.map(({ bookingId }) => ({ bookingId })) }),
});

/** Who asked for it, as the audit log's triggers read it (see actor.ts). */
function byOf({ kind, by }: RecordItem) {
  if (by === null || (kind !== 'create' && kind !== 'reserve')) return {};
  const action: AuditAction = kind === 'create' ? 'vm.create' : 'reservation.create';
  return { by: { kind: by.kind, id: by.id, name: by.name, requestId: by.requestId, action } };
}
