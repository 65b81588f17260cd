/**
 * Repairs of the catalogue that are safe at any moment: each takes the locks that other writers
 * take, looks again under them, and leaves alone what is not wrong (any more).
 */
import { sql } from 'kysely';
import type { Actor } from '../model/actor.js';
import type { LedgerBooking } from '../model/ports.js';
import type { VerifyStore } from '../model/stores/verify.js';
import { withActor } from './actor.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';

/** Parts in groups that are not noted as the allocation says: missing, left over, or otherwise. */
export const GROUP_FAULTS = sql`
  select key, booking_id, w.host_id as host, w.policy, m.host_id as noted_host,
         m.policy as noted_policy
  from (
    select g.key, a.booking_id, a.host_id, g.policy
    from allocations a, jsonb_to_recordset(a.groups) as g(key text, policy text)
  ) w full join group_members m using (key, booking_id)
  where w.host_id is distinct from m.host_id or w.policy is distinct from m.policy`;

type Repairs = Omit<VerifyStore, 'inspectBooks'>;

export function repairsOf(db: Database): Repairs {
  const asRepair = <T>(by: Actor, run: (tx: Database) => Promise<T>): Promise<T> =>
    answered(() => withActor(db, by, 'books.repair', run));
  return {
    recountHosts: (hostIds, by) => asRepair(by, (tx) => recount(tx, hostIds)),
    endLeftovers: (ids, by) => asRepair(by, (tx) => endLeftovers(tx, ids)),
    regroup: (ids, by) => asRepair(by, (tx) => regroup(tx, ids)),
    renumber: (by) => asRepair(by, renumber),
  };
}

/** Nothing is booked on these hosts, nor given back, until the transaction ends. */
const lockHosts = (tx: Database, hostIds: readonly string[]) =>
  sql`select from hosts where id = any(${hostIds}) order by id for no key update`.execute(tx);

async function recount(tx: Database, hostIds: readonly string[]): Promise<void> {
  await lockHosts(tx, hostIds);
  // A statement of its own: only what begins under the locks sees all that was booked before.
  await sql`
    with sums as (
      select host_id, jsonb_object_agg(class, total) as allocated
      from (
        select a.host_id, e.key as class, sum(e.value::bigint) as total
        from allocations a, jsonb_each_text(a.resources) e
        where a.host_id = any(${hostIds})
        group by 1, 2 having sum(e.value::bigint) <> 0
      ) by_class group by host_id
    ), wrong as (
      select hosts.id, hosts.allocated as before, coalesce(sums.allocated, '{}') as after
      from hosts left join sums on sums.host_id = hosts.id
      where hosts.id = any(${hostIds}) and hosts.allocated <> coalesce(sums.allocated, '{}')
    ), counted as (
      update hosts set allocated = wrong.after from wrong where hosts.id = wrong.id
      returning wrong.id, wrong.before, wrong.after
    )
    select note_change('host', id, null, jsonb_build_object('allocated', before),
                       jsonb_build_object('allocated', after))
    from counted`.execute(tx);
}

async function endLeftovers(
  tx: Database,
  ids: readonly string[],
): Promise<readonly LedgerBooking[]> {
  const { rows: on } = await sql<{ host_id: string }>`
    select distinct host_id from allocations where vm_id = any(${ids})`.execute(tx);
  await lockHosts(
    tx,
    on.map((row) => row.host_id),
  );
  await sql`
    select from vms where id = any(${ids}) order by id for no key update`.execute(tx);
  const { rows } = await sql<LedgerBooking>`
    with gone as (
      delete from allocations a using vms
      where a.vm_id = vms.id and vms.id = any(${ids})
        and vms.state in ('waiting', 'failed', 'deleted')
      returning a.booking_id, a.vm_id, a.host_id, a.resources
    ), pending as (
      insert into pending_releases (booking_id, vm_id, host_id)
      select booking_id, vm_id, host_id from gone
    ), noted as (
      select note_change('vm', vm_id, null, jsonb_build_object(
        'booking', booking_id, 'host', host_id, 'resources', resources), null)
      from gone
    )
    select booking_id as "bookingId", vm_id as "vmId", host_id as "hostId"
    from gone, (select count(*) from noted) told`.execute(tx);
  // The sums of their hosts, from what is left: right whatever they were before.
  await recount(tx, [...new Set(rows.map(({ hostId }) => hostId))]);
  await sql`
    delete from reservations r where id = any(${ids})
      and not exists (select from allocations a where a.reservation_id = r.id)`.execute(tx);
  return rows;
}

async function regroup(tx: Database, ids: readonly string[]): Promise<void> {
  // Recorders come one by one through this row: no hard rule is judged meanwhile.
  await sql`select from meta for update`.execute(tx);
  const { rows } = await sql<{ booking_id: string; holder: string }>`
    with held as (
      select * from allocations
      where vm_id = any(${ids}) or reservation_id = any(${ids})
    ), gone as (
      delete from group_members where booking_id in (select booking_id from held)
    )
    select booking_id, coalesce(vm_id, reservation_id) as holder from held`.execute(tx);
  await sql`
    insert into group_members (key, booking_id, host_id, policy)
    select g.key, a.booking_id, a.host_id, g.policy
    from allocations a, jsonb_to_recordset(a.groups) as g(key text, policy text)
    where a.booking_id = any(${rows.map((row) => row.booking_id)})`.execute(tx);
  await sql`
    select note_change('group', id, null, null, null)
    from unnest(${rows.map(({ holder }) => holder)}::text[]) as noted(id)`.execute(tx);
}

async function renumber(tx: Database): Promise<void> {
  await sql`
    select note_change('sequence', 'assignments', null, null, jsonb_build_object('next',
      next_assignment_above((select coalesce(max(assignment), 0) from allocations))))`.execute(tx);
}
