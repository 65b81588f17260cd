/**
 * VMs that run on a host without a record there: noted from reports, counted off the host's room,
 * and listed. What people make of them is adoption.ts; what is recorded and missing, reports.ts.
 */
import { sql, type RawBuilder } from 'kysely';
import type { AgentVm } from '../model/agent-report.js';
import type { ReportNumber } from '../model/report-order.js';
import {
  ASSIGNMENT_BELIEVED_MAX,
  STRIKES,
  type MissingVm,
  type OrphanStore,
  type StrangersNoted,
} from '../model/stores/orphans.js';
import { withActor } from './actor.js';
import { adopt, dismiss } from './adoption.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';
import { jsonOf } from './json.js';
import { lockHost, selectOrphans, settleRoom } from './orphan-rows.js';
import { heardOf } from './reports.js';

/** @param graceMs as in reports.ts */
export const orphansOf = (db: Database, graceMs: number): OrphanStore => ({
  noteStrangers: (hostId, report, vms, askedAt) =>
    answered(async () => {
      const heard = heardOf(askedAt, graceMs);
      if (!(await mayConcern(db, hostId, vms))) return { host: null, leaving: [] };
      return db.transaction().execute((tx) => note(tx, hostId, report, vms, heard));
    }),

  orphans: () => answered(() => selectOrphans(db, sql`o.strikes >= ${STRIKES}`)),

  missingVms: () =>
    answered(async () => {
      const { rows } = await sql<MissingVm>`
        select jsonb_build_object('id', vms.id, 'name', vms.name) as vm,
               jsonb_build_object('id', hosts.id, 'name', hosts.name) as host,
               vms.missing_since as since, vms.missing_strikes as strikes
        from vms join hosts on hosts.id = vms.host_id
        where vms.missing_strikes >= ${STRIKES} and vms.missing_since is not null
          and vms.deleted_at is null
        order by vms.seq`.execute(db);
      return rows;
    }),

  adoptOrphan: (adoption, by) =>
    answered(() => withActor(db, by, 'orphan.adopt', (tx) => adopt(tx, adoption))),

  dismissOrphan: (hostId, vmId, by) =>
    answered(() => withActor(db, by, 'orphan.destroy', (tx) => dismiss(tx, hostId, vmId))),

  forgetOrphan: (hostId, vmId) =>
    answered(() =>
      db.transaction().execute(async (tx) => {
        await lockHost(tx, hostId);
        await sql`delete from orphans where host_id = ${hostId} and vm_id = ${vmId}`.execute(tx);
        return settleRoom(tx, hostId);
      }),
    ),

  renewAssignment: (lease, vmId, above) =>
    answered(async () => {
      const { rows } = await sql`
        with held as (
          select id from vms where id = ${vmId} and lease_owner = ${lease} for no key update
        ), renewed as (
          update allocations set assignment = next_assignment_above(${above}::bigint)
          from held where allocations.vm_id = held.id
            and ${above}::bigint between allocations.assignment + 1 and ${ASSIGNMENT_BELIEVED_MAX}
        )
        update vms set due_at = clock_timestamp(), tries = 0,
          lease_owner = null, lease_until = null, leased_for = null
        from held where vms.id = held.id
        returning vms.id`.execute(db);
      return rows.length > 0;
    }),
});

/** Most reports name nothing but what is recorded: these end here, without a lock. */
async function mayConcern(db: Database, hostId: string, vms: readonly AgentVm[]): Promise<boolean> {
  const { rows } = await sql`
    select 1 from orphans where host_id = ${hostId}
    union all
    select 1 from unnest(${vms.map(({ id }) => id)}::text[]) as said(id)
    where not exists (select from vms where vms.id = said.id and vms.host_id = ${hostId})
    limit 1`.execute(db);
  return rows.length > 0;
}

/**
 * A VM that was recorded on the host, or anywhere, and has changed since the report was asked for,
 * may just have been removed there: this report says nothing of it, either way.
 */
async function note(
  tx: Database,
  hostId: string,
  report: ReportNumber,
  vms: readonly AgentVm[],
  heard: RawBuilder<Date>,
): Promise<StrangersNoted> {
  const { rows: last } = await sql`
    select from hosts
    where id = ${hostId} and boot_id = ${report.bootId} and report = ${report.report}
    for no key update`.execute(tx);
  // Overtaken by a newer one.
  if (last.length === 0) return { host: null, leaving: [] };
  const said = vms.map(({ id, assignment, state, resources }) => ({
    id,
    assignment,
    state,
    resources,
  }));
  const { rows } = await sql<{ id: string; isUnsure: boolean }>`
    with said as (
      select * from jsonb_to_recordset(${jsonOf(said)}::jsonb)
        as r(id text, assignment bigint, state text, resources jsonb)
    ), strangers as (
      select said.*, coalesce(vms.updated_at > ${heard}, false) as is_unsure
      from said left join vms on vms.id = said.id
      where vms.host_id is distinct from ${hostId}
        -- Its host is told by the fence to have it no more.
        and not exists (select from fenced_vms f where f.host_id = ${hostId}
          and f.vm_id = said.id and f.assignment >= said.assignment)
    ), gone as (
      delete from orphans where host_id = ${hostId} and vm_id not in (select id from strangers)
    ), noted as (
      insert into orphans (host_id, vm_id, assignment, state, resources)
      select ${hostId}, id, assignment, state, resources from strangers where not is_unsure
      on conflict (host_id, vm_id) do update set
        strikes = least(orphans.strikes + 1, ${STRIKES}), last_seen_at = clock_timestamp(),
        assignment = excluded.assignment, state = excluded.state, resources = excluded.resources
    )
    select id, is_unsure as "isUnsure" from strangers`.execute(tx);
  const { rows: leaving } = await sql<{ vmId: string; assignment: number }>`
    select vm_id as "vmId", assignment from orphans
    where host_id = ${hostId} and leaving order by vm_id`.execute(tx);
  const unsure = new Set(rows.filter(({ isUnsure }) => isUnsure).map(({ id }) => id));
  return {
    host: await settleRoom(tx, hostId),
    leaving: leaving.filter(({ vmId }) => !unsure.has(vmId)),
  };
}
