/**
 * What hosts report of their VMs, taken over into what is seen of them. A VM that is leased is being
 * worked on right now: the lifecycle knows it better than a report that may be older.
 */
import { sql, type RawBuilder } from 'kysely';
import type { AgentVm } from '../model/agent-report.js';
import type { Catalogue } from '../model/ports.js';
import type { ReportNumber } from '../model/report-order.js';
import { ASSIGNMENT_BELIEVED_MAX, STRIKES, type ReportReading } from '../model/stores/orphans.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';
import { jsonOf } from './json.js';

/**
 * @param graceMs how old a report that came unasked may be: what a VM has become since then says
 *   nothing
 */
export const reportsOf = (
  db: Database,
  graceMs: number,
): Pick<Catalogue, 'reportVms' | 'loseVms'> => ({
  reportVms: (hostId, report, vms, reading = PLAIN_READING) =>
    answered(() => takeOver(db, { hostId, report, vms, reading, graceMs })),

  loseVms: (hostId) =>
    answered(async () => {
      const { rows } = await sql`
        with down as materialized (
          -- It may have answered somebody else meanwhile.
          select id from hosts where id = ${hostId} and state = 'down' for share
        ), lost as (
          select id from vms
          where host_id = (select id from down) and state not in ('unknown', 'failed', 'deleted')
            and not is_held(null)
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

const PLAIN_READING: ReportReading = { onMissing: 'mark', askedAt: null };

interface Heard {
  readonly hostId: string;
  readonly report: ReportNumber;
  readonly vms: readonly AgentVm[];
  readonly reading: ReportReading;
  readonly graceMs: number;
}

/** Up to when what is recorded was there before the report was made. */
export const heardOf = (askedAt: Date | null, graceMs: number): RawBuilder<Date> =>
  sql`coalesce(${askedAt}::timestamptz,
               clock_timestamp() - ${graceMs}::double precision * interval '1 millisecond')`;

/** What is said of each free VM of the host, and how often in a row it spoke against the records. */
function judgedBy({ hostId, report, vms, reading, graceMs }: Heard): RawBuilder<unknown> {
  const said = vms.map(({ id, assignment, state, reason }) => ({ id, assignment, state, reason }));
  return sql`
    said as (
      select * from jsonb_to_recordset(${jsonOf(said)}::jsonb)
        as r(id text, assignment bigint, state text, reason jsonb)
    ), newest as materialized (
      -- Locked, so that a newer report waits with its VMs until these are written.
      select id from hosts
      where id = ${hostId} and boot_id = ${report.bootId} and report = ${report.report} for share
    ), free as (
      select vms.* from vms
      where vms.host_id = (select id from newest) and vms.state not in ('failed', 'deleted')
        and vms.moving_to is null
        and (vms.lease_until is null or vms.lease_until < clock_timestamp())
      order by vms.id for no key update
    ), seen as (
      select free.*, said.id is not null as is_named, said.assignment as said_assignment,
        case when said.assignment = a.assignment then said.state end as said_state,
        said.reason as said_reason,
        said.id is null and has_run and desired_state <> 'deleted'
          and free.state not in ('placed', 'creating')
          and updated_at <= ${heardOf(reading.askedAt, graceMs)}
          and not (select is_open from fleet_watch) as is_absent,
        coalesce(said.assignment > a.assignment
          and said.assignment <= ${ASSIGNMENT_BELIEVED_MAX}, false) as is_behind,
        coalesce(said.assignment < a.assignment, false) and free.state = 'unknown' and has_run
          and updated_at <= ${heardOf(reading.askedAt, graceMs)} as is_untold
      from free
      left join allocations a on a.vm_id = free.id
      left join said on said.id = free.id
    ), judged as (
      select *,
        case when is_named then 0 when is_absent then least(missing_strikes + 1, ${STRIKES})
          else missing_strikes end as strikes,
        is_absent and missing_strikes + 1 >= ${STRIKES} as is_lost,
        case when is_behind then outdated_strikes + 1 else 0 end as outdated,
        is_behind and outdated_strikes + 1 >= ${STRIKES} as is_outdated
      from seen
    )`;
}

/**
 * One statement a host. `judged` holds every free VM of the host beside what is said of it, `news`
 * what that means:
 *
 *   said                       | means
 *   failed, on its way         | nothing yet: the lifecycle asks the agent itself
 *   failed, has run            | stopped, with the reason: it keeps its disk and its booking
 *   any other state            | that state
 *   nothing, has run           | a strike, unless it has changed since the report was asked for; at
 *                              | the second in a row `unknown`, or made anew (onMissing)
 *   nothing, has never run     | nothing: asking for it again is safe
 *   a newer assignment         | a strike; at the second it gets one above that, and is asked for
 *                              | again: until then its agent refuses every order
 *   an older one, `unknown`    | placed: the order with its own never came there, and its host has
 *                              | nothing to say of that; it is asked for again
 *
 * A VM that moves is left to its move. Due is whatever the lifecycle could move now that the host is
 * known to answer: the conditions are those of model/vm-lifecycle.ts (a test compares them).
 */
async function takeOver(db: Database, heard: Heard): Promise<number> {
  const { onMissing } = heard.reading;
  const { rows } = await sql<{ changed: boolean }>`
    with ${judgedBy(heard)}, news as (
      select id, state as old_state, reason as old_reason, has_run as had_run, due_at as old_due_at,
        desired_state,
        said_assignment, strikes, outdated, is_outdated, is_lost, is_untold,
        is_outdated or (is_lost and ${onMissing} = 'recreate') as is_renewed,
        case
          when is_outdated then true
          when is_lost and ${onMissing} = 'recreate' then false
          else has_run or coalesce(said_state = 'running', false)
        end as has_run,
        case
          when desired_state = 'deleted' then state
          when is_outdated or (is_lost and ${onMissing} = 'recreate') then 'placed'
          when is_lost then 'unknown'
          when is_untold then 'placed'
          when said_state = 'failed' and has_run and state in ('running', 'unknown') then 'stopped'
          when said_state = 'failed' then state
          else coalesce(said_state, state)
        end as state,
        case
          when desired_state = 'deleted' then reason
          when is_outdated then ${OUTDATED}::jsonb
          when is_lost and ${onMissing} = 'recreate' then ${RECREATED}::jsonb
          when is_lost then ${MISSING}::jsonb
          when is_untold then ${UNTOLD}::jsonb
          when said_state = 'failed' and has_run and state in ('running', 'unknown')
            then said_reason
          when said_state <> 'failed' and said_state <> state then said_reason
          else reason
        end as reason
      from judged
    ), steps as (
      select *,
        desired_state = 'deleted'
          or (state not in (desired_state, 'deleting') and (state <> 'unknown' or not has_run))
          as may_move
      from news
    ), changes as (
      select *,
        state <> old_state or has_run <> had_run or reason is distinct from old_reason or is_renewed
          or (may_move and (old_due_at is null or old_due_at > clock_timestamp())) as is_change
      from steps
    ), renewed as (
      update allocations set
        assignment = next_assignment_above(coalesce(changes.said_assignment, 0))
      from changes where allocations.vm_id = changes.id and changes.is_renewed
    )
    update vms set
      state = changes.state, reason = changes.reason, has_run = changes.has_run,
      missing_strikes = case when changes.is_renewed then 0 else changes.strikes end,
      missing_since = case when changes.strikes > 0 and not changes.is_renewed
        then coalesce(vms.missing_since, clock_timestamp()) end,
      outdated_strikes = case when changes.is_renewed then 0 else changes.outdated end,
      tries = case when changes.is_renewed then 0 else vms.tries end,
      due_at = case when changes.may_move then least(changes.old_due_at, clock_timestamp()) end,
      updated_at = case
        when changes.state = changes.old_state and changes.reason is not distinct from changes.old_reason
        then vms.updated_at else clock_timestamp() end
    from changes
    where vms.id = changes.id and (changes.is_change
      or changes.strikes <> vms.missing_strikes or changes.outdated <> vms.outdated_strikes)
    returning changes.is_change as changed`.execute(db);
  return rows.filter(({ changed }) => changed).length;
}

const MISSING = jsonOf({ code: 'missing_on_host', detail: 'Its host does not report it.' });
const RECREATED = jsonOf({
  code: 'missing_on_host',
  detail: 'Its host had it no more; it is made anew there.',
});
const OUTDATED = jsonOf({
  code: 'stale_assignment',
  detail: 'Its host knows a newer assignment of it; it is given one above that.',
});
const UNTOLD = jsonOf({
  code: 'stale_assignment',
  detail: 'Its host knows an older assignment of it only; it is asked for under its own.',
});
