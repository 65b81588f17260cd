/** What hosts report of their VMs, taken over into what is seen of them. */
import { sql } from 'kysely';
import type { AgentVm } from '../model/agent-report.js';
import type { Catalogue } from '../model/ports.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';

/**
 * States that a report may set. Others are on their way and belong to the lifecycle; a VM that is
 * leased is being worked on right now.
 */
export const reportsOf = (db: Database): Pick<Catalogue, 'reportVms' | 'loseVms'> => ({
  reportVms: (hostId, vms) =>
    answered(async () => (await takeOver(db, hostId, vms)) + (await missAbsent(db, hostId, vms))),

  loseVms: (hostId) =>
    answered(async () => {
      const { numAffectedRows } = await sql`
        update vms set
          state = 'unknown', updated_at = clock_timestamp(),
          reason = '{"code": "host_down", "detail": "Its host does not answer."}'
        where host_id = ${hostId} and state not in ('unknown', 'failed', 'deleted')`.execute(db);
      return Number(numAffectedRows ?? 0n);
    }),
});

/** A VM that has run and is reported failed is stopped: it keeps its disk and its booking. */
async function takeOver(db: Database, hostId: string, vms: readonly AgentVm[]): Promise<number> {
  const { numAffectedRows } = await sql`
    with said as (
      select * from jsonb_to_recordset(${JSON.stringify(vms)}::jsonb)
        as r(id text, assignment bigint, state text, reason jsonb)
    ), news as (
      select vms.id, said.reason,
        case when said.state <> 'failed' then said.state
             when vms.has_run then 'stopped' else 'creating' end as state,
        case when said.state = 'failed' and vms.has_run then 'stopped'
             else vms.desired_state end as desired_state
      from said
      join vms on vms.id = said.id and vms.host_id = ${hostId}
      join allocations a on a.vm_id = vms.id and a.assignment = said.assignment
      where vms.desired_state <> 'deleted'
        and (vms.lease_until is null or vms.lease_until < clock_timestamp())
    )
    update vms set
      state = news.state, desired_state = news.desired_state, reason = nullif(news.reason, 'null'),
      has_run = has_run or news.state = 'running',
      due_at = case when news.state <> news.desired_state then clock_timestamp() end,
      updated_at = clock_timestamp()
    from news where vms.id = news.id
      and (vms.state <> news.state or vms.desired_state <> news.desired_state)`.execute(db);
  return Number(numAffectedRows ?? 0n);
}

/** What is recorded here and was not reported: unknown if it has run, due again if it never has. */
async function missAbsent(db: Database, hostId: string, vms: readonly AgentVm[]): Promise<number> {
  const ids = vms.map(({ id }) => id);
  const { numAffectedRows } = await sql`
    update vms set
      state = case when has_run and desired_state <> 'deleted' then 'unknown' else state end,
      reason = case when has_run and desired_state <> 'deleted'
        then '{"code": "missing_on_host", "detail": "Its host does not report it."}'::jsonb
        else reason end,
      due_at = case when has_run and desired_state <> 'deleted' then null
        else clock_timestamp() end,
      updated_at = clock_timestamp()
    where host_id = ${hostId} and not (id = any(${ids}))
      and (lease_until is null or lease_until < clock_timestamp())
      and (desired_state = 'deleted' or not has_run
           or coalesce(reason ->> 'code', '') <> 'missing_on_host')`.execute(db);
  return Number(numAffectedRows ?? 0n);
}
