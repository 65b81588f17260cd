-- The usual calls, with plans that a session keeps and without what the asker knows already. Every
-- plan goes by the indexes, for the reason that 0014 gives.

-- As record_plain (0014) does it, for a batch of nothing but plain creates: a column each instead of
-- JSON to be taken apart again and again, and for an answer only what the catalogue alone knows.
-- Answers nothing when something stands in the way of one of them: record_bookings says of which.
-- actors: {<VM id>: who asked for it}. The others: one per VM, in their order.
create function record_creates(
  expected_epoch bigint, batch_seq bigint,
  lease text, lease_ms double precision, lease_count integer, actors text,
  ids text[], names text[], paths text[], images text[], constraint_texts text[],
  request_hashes text[], losses text[], attempt_texts text[], strategies text[],
  booking_ids text[], host_ids text[], amount_texts text[])
returns table (
  outcome text, host_name text, assignment bigint, created_at timestamptz,
  address text, credential text, ip text, boot_id text, overrides jsonb)
language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  amounts jsonb[] := amount_texts::jsonb[];
  touched text[] := host_ids;
  asked jsonb[] := amounts;
  open_hosts text[];
  booked jsonb[];
  is_full boolean;
  assigned bigint[];
  made_at timestamptz;
begin
  -- Puts recorders in a row, as record_bookings does.
  update meta set high_water = greatest(high_water, batch_seq) where epoch = expected_epoch;
  if not found then
    outcome := 'stale_epoch';
    return next;
    return;
  end if;
  if (select count(distinct id) from unnest(host_ids) as i(id)) < cardinality(host_ids) then
    select array_agg(host_id), array_agg(sums) into touched, asked
      from (
        select host_id, coalesce(jsonb_object_agg(class, amount)
                                   filter (where class is not null), '{}') as sums
        from (
          select host_id, class, sum(amount::bigint) as amount
          from unnest(host_ids, amounts) as one(host_id, amounts)
          left join jsonb_each_text(one.amounts) as r(class, amount) on true
          group by 1, 2
        ) as by_class
        group by 1
      ) as by_host;
  end if;
  -- As room_refusal (0005) judges, and amounts_add (0002) adds.
  select array_agg(id), array_agg(after), bool_or(full_of) into open_hosts, booked, is_full
    from (
      select locked.id, sums.after, sums.full_of
      from (
        select id, limits, allocated, asked[array_position(touched, id)] as wanted
        from hosts where id = any (touched) and state = 'up' and mode = 'enabled'
        order by id for no key update
      ) as locked
      cross join lateral (
        select coalesce(jsonb_object_agg(class, present + more)
                          filter (where present + more <> 0), '{}') as after,
               coalesce(bool_or(present > most or (more > 0 and present + more > most)), false)
                 as full_of
        from (
          select class, coalesce((locked.limits ->> class)::bigint, 0) as most,
                 coalesce((locked.allocated ->> class)::bigint, 0) as present,
                 coalesce((locked.wanted ->> class)::bigint, 0) as more
          from jsonb_object_keys(locked.allocated || locked.wanted) as c(class)
        ) as classes
      ) as sums
    ) as judged;
  if is_full is distinct from false or cardinality(open_hosts) < cardinality(touched) then
    return;
  end if;
  -- Behind the locks of the hosts: an orphan may have been noted while they were waited for.
  if (select count(distinct id) from unnest(ids) as i(id)) < cardinality(ids)
    or exists (select from vms where id = any (ids))
    or exists (select from orphans where vm_id = any (ids))
    or exists (select from allocations where booking_id = any (booking_ids))
  then
    return;
  end if;
  update hosts set allocated = one.after
    from unnest(open_hosts, booked) as one(id, after) where hosts.id = one.id;

  made_at := clock_timestamp();
  perform set_config('berth.actors', actors, true);
  insert into vms (id, name, path, resources, image, constraints, request_hash,
                   desired_state, state, host_id, attempts, strategy, due_at, on_host_loss,
                   lease_owner, lease_until, leased_for, created_at, updated_at)
  select one.id, one.name, one.path, one.amounts, one.image, one.constraints::jsonb,
         one.request_hash, 'running', 'placed', one.host_id, one.attempts::jsonb, one.strategy,
         made_at, one.loss,
         case when place <= lease_count then lease end,
         case when place <= lease_count then made_at + lease_ms * interval '1 millisecond' end,
         case when place <= lease_count then 'running' end, made_at, made_at
  from unnest(ids, names, paths, amounts, images, constraint_texts, request_hashes, host_ids,
              attempt_texts, strategies, losses)
    with ordinality as one(id, name, path, amounts, image, constraints, request_hash, host_id,
                           attempts, strategy, loss, place)
  order by place;
  perform set_config('berth.actors', '', true);
  with made as (
    insert into allocations (vm_id, assignment, booking_id, host_id, path, resources, created_at)
    select one.vm_id, nextval('assignments'), one.booking_id, one.host_id, one.path, one.amounts,
           made_at
    from unnest(ids, booking_ids, host_ids, paths, amounts)
      with ordinality as one(vm_id, booking_id, host_id, path, amounts, place)
    order by place
    returning allocations.assignment
  )
  -- Numbered in the order of the VMs.
  select array_agg(made.assignment order by made.assignment) into assigned from made;
  return query
    select 'recorded', hosts.name, assigned[place], made_at,
           case when place <= lease_count then hosts.address end, hosts.credential, hosts.ip,
           hosts.boot_id, hosts.overrides
    from unnest(host_ids) with ordinality as one(host_id, place)
    join hosts on hosts.id = one.host_id
    order by place;
end
$$;

-- What steps of VMs have found. What was wanted may have changed while a step was under way: then the
-- VM is looked at again at once. Answers the VMs whose lease still holds; the others are left alone.
-- found: [{id, lease, state, reason, has_run, failed_try, postponed, desired_state, next_in_ms}]
create function save_progress(found_texts json) returns setof text
language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
set plan_cache_mode = force_generic_plan
as $$
begin
  return query
    with found as materialized (
      select * from json_to_recordset(found_texts) as f(
        id text, lease text, state text, reason jsonb, has_run boolean, failed_try boolean,
        postponed boolean, desired_state text, next_in_ms double precision)
    ), held as materialized (
      select vms.id from vms join found on found.id = vms.id
      where vms.lease_owner = found.lease
      order by vms.id for no key update of vms
    )
    update vms set
      state = found.state,
      reason = found.reason,
      has_run = vms.has_run or found.has_run,
      tries = case when found.postponed then vms.tries when found.failed_try then vms.tries + 1
        else 0 end,
      desired_state = case when vms.desired_state = vms.leased_for
        then coalesce(found.desired_state, vms.desired_state) else vms.desired_state end,
      due_at = case when vms.desired_state is distinct from vms.leased_for then clock_timestamp()
        else clock_timestamp() + found.next_in_ms * interval '1 millisecond' end,
      lease_owner = null, lease_until = null, leased_for = null,
      updated_at = case when vms.state = found.state then vms.updated_at
        else clock_timestamp() end
    from found where vms.id = found.id and vms.lease_owner = found.lease
      and found.id in (select held.id from held)
    returning vms.id;
end
$$;

-- Both tables of it hold what the statement has changed, and nothing else.
alter function tell_of_changed_vms() set enable_hashjoin = on;

-- What a host says of its VMs, taken over into what is seen of them; see reports.ts. `judged` holds
-- every free VM of the host beside what is said of it, `news` what that means.
-- said: {<VM id>: {assignment, state, reason}}
-- heard_at: up to when what is recorded was there before the report was made
-- strikes_max: so many reports in a row must speak against the records
-- Answers for each VM that was written to whether more than a strike has changed.
create function take_over_report(
  reporter text, its_boot text, its_report bigint, said jsonb, heard_at timestamptz,
  recreates boolean, strikes_max integer, believed_max bigint,
  missing jsonb, recreated jsonb, outdated_reason jsonb, untold jsonb)
returns setof boolean
language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
  return query
    with newest as materialized (
      -- Locked, so that a newer report waits with its VMs until these are written.
      select id from hosts
      where id = reporter and boot_id = its_boot and report = its_report for share
    ), free as materialized (
      select vms.* from vms
      where vms.host_id = (select id from newest) and vms.state not in ('failed', 'deleted')
        and vms.moving_to is null
        and (vms.lease_until is null or vms.lease_until < clock_timestamp())
      order by vms.id for no key update
    ), named as (
      select free.*, said ? free.id as is_named,
        (said -> free.id ->> 'assignment')::bigint as said_assignment
      from free
    ), seen as (
      select free.*,
        case when said_assignment = a.assignment then said -> free.id ->> 'state' end as said_state,
        nullif(said -> free.id -> 'reason', 'null') as said_reason,
        not is_named and has_run and desired_state <> 'deleted'
          and free.state not in ('placed', 'creating')
          and updated_at <= heard_at
          and not (select is_open from fleet_watch) as is_absent,
        coalesce(said_assignment > a.assignment and said_assignment <= believed_max, false)
          as is_behind,
        coalesce(said_assignment < a.assignment, false) and free.state = 'unknown' and has_run
          and updated_at <= heard_at as is_untold
      from named as free
      left join allocations a on a.vm_id = free.id
    ), judged as (
      select *,
        case when is_named then 0 when is_absent then least(missing_strikes + 1, strikes_max)
          else missing_strikes end as strikes,
        is_absent and missing_strikes + 1 >= strikes_max as is_lost,
        case when is_behind then outdated_strikes + 1 else 0 end as outdated,
        is_behind and outdated_strikes + 1 >= strikes_max as is_outdated
      from seen
    ), news as (
      select id, state as old_state, reason as old_reason, has_run as had_run, due_at as old_due_at,
        desired_state,
        said_assignment, strikes, outdated, is_outdated, is_lost, is_untold,
        is_outdated or (is_lost and recreates) as is_renewed,
        case
          when is_outdated then true
          when is_lost and recreates then false
          else has_run or coalesce(said_state = 'running', false)
        end as has_run,
        case
          when desired_state = 'deleted' then state
          when is_outdated or (is_lost and recreates) then 'placed'
          when is_lost then 'unknown'
          when is_untold then 'placed'
          when said_state = 'failed' and has_run and state in ('running', 'unknown') then 'stopped'
          when said_state = 'failed' then state
          else coalesce(said_state, state)
        end as state,
        case
          when desired_state = 'deleted' then reason
          when is_outdated then outdated_reason
          when is_lost and recreates then recreated
          when is_lost then missing
          when is_untold then untold
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
    ), changes as materialized (
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
        when changes.state = changes.old_state
          and changes.reason is not distinct from changes.old_reason
        then vms.updated_at else clock_timestamp() end
    from changes
    where vms.id = changes.id and (changes.is_change
      or changes.strikes <> vms.missing_strikes or changes.outdated <> vms.outdated_strikes)
    returning changes.is_change;
end
$$;
