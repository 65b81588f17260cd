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
  if (select count(distinct id) from unnest(ids) as i(id)) < cardinality(ids)
    or exists (select from vms where id = any (ids))
    or exists (select from orphans where vm_id = any (ids))
    or exists (select from allocations where booking_id = any (booking_ids))
  then
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
