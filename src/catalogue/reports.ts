/**
 * What hosts report of their VMs, taken over into what is seen of them. A VM that is leased is being
 * worked on right now: the lifecycle knows it better than a report that may be older.
 */
import { sql } from 'kysely';
import type { AgentVm } from '../model/agent-report.js';
import type { Catalogue } from '../model/ports.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';
import { jsonOf } from './json.js';

/**
 * @param missingGraceMs how long a VM has been in its state before its absence from a report means
 *   something: a report that was asked for before it was created does not name it
 */
export const reportsOf = (
  db: Database,
  missingGraceMs: number,
): Pick<Catalogue, 'reportVms' | 'loseVms'> => ({
  reportVms: (hostId, vms) => answered(() => takeOver(db, hostId, vms, missingGraceMs)),

  loseVms: (hostId) =>
    answered(async () => {
      const { rows } = await sql`
        with lost as (
          select id from vms
          where host_id = ${hostId} and state not in ('unknown', 'failed', 'deleted')
          order by id for no key update
        )
        update vms set
          state = 'unknown', updated_at = clock_timestamp(),
          reason = '{"code": "host_down", "detail": "Its host does not answer."}'
        from lost where vms.id = lost.id
        returning vms.id`.execute(db);
      return rows.length;
    }),
});

/**
 * One statement a host. `seen` holds every free VM of the host beside what is said of it, `news` what
 * that means:
 *
 *   said                       | means
 *   failed, on its way         | nothing yet: the lifecycle asks the agent itself
 *   failed, has run            | stopped, with the reason: it keeps its disk and its booking
 *   any other state            | that state
 *   nothing, has run           | unknown, unless it is too new for the report
 *   nothing, has never run     | nothing: asking for it again is safe
 *
 * Due is whatever the lifecycle could move now that the host is known to answer: the conditions are
 * those of model/vm-lifecycle.ts (a test compares them).
 */
async function takeOver(
  db: Database,
  hostId: string,
  vms: readonly AgentVm[],
  missingGraceMs: number,
): Promise<number> {
  const said = vms.map(({ id, assignment, state, reason }) => ({ id, assignment, state, reason }));
  const { rows } = await sql`
    with said as (
      select * from jsonb_to_recordset(${jsonOf(said)}::jsonb)
        as r(id text, assignment bigint, state text, reason jsonb)
    ), free as (
      select vms.* from vms
      where vms.host_id = ${hostId} and vms.state not in ('failed', 'deleted')
        and (vms.lease_until is null or vms.lease_until < clock_timestamp())
      order by vms.id for no key update
    ), seen as (
      select free.*, said.state as said_state, said.reason as said_reason
      from free
      left join allocations a on a.vm_id = free.id
      left join said on said.id = free.id and said.assignment = a.assignment
    ), news as (
      select id, state as old_state, reason as old_reason, due_at as old_due_at, desired_state,
        has_run or coalesce(said_state = 'running', false) as has_run,
        case
          when desired_state = 'deleted' then state
          when said_state = 'failed' and has_run and state in ('running', 'unknown') then 'stopped'
          when said_state = 'failed' then state
          when said_state is not null then said_state
          when has_run and state not in ('placed', 'creating') and updated_at
            <= clock_timestamp() - ${missingGraceMs} * interval '1 millisecond' then 'unknown'
          else state
        end as state,
        case
          when desired_state = 'deleted' then reason
          when said_state = 'failed' and has_run and state in ('running', 'unknown')
            then said_reason
          when said_state <> 'failed' and said_state <> state then said_reason
          when said_state is null and has_run and state not in ('placed', 'creating') and updated_at
            <= clock_timestamp() - ${missingGraceMs} * interval '1 millisecond'
            then '{"code": "missing_on_host", "detail": "Its host does not report it."}'::jsonb
          else reason
        end as reason
      from seen
    ), steps as (
      select *,
        desired_state = 'deleted'
          or (state not in (desired_state, 'deleting') and (state <> 'unknown' or not has_run))
          as may_move
      from news
    )
    update vms set
      state = steps.state, reason = steps.reason, has_run = steps.has_run,
      due_at = case when steps.may_move then least(steps.old_due_at, clock_timestamp()) end,
      updated_at = case
        when steps.state = steps.old_state and steps.reason is not distinct from steps.old_reason
        then vms.updated_at else clock_timestamp() end
    from steps
    where vms.id = steps.id and (
      steps.state <> steps.old_state
      or steps.has_run <> vms.has_run
      or steps.reason is distinct from steps.old_reason
      or steps.may_move and (steps.old_due_at is null or steps.old_due_at > clock_timestamp()))
    returning vms.id`.execute(db);
  return rows.length;
}
