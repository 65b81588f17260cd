-- What is done for every VM of a batch, done for the whole batch: the functions are those of 0002,
-- 0010 and 0012, and say the same. A batch of 60 creates spends about half of the time in them.

-- As 0002 has it: whole numbers, none of them negative.
create or replace function amounts_are_counts(amounts jsonb) returns boolean
language sql immutable
return not jsonb_path_exists(
  amounts, '$.* ? (!(@.type() == "number" && @ >= 0 && @.floor() == @))');

drop function record_bookings(bigint, bigint, text[], jsonb);
drop function record_plain(jsonb);

-- As 0012 has it. What stands in the way is looked for once for all of them. Every plan goes by the
-- indexes, one row after the other: a plan that was made and kept while the tables were small would
-- read them whole when they have grown.
-- lease: under which the first so many VMs are taken from the start, as the lifecycle takes its work,
-- and for how long. What is taken is told with where its host's agent is.
create function record_plain(
  items jsonb, lease text, lease_ms double precision, lease_count integer)
returns setof record_result
language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_bitmapscan = off
as $$
declare
  ids text[];
  booking_ids text[];
  host_ids text[];
  amounts jsonb[];
  open_hosts integer;
  made_vms vms[];
  assigned bigint[];
begin
  select array_agg(item -> 'vm' ->> 'id'), array_agg(item -> 'booking' ->> 'bookingId')
    into ids, booking_ids
    from jsonb_array_elements(items) as i(item);
  if (select count(distinct id) from unnest(ids) as i(id)) < cardinality(ids)
    or exists (select from vms where id = any (ids))
    or exists (select from orphans where vm_id = any (ids))
    or exists (select from allocations where booking_id = any (booking_ids))
  then
    return;
  end if;
  select array_agg(host_id), array_agg(resources) into host_ids, amounts
    from booked_per_host(items);
  select count(*) into open_hosts
    from unnest(host_ids, amounts) as asked(host_id, resources)
    join hosts on hosts.id = asked.host_id
    where hosts.state = 'up' and hosts.mode = 'enabled'
      and room_refusal(hosts.limits, hosts.allocated, asked.resources) is null;
  if open_hosts is distinct from cardinality(host_ids) then
    return;
  end if;

  update hosts set allocated = amounts_add(allocated, asked.resources, 1)
    from unnest(host_ids, amounts) as asked(host_id, resources)
    where hosts.id = asked.host_id;
  perform set_config('berth.actors', (
    select coalesce(jsonb_object_agg(item -> 'vm' ->> 'id', item -> 'by'), '{}')
    from jsonb_array_elements(items) as i(item) where item ? 'by')::text, true);
  with made as (
    insert into vms (id, name, path, resources, image, constraints, request_hash,
                     desired_state, state, host_id, attempts, violations, strategy, due_at,
                     on_host_loss, lease_owner, lease_until, leased_for)
    select vm ->> 'id', vm ->> 'name', vm ->> 'path', booking -> 'resources',
           vm ->> 'image', vm -> 'constraints', vm ->> 'requestHash',
           'running', 'placed', booking ->> 'hostId', jsonb_build_array(item -> 'attempt'),
           coalesce(item -> 'violations', '[]'), item ->> 'strategy', clock_timestamp(),
           coalesce(vm ->> 'onHostLoss', 'keep'),
           case when place <= lease_count then lease end,
           case when place <= lease_count
             then clock_timestamp() + lease_ms * interval '1 millisecond' end,
           case when place <= lease_count then 'running' end
    from jsonb_array_elements(items) with ordinality as i(item, place),
         lateral (select item -> 'vm' as vm, item -> 'booking' as booking) as parts
    order by place
    returning *
  )
  select array_agg(made order by seq) into made_vms from made;
  with booked as (
    insert into allocations (vm_id, assignment, booking_id, host_id, path, resources)
    select item -> 'vm' ->> 'id', nextval('assignments'), booking ->> 'bookingId',
           booking ->> 'hostId', booking ->> 'path', booking -> 'resources'
    from jsonb_array_elements(items) with ordinality as i(item, place),
         lateral (select item -> 'booking' as booking) as parts
    order by place
    returning assignment
  )
  select array_agg(assignment order by assignment) into assigned from booked;
  perform set_config('berth.actors', '', true);
  -- Both were numbered in the order of the items.
  return query
    select 'recorded', to_jsonb(made_vms[place]) || jsonb_build_object(
      'host_name', hosts.name, 'booking_id', booking_ids[place], 'assignment', assigned[place])
      || case when place <= lease_count then jsonb_build_object(
        'address', hosts.address, 'credential', hosts.credential, 'ip', hosts.ip,
        'boot_id', hosts.boot_id, 'overrides', hosts.overrides) else '{}' end
    from generate_subscripts(made_vms, 1) as place
    join hosts on hosts.id = made_vms[place].host_id
    order by place;
end
$$;

-- As 0005 has it; a batch of nothing but plain creates, as most are, is told as it comes. These
-- alone are taken under the lease.
create function record_bookings(
  expected_epoch bigint, batch_seq bigint, touched text[], parties jsonb,
  lease text default null, lease_ms double precision default null, lease_count integer default 0)
returns table (outcome text, recorded jsonb)
language plpgsql as $$
declare
  party jsonb;
  plain_parties jsonb;
  plain record_result[];
  plain_told integer := 0;
  result record_result;
begin
  -- Also puts recorders in a row: no other one runs from here to the commit, so that what is
  -- looked up below cannot be inserted by somebody else meanwhile.
  update meta set high_water = greatest(high_water, batch_seq) where epoch = expected_epoch;
  if not found then
    outcome := 'stale_epoch';
    return next;
    return;
  end if;
  perform 1 from hosts where id = any (touched) order by id for no key update;

  plain_parties := (
    select jsonb_agg(value) from jsonb_array_elements(parties) where is_plain(value));
  if jsonb_array_length(plain_parties) = jsonb_array_length(parties) then
    return query
      select told.outcome, told.recorded
      from record_plain(parties, lease, lease_ms, lease_count) as told;
    if found then
      return;
    end if;
  else
    plain := array(
      select told from record_plain(plain_parties, lease, lease_ms, lease_count) as told);
  end if;
  for party in select value from jsonb_array_elements(parties) loop
    if cardinality(plain) > 0 and is_plain(party) then
      plain_told := plain_told + 1;
      outcome := plain[plain_told].outcome;
      recorded := plain[plain_told].recorded;
      return next;
    elsif jsonb_typeof(party) = 'array' then
      return query select * from record_set(party);
    else
      result := record_booking(party);
      outcome := result.outcome;
      recorded := result.recorded;
      return next;
    end if;
  end loop;
  perform set_config('berth.actor', '', true);
end
$$;

-- What is shown of a VM, as 0012 has it, for who has looked up the name of its host already: without a
-- question in it, it is worth a tenth of the time.
create function vm_facts_on(vm vms, host_name text) returns jsonb
language plpgsql stable as $$
begin
  return jsonb_build_object(
    'id', vm.id, 'name', vm.name, 'path', vm.path, 'state', vm.state,
    'desiredState', vm.desired_state,
    'host', case when vm.host_id is not null
      then jsonb_build_object('id', vm.host_id, 'name', host_name) end,
    'resources', vm.resources, 'image', vm.image, 'constraints', vm.constraints,
    'onHostLoss', vm.on_host_loss,
    'reason', vm.reason, 'attempts', vm.attempts, 'violations', vm.violations,
    'waitUntil', shown_time(vm.wait_until), 'createdAt', shown_time(vm.created_at),
    'updatedAt', shown_time(vm.updated_at));
end
$$;

create or replace function vm_facts(vm vms) returns jsonb
language plpgsql stable as $$
begin
  return vm_facts_on(vm, (select name from hosts where id = vm.host_id));
end
$$;

-- As 0010 has them; the plans go by the indexes for the reason above.
create or replace function tell_of_made_vms() returns trigger
language plpgsql
set enable_seqscan = off
as $$
declare
  actor jsonb := nullif(current_setting('berth.actor', true), '');
  actors jsonb := nullif(current_setting('berth.actors', true), '');
begin
  with told as materialized (
    select id, path, host_id, coalesce(actors -> id, actor) as who,
           vm_facts_on(row(made.*)::vms, (select name from hosts where id = made.host_id)) as facts
    from made order by seq
  ), outbox as (
    insert into outbox (kind, subject_id, path, host_id, facts)
    select 'vm.created', id, path, host_id, facts from told
  )
  insert into audit (actor, action, subject_kind, subject_id, path, after)
  select who, who ->> 'action', 'vm', id, path, facts from told where who is not null;
  return null;
end
$$;

-- All that one statement has changed. What nobody can see (leases, what is due) is told to nobody.
create function tell_of_changed_vms() returns trigger
language plpgsql
set enable_seqscan = off
as $$
declare
  actor jsonb := nullif(current_setting('berth.actor', true), '');
begin
  with told as materialized (
    select now_so.id, now_so.path, coalesce(now_so.host_id, so_far.host_id) as host_id,
           case when now_so.state = 'deleted' then 'vm.deleted' else 'vm.changed' end as kind,
           case when actor is not null then vm_facts(row(so_far.*)::vms) end as before,
           vm_facts_on(row(now_so.*)::vms,
                       (select name from hosts where id = now_so.host_id)) as after
    from now_so join so_far on so_far.id = now_so.id
    where
      (so_far.state, so_far.desired_state, so_far.host_id, so_far.name, so_far.path,
       so_far.image, so_far.wait_until)
        is distinct from
      (now_so.state, now_so.desired_state, now_so.host_id, now_so.name, now_so.path,
       now_so.image, now_so.wait_until)
      or (so_far.reason, so_far.resources, so_far.constraints, so_far.violations, so_far.attempts)
        is distinct from
      (now_so.reason, now_so.resources, now_so.constraints, now_so.violations, now_so.attempts)
    order by now_so.seq
  ), outbox as (
    insert into outbox (kind, subject_id, path, host_id, facts)
    select kind, id, path, host_id, after from told
  )
  insert into audit (actor, action, subject_kind, subject_id, path, before, after)
  select actor, actor ->> 'action', 'vm', id, path, before, after from told
  where actor is not null;
  return null;
end
$$;

drop trigger vm_changed on vms;
create trigger vm_changed after update on vms
referencing old table as so_far new table as now_so
for each statement execute function tell_of_changed_vms();

-- Of what was erased alone: what was changed is told above.
create or replace function tell_of_vm() returns trigger
language plpgsql as $$
begin
  perform tell('vm.deleted', 'vm', old.id, old.path, old.host_id, vm_facts(old), null);
  return null;
end
$$;
