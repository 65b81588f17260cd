/**
 * What a rebuild reads beside live traffic: all bookings page by page, each page as of its own
 * instant, and then what has changed since an instant before the first.
 *
 * An instant is the id of the oldest transaction that was under way then. Whatever was not yet to be
 * seen has been written under that id or a later one; so has some of what was, which does no harm.
 * Rows carry the id of the transaction that wrote them last (`xmin`), counted modulo 2^32: ages are
 * compared. Bookings that have ended are noted by a trigger (migration 0017).
 */
import { sql } from 'kysely';
import type { Host } from '../model/host.js';
import type { Catalogue, LedgerBooking } from '../model/ports.js';
import type { Resources } from '../model/resources.js';
import type { Allocation } from '../model/vm.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';
import { selectHosts } from './hosts.js';

type ChangesPart = Pick<
  Catalogue,
  'mark' | 'bookings' | 'changesSince' | 'changedHosts' | 'bookedSums' | 'purgeEnded'
>;

export interface AllocationRow {
  readonly booking_id: string;
  readonly vm_id: string;
  readonly host_id: string;
  readonly assignment: number;
  readonly path: string;
  readonly resources: Allocation['resources'];
  readonly groups: Allocation['groups'];
}

export const ALLOCATION_COLUMNS = sql`
  booking_id, coalesce(vm_id, reservation_id) as vm_id, host_id, assignment, path, resources, groups`;

export const allocationOf = (row: AllocationRow): Allocation => ({
  bookingId: row.booking_id,
  vmId: row.vm_id,
  hostId: row.host_id,
  assignment: row.assignment,
  path: row.path,
  resources: row.resources,
  groups: row.groups,
});

export const changesOf = (db: Database): ChangesPart => ({
  mark: () => answered(() => markIn(db)),

  bookings: ({ limit, cursor }) =>
    answered(async () => {
      const [hostId, bookingId] = cursor === null ? ['', ''] : placeOf(cursor);
      const { rows } = await sql<AllocationRow>`
        select ${ALLOCATION_COLUMNS} from allocations
        where (host_id, booking_id) > (${hostId}, ${bookingId})
        order by host_id, booking_id limit ${limit}`.execute(db);
      const last = rows.length < limit ? undefined : rows.at(-1);
      return {
        items: rows.map(allocationOf),
        nextCursor: last === undefined ? null : JSON.stringify([last.host_id, last.booking_id]),
      };
    }),

  changesSince: (mark, revisions) =>
    answered(() =>
      db
        .transaction()
        .setIsolationLevel('repeatable read')
        .execute(async (tx) => {
          const now = await markIn(tx);
          const { rows: changed } = await sql<AllocationRow>`
            select ${ALLOCATION_COLUMNS} from allocations
            where age(xmin) <= (select age(${mark}::xid8::xid))`.execute(tx);
          const { rows: gone } = await sql<LedgerBooking>`
            select booking_id as "bookingId", vm_id as "vmId", host_id as "hostId"
            from ended_bookings where ended_by >= ${mark}::xid8`.execute(tx);
          const hosts = await changedHosts(tx, revisions);
          return { mark: now, hosts, gone, allocations: changed.map(allocationOf) };
        }),
    ),

  changedHosts: (revisions, limit) => answered(() => changedHosts(db, revisions, limit)),

  bookedSums: () =>
    answered(async () => {
      const { rows } = await sql<{ id: string; allocated: Resources }>`
        select id, allocated from hosts where mode <> 'retired'`.execute(db);
      return new Map(rows.map(({ id, allocated }) => [id, allocated]));
    }),

  purgeEnded: (olderThanMs) =>
    answered(async () => {
      const { numAffectedRows } = await sql`
        delete from ended_bookings
        where ended_at < clock_timestamp() - ${olderThanMs} * interval '1 millisecond'`.execute(db);
      return Number(numAffectedRows ?? 0n);
    }),
});

const placeOf = (cursor: string): readonly [hostId: string, bookingId: string] =>
  JSON.parse(cursor) as [string, string];

async function markIn(db: Database): Promise<string> {
  const { rows } = await sql<{ mark: string }>`
    select pg_snapshot_xmin(pg_current_snapshot())::text as mark`.execute(db);
  const [row] = rows;
  if (row === undefined) throw new Error('the database does not say where it is');
  return row.mark;
}

/**
 * Hosts that are new or of another revision, and those that are known and have been retired since; the
 * first of them, in order of registration. Of the others only their revisions are read.
 */
async function changedHosts(
  tx: Database,
  revisions: ReadonlyMap<string, number>,
  limit = Infinity,
): Promise<readonly Host[]> {
  const { rows } = await sql<{ id: string; revision: number }>`
    select id, revision from hosts
    where mode <> 'retired' or id = any(${[...revisions.keys()]}) order by seq`.execute(tx);
  const changed = rows.filter(({ id, revision }) => revisions.get(id) !== revision).slice(0, limit);
  if (changed.length === 0) return [];
  return selectHosts(tx, sql`hosts.id = any(${changed.map(({ id }) => id)})`);
}
