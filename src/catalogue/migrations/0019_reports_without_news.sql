-- Which of many reports say anything that take_over_report (0018) or noteStrangers (orphans.ts) would
-- write down: nearly all say what is known. Reads without a lock, so that nobody waits for it; what it
-- lets through is what both would have left alone at the moment of its snapshot. It may name a report
-- that turns out to change nothing, and must not miss one that does: a test compares them.
-- reporters, boots, numbers, heard: one per report. heard: when it was asked for; null: it came unasked
-- sayers, ids, assigned, states: one per VM. sayers: place of its report, from 1
-- The sets are joined by hashes, for their sizes are those of the arrays, and read by indexes alone.
create function reports_with_news(
  reporters text[], boots text[], numbers bigint[], heard timestamptz[], grace_ms double precision,
  sayers integer[], ids text[], assigned bigint[], states text[])
returns setof text
language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_nestloop = off
set enable_mergejoin = off set jit = off
set plan_cache_mode = force_generic_plan
as $$
begin
  return query
    with newest as (
      select hosts.id,
        coalesce(one.heard_at, clock_timestamp() - grace_ms * interval '1 millisecond') as heard_at
      from unnest(reporters, boots, numbers, heard) as one(id, boot_id, report, heard_at)
      join hosts on hosts.id = one.id and hosts.boot_id = one.boot_id and hosts.report = one.report
      where hosts.id = any (reporters)
    ), recorded as (
      select vms.id, vms.host_id, vms.state, vms.desired_state, vms.has_run, vms.updated_at,
        vms.missing_strikes, vms.outdated_strikes,
        vms.moving_to is null
          and (vms.lease_until is null or vms.lease_until < clock_timestamp()) as is_free,
        (vms.due_at is null or vms.due_at > clock_timestamp())
          and (vms.desired_state = 'deleted'
            or (vms.state not in (vms.desired_state, 'deleting')
                and (vms.state <> 'unknown' or not vms.has_run))) as is_made_due
      from vms where vms.host_id = any (reporters)
    ), booked as (
      select a.vm_id, a.assignment
      from allocations a where a.host_id = any (reporters) and a.vm_id is not null
    ), said as (
      select reporters[place] as host_id, one.id, one.assignment, one.state
      from unnest(sayers, ids, assigned, states) as one(place, id, assignment, state)
    ), compared as (
      select coalesce(r.host_id, said.host_id) as host_id, r.id is null as is_stranger,
        said.id is null as is_unnamed, r.is_free, r.is_made_due, r.updated_at,
        r.has_run and r.desired_state <> 'deleted' and r.state not in ('placed', 'creating')
          as may_be_missed,
        r.missing_strikes, r.outdated_strikes,
        coalesce(said.assignment = booked.assignment, false)
          and (r.has_run or said.state <> 'running')
          and case
            when r.desired_state = 'deleted' then true
            when said.state = 'failed' then not r.has_run or r.state not in ('running', 'unknown')
            else said.state = r.state
          end as is_known
      from recorded r
      left join booked on booked.vm_id = r.id
      full join said on said.id = r.id and said.host_id = r.host_id
    )
    select newest.id
    from compared join newest on newest.id = compared.host_id
    where is_stranger or (is_free and (
      is_made_due or outdated_strikes <> 0
      or case
        when is_unnamed then may_be_missed and updated_at <= heard_at
          and not (select is_open from fleet_watch)
        else missing_strikes <> 0 or not is_known
      end))
    union
    select newest.id
    from orphans join newest on newest.id = orphans.host_id
    where orphans.host_id = any (reporters);
end
$$;
