/** Reservations: room held without a VM. `record_bookings` makes them; here they are read and end. */
import { sql, type RawBuilder } from 'kysely';
import type { Actor } from '../model/actor.js';
import type { LedgerBooking } from '../model/ports.js';
import type { Reservation } from '../model/reservation.js';
import type { ReservationStore } from '../model/stores/reservations.js';
import { withActor } from './actor.js';
import type { Database } from './connection.js';
import { cursorOf, positionOf } from './cursor.js';
import { answered } from './failures.js';

export const reservationsOf = (db: Database): ReservationStore => ({
  reservation: (id) =>
    answered(async () => {
      const [row] = await selectReservations(db, sql`r.id = ${id}`);
      return row === undefined ? null : reservationOf(row);
    }),

  reservations: ({ limit, cursor }) =>
    answered(async () => {
      const after = cursor === null ? 0 : positionOf(cursor);
      const rows = await selectReservations(
        db,
        sql`r.seq > ${after} and r.purpose = 'held'`,
        limit + 1,
      );
      const page = rows.slice(0, limit);
      return {
        items: page.map(reservationOf),
        nextCursor: rows.length > limit ? cursorOf(page.at(-1)?.seq ?? 0) : null,
      };
    }),

  endReservation: (id, by) => answered(() => endAs(db, id, by)),

  expiredReservations: (abandonedMs, limit) =>
    answered(async () => {
      const { rows } = await sql<{ id: string }>`
        select r.id from reservations r
        where r.until <= clock_timestamp()
          or (r.purpose = 'move'
            and r.created_at <= clock_timestamp() - ${abandonedMs} * interval '1 millisecond'
            -- A count, and not an "exists": that may be planned as a join that reads all VMs.
            and (select count(*) from vms where vms.moving_to = r.id) = 0)
        order by r.seq limit ${limit}`.execute(db);
      return rows.map(({ id }) => id);
    }),
});

export interface ReservationRow {
  readonly id: string;
  readonly seq: number;
  readonly name: string;
  readonly path: string;
  readonly purpose: Reservation['purpose'];
  readonly resources: Reservation['resources'];
  readonly constraints: Reservation['constraints'];
  readonly host_id: string;
  readonly host_name: string;
  readonly booking_id: string;
  /** Dates, or ISO texts where the row came as JSON. */
  readonly until: Date | string | null;
  readonly created_at: Date | string;
}

export const reservationOf = (row: ReservationRow): Reservation => ({
  id: row.id,
  name: row.name,
  path: row.path,
  purpose: row.purpose,
  resources: row.resources,
  constraints: row.constraints,
  host: { id: row.host_id, name: row.host_name },
  bookingId: row.booking_id,
  until: row.until === null ? null : new Date(row.until),
  createdAt: new Date(row.created_at),
});

async function selectReservations(
  db: Database,
  where: RawBuilder<unknown>,
  limit: number | null = null,
): Promise<readonly ReservationRow[]> {
  const { rows } = await sql<ReservationRow>`
    select r.*, hosts.name as host_name, a.booking_id
    from reservations r
    join hosts on hosts.id = r.host_id
    join allocations a on a.reservation_id = r.id
    where ${where} order by r.seq limit ${limit}`.execute(db);
  return rows;
}

function endAs(db: Database, id: string, by: Actor | null): Promise<LedgerBooking | null> {
  if (by === null) return db.transaction().execute((tx) => end(tx, id));
  return withActor(db, by, 'reservation.delete', (tx) => end(tx, id));
}

async function end(tx: Database, id: string): Promise<LedgerBooking | null> {
  // Hosts first, as record_bookings does: otherwise each could wait for the other.
  await sql`
    select from hosts where id = (select host_id from reservations where id = ${id})
    for no key update`.execute(tx);
  const { rows } = await sql<LedgerBooking>`
    with gone as (
      delete from allocations where reservation_id = ${id}
      returning booking_id, reservation_id, host_id, resources
    ), given_back as (
      update hosts set allocated = amounts_add(allocated, gone.resources, -1)
      from gone where hosts.id = gone.host_id
    ), pending as (
      insert into pending_releases (booking_id, vm_id, host_id)
      select booking_id, reservation_id, host_id from gone
    )
    select booking_id as "bookingId", reservation_id as "vmId", host_id as "hostId"
    from gone`.execute(tx);
  // After its allocation, which refers to it.
  await sql`delete from reservations where id = ${id}`.execute(tx);
  return rows[0] ?? null;
}
