/** What ledger and catalogue must agree on: epoch, high-water mark, and what is not yet settled. */
import { sql } from 'kysely';
import type { Agreement, Catalogue, LedgerBooking } from '../model/ports.js';
import type { Allocation } from '../model/vm.js';
import { ALLOCATION_COLUMNS, allocationOf, type AllocationRow } from './changes.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';
import { selectHosts } from './hosts.js';

type AgreementPart = Pick<
  Catalogue,
  | 'epoch'
  | 'nextEpoch'
  | 'agree'
  | 'snapshot'
  | 'recordedBookings'
  | 'pendingReleases'
  | 'settleReleases'
>;

const first = <Row>(rows: readonly Row[]): Row => {
  const [row] = rows;
  if (row === undefined) throw new Error('the database has no meta row');
  return row;
};

export async function agreementIn(db: Database): Promise<Agreement> {
  const { rows } = await sql<Agreement>`
    select epoch, incarnation, high_water as "highWater" from meta`.execute(db);
  return first(rows);
}

/** Those of VMs and of reservations. */
export async function allocationsIn(db: Database): Promise<readonly Allocation[]> {
  const { rows } = await sql<AllocationRow>`
    select ${ALLOCATION_COLUMNS} from allocations`.execute(db);
  return rows.map(allocationOf);
}

export const agreementOf = (db: Database): AgreementPart => ({
  epoch: () => answered(() => agreementIn(db)),

  nextEpoch: (above) =>
    answered(async () => {
      const { rows } = await sql<{ epoch: number }>`
        update meta set epoch = greatest(epoch, ${above}) + 1, incarnation = null
        returning epoch`.execute(db);
      return first(rows).epoch;
    }),

  agree: (epoch, incarnation) =>
    answered(async () => {
      const { rows } = await sql`
        update meta set incarnation = ${incarnation} where epoch = ${epoch}
        returning epoch`.execute(db);
      return rows.length > 0;
    }),

  snapshot: () =>
    answered(() =>
      db
        .transaction()
        .setIsolationLevel('repeatable read')
        .execute(async (tx) => {
          const hosts = await selectHosts(tx, sql`hosts.mode <> 'retired'`);
          return { hosts, allocations: await allocationsIn(tx) };
        }),
    ),

  recordedBookings: (bookingIds) =>
    answered(async () => {
      const { rows } = await sql<{ booking_id: string; assignment: number }>`
        select booking_id, assignment from allocations
        where booking_id = any(${bookingIds})`.execute(db);
      return new Map(rows.map((row) => [row.booking_id, row.assignment]));
    }),

  pendingReleases: (olderThanMs, limit) =>
    answered(async () => {
      const { rows } = await sql<LedgerBooking>`
        select booking_id as "bookingId", vm_id as "vmId", host_id as "hostId"
        from pending_releases
        where created_at <= clock_timestamp() - ${olderThanMs} * interval '1 millisecond'
        order by created_at limit ${limit}`.execute(db);
      return rows;
    }),

  settleReleases: (bookingIds) =>
    answered(async () => {
      await sql`delete from pending_releases where booking_id = any(${bookingIds})`.execute(db);
    }),
});
