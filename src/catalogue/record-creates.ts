/**
 * The record of a batch of nothing but plain creates, as most are: one call of `record_creates`, which
 * takes a column of each thing and answers what only the catalogue knows. What it cannot record, all of
 * it, it leaves to `record_bookings` (record.ts).
 */
import { sql } from 'kysely';
import type { AuditAction } from '../model/audit.js';
import type { RecordItem, RecordOutcome, RecordReply, Taking } from '../model/ports.js';
import type { Vm } from '../model/vm.js';
import type { Database } from './connection.js';
import { isKeptAsItIs } from './json.js';
import type { HostContactRow } from './vms.js';
import { workItemOf } from './work.js';

/** A new VM that stands alone, is in no group, takes nobody's place and has no users. */
export const isPlain = ({ kind, booking, spec, violations }: RecordItem): boolean =>
  kind === 'create' &&
  booking.set === null &&
  booking.groups.length === 0 &&
  booking.frees.length === 0 &&
  booking.path === spec.path &&
  violations.length === 0 &&
  spec.users.length === 0;

type CreatedRow =
  | { readonly outcome: 'stale_epoch' }
  | ({
      readonly outcome: 'recorded';
      readonly host_name: string;
      readonly assignment: number;
      readonly created_at: Date;
    } & HostContactRow);

/**
 * @param items all of them plain
 * @returns null when something stands in the way of one of them: then nothing was recorded
 */
export async function recordCreates(
  db: Database,
  epoch: number,
  seq: number,
  items: readonly RecordItem[],
  taking: Taking | null,
): Promise<RecordReply | null> {
  const column = <T>(of: (item: RecordItem) => T): T[] => items.map(of);
  const texts = {
    names: column(({ spec }) => spec.name),
    paths: column(({ spec }) => spec.path),
    images: column(({ spec }) => spec.image),
    constraints: column(({ spec }) => JSON.stringify(spec.constraints)),
    attempts: column(({ attempt }) => JSON.stringify([attempt])),
    actors: JSON.stringify(actorsOf(items)),
  };
  // The VMs that are answered are those that were given, so nothing of them may change on the way.
  if (!isKeptAsItIs(JSON.stringify(texts))) return null;
  const { rows } = await sql<CreatedRow>`
    select * from record_creates(
      ${epoch}, ${seq},
      ${taking?.lease ?? null}, ${taking?.leaseMs ?? null}, ${taking?.countMax ?? 0},
      ${texts.actors},
      ${column(({ spec }) => spec.id)},
      ${texts.names}, ${texts.paths}, ${texts.images}, ${texts.constraints},
      ${column(({ requestHash }) => requestHash)},
      ${column(({ spec }) => spec.onHostLoss)},
      ${texts.attempts},
      ${column(({ strategy }) => strategy)},
      ${column(({ booking }) => booking.bookingId)},
      ${column(({ booking }) => booking.hostId)},
      ${column(({ booking }) => JSON.stringify(booking.resources))})`.execute(db);
  if (rows.length === 0) return null;
  const outcomes: RecordOutcome[] = [];
  for (const [place, item] of items.entries()) {
    const row = rows[place];
    if (row?.outcome !== 'recorded') return { kind: 'stale_epoch' };
    const vm = vmOf(item, row);
    const { assignment } = row;
    const isTaken = taking !== null && place < taking.countMax;
    outcomes.push({
      kind: 'recorded',
      vm,
      assignment,
      ...(isTaken
        ? { work: workItemOf({ ...row, host_id: item.booking.hostId }, vm, taking.lease, 0) }
        : {}),
    });
  }
  return { kind: 'done', outcomes };
}

/** Who asked for them, by id of the VM, as the audit log's triggers read it (see actor.ts). */
function actorsOf(items: readonly RecordItem[]): Readonly<Record<string, unknown>> {
  const action: AuditAction = 'vm.create';
  return Object.fromEntries(
    items.flatMap(({ by, spec }) => {
      if (by === null) return [];
      const { kind, id, name, requestId } = by;
      return [[spec.id, { kind, id, name, requestId, action }]];
    }),
  );
}

/** The VM as its new row shows it. */
const vmOf = (
  { spec, booking, attempt, strategy }: RecordItem,
  row: { readonly host_name: string; readonly assignment: number; readonly created_at: Date },
): Vm => ({
  id: spec.id,
  name: spec.name,
  path: spec.path,
  resources: booking.resources,
  image: spec.image,
  users: spec.users,
  constraints: spec.constraints,
  desiredState: 'running',
  state: 'placed',
  host: { id: booking.hostId, name: row.host_name },
  allocation: { bookingId: booking.bookingId, assignment: row.assignment },
  reason: null,
  attempts: [attempt],
  hasRun: false,
  onHostLoss: spec.onHostLoss,
  violations: [],
  strategy,
  waitUntil: null,
  movingTo: null,
  createdAt: row.created_at,
  updatedAt: row.created_at,
});
