/** The lifecycle's work: which VMs are due, who has them, and what was found. */
import { sql } from 'kysely';
import type { Catalogue, WorkItem } from '../model/ports.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';
import { vmOf, type VmRow } from './rows.js';
import { selectVms } from './vms.js';

type Work = Pick<Catalogue, 'takeWork' | 'saveProgress' | 'releaseVm'>;

export const workOf = (db: Database): Work => ({
  takeWork: (owner, limit, leaseMs) => answered(() => takeWork(db, owner, limit, leaseMs)),

  saveProgress: (owner, vmId, progress) =>
    answered(async () => {
      const { state, reason, hasRun, desiredState, nextInMs, failedTry } = progress;
      // What was wanted may have changed while the step was under way: then look again at once.
      const { rows } = await sql`
        update vms set
          state = ${state},
          reason = ${reason === null ? null : JSON.stringify(reason)},
          has_run = has_run or ${hasRun === true},
          tries = case when ${failedTry === true} then tries + 1 else 0 end,
          desired_state = case when desired_state = leased_for
            then coalesce(${desiredState ?? null}, desired_state) else desired_state end,
          due_at = case when desired_state is distinct from leased_for then clock_timestamp()
            else clock_timestamp() + ${nextInMs}::double precision * interval '1 millisecond' end,
          lease_owner = null, lease_until = null, leased_for = null,
          updated_at = case when state = ${state} then updated_at else clock_timestamp() end
        where id = ${vmId} and lease_owner = ${owner}
        returning id`.execute(db);
      if (rows.length === 0) return null;
      const [row] = await selectVms(db, sql`vms.id = ${vmId}`);
      return row === undefined ? null : vmOf(row);
    }),

  releaseVm: (owner, vmId, { state, reason, attempt }) =>
    answered(() =>
      db.transaction().execute(async (tx) => {
        const { rows } = await sql`
          select id from vms where id = ${vmId} and lease_owner = ${owner} for update`.execute(tx);
        if (rows.length === 0) return null;
        await sql`
          with gone as (
            delete from allocations where vm_id = ${vmId} returning *
          ), given_back as (
            update hosts set allocated = amounts_add(allocated, gone.resources, -1)
            from gone where hosts.id = gone.host_id
          )
          insert into pending_releases (booking_id, vm_id, host_id)
          select booking_id, vm_id, host_id from gone`.execute(tx);
        await sql`
          update vms set
            state = ${state},
            reason = ${reason === null ? null : JSON.stringify(reason)},
            host_id = null,
            attempts = attempts || ${JSON.stringify(attempt === undefined ? [] : [attempt])}::jsonb,
            tries = 0,
            due_at = case when ${state} = 'placed' or desired_state is distinct from leased_for
              then clock_timestamp() end,
            deleted_at = case when ${state} = 'deleted' then clock_timestamp() end,
            lease_owner = null, lease_until = null, leased_for = null,
            updated_at = clock_timestamp()
          where id = ${vmId}`.execute(tx);
        const [row] = await selectVms(tx, sql`vms.id = ${vmId}`);
        return row === undefined ? null : vmOf(row);
      }),
    ),
});

async function takeWork(
  db: Database,
  owner: string,
  limit: number,
  leaseMs: number,
): Promise<readonly WorkItem[]> {
  const { rows } = await sql<
    VmRow & { address: string | null; credential: string | null; tries: number }
  >`
    with due as (
      select vms.id from vms left join hosts on hosts.id = vms.host_id
      where vms.due_at <= clock_timestamp()
        and (vms.lease_until is null or vms.lease_until < clock_timestamp())
        and (hosts.id is null or hosts.state <> 'down')
      order by vms.due_at limit ${limit}
      for update of vms skip locked
    ), taken as (
      update vms set
        lease_owner = ${owner},
        lease_until = clock_timestamp() + ${leaseMs} * interval '1 millisecond',
        leased_for = desired_state
      from due where vms.id = due.id
      returning vms.*
    )
    select taken.*, hosts.name as host_name, hosts.address, hosts.credential,
           a.booking_id, a.assignment
    from taken
    left join hosts on hosts.id = taken.host_id
    left join allocations a on a.vm_id = taken.id`.execute(db);
  return rows.map((row) => ({
    vm: vmOf(row),
    contact:
      row.host_id === null || row.address === null || row.credential === null
        ? null
        : { hostId: row.host_id, address: row.address, credential: row.credential },
    tries: row.tries,
  }));
}
