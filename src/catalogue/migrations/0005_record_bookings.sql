-- The last word on bookings, for a whole batch in one call. Must run under READ COMMITTED: then each
-- statement here sees what was committed before it began, and not only what was before the call.

-- `recorded`, `reserved` or why not; with the row when it is one of the two.
create type record_result as (outcome text, recorded jsonb);

-- Why a host has no room; null: it has. `closed`: more is booked than may be, in any class.
-- `over_limit`: what is requested does not fit.
create function room_refusal(limits jsonb, allocated jsonb, requested jsonb) returns text
language plpgsql immutable as $$
declare
  class text;
  most bigint;
  present bigint;
  more bigint;
  result text;
begin
  for class in select jsonb_object_keys(allocated || requested) loop
    most := coalesce((limits ->> class)::bigint, 0);
    present := coalesce((allocated ->> class)::bigint, 0);
    if present > most then
      return 'closed';
    end if;
    more := (requested ->> class)::bigint;
    if more > 0 and present + more > most then
      result := 'over_limit';
    end if;
  end loop;
  return result;
end
$$;

-- Whether a hard rule keeps a VM of these groups, [{key, policy}], away from a host: its own rule, or
-- that of a member there. Members whose bookings it takes the place of do not count.
create function groups_forbid(groups jsonb, on_host text, freed text[]) returns boolean
language plpgsql stable as $$
declare
  own record;
begin
  for own in select * from jsonb_to_recordset(groups) as g(key text, policy text) loop
    if exists (
      select from group_members m
      where m.key = own.key and m.host_id = on_host and m.booking_id <> all (freed)
        and (own.policy = 'anti-affinity' or m.policy = 'anti-affinity')
    ) then
      return true;
    end if;
    if own.policy = 'affinity'
      and exists (
        select from group_members m where m.key = own.key and m.booking_id <> all (freed))
      and not exists (
        select from group_members m
        where m.key = own.key and m.host_id = on_host and m.booking_id <> all (freed))
    then
      return true;
    end if;
  end loop;
  return false;
end
$$;

-- Takes away bookings that another one takes the place of, and reservations that end with it. The
-- ledger has given them back already, so nothing is left pending.
create function give_back(freed text[]) returns void
language plpgsql as $$
declare
  gone allocations%rowtype;
begin
  for gone in delete from allocations where booking_id = any (freed) returning * loop
    update hosts set allocated = amounts_add(allocated, gone.resources, -1)
      where id = gone.host_id;
    delete from reservations where id = gone.reservation_id;
  end loop;
end
$$;

-- Who may have the place that an item asks for; null: it may. Locks the VM's row.
create function refusal_of(kind text, wanted_id text, booking jsonb, freed text[]) returns text
language plpgsql as $$
declare
  vm vms%rowtype;
  known boolean;
  held bigint;
  freed_vm text;
  freed_room text;
begin
  -- Hosts before VMs, as whoever releases does: otherwise each could wait for the other.
  select * into vm from vms where id = wanted_id for update;
  known := found;
  if kind = 'reserve' then
    known := known or exists (select from reservations where id = wanted_id);
  elsif kind = 'create' then
    -- It runs somewhere without a record: a second one of its name would be a VM on two hosts.
    known := known or exists (select from orphans where vm_id = wanted_id);
  end if;
  if kind in ('create', 'reserve') then
    if known then
      return 'taken';
    end if;
  elsif not known or vm.desired_state = 'deleted'
    -- Recorded and released again before this repeat came.
    or exists (select from pending_releases where booking_id = booking ->> 'bookingId')
    or (kind = 'again' and (vm.host_id is not null or vm.state not in ('placed', 'waiting')))
    or (kind = 'move' and vm.moving_to is null)
  then
    return 'gone';
  end if;
  if cardinality(freed) > 0 then
    select count(*), max(vm_id), max(reservation_id) into held, freed_vm, freed_room
      from allocations where booking_id = any (freed);
    if held <> cardinality(freed) or freed_vm <> wanted_id
      or (kind = 'move' and freed_room <> vm.moving_to)
    then
      return 'gone';
    end if;
  end if;
  if kind = 'move' and exists (
    select from allocations where vm_id = wanted_id and booking_id <> all (freed))
  then
    return 'gone';
  end if;
  return null;
end
$$;

-- One booking. What it refuses has changed nothing.
create function record_booking(item jsonb) returns record_result
language plpgsql as $$
declare
  kind text := item ->> 'kind';
  wanted jsonb := item -> 'vm';
  booking jsonb := item -> 'booking';
  freed text[] := '{}';
  result record_result;
  vm vms%rowtype;
  room reservations%rowtype;
  host hosts%rowtype;
  booked allocations%rowtype;
begin
  select * into booked from allocations where booking_id = booking ->> 'bookingId';
  if found then
    select * into host from hosts where id = booked.host_id;
    if booked.vm_id is not null then
      select * into vm from vms where id = booked.vm_id;
    else
      select * into room from reservations where id = booked.reservation_id;
    end if;
  else
    if booking ? 'frees' then
      freed := array(select value ->> 'bookingId' from jsonb_array_elements(booking -> 'frees'));
    end if;
    result.outcome := refusal_of(kind, wanted ->> 'id', booking, freed);
    if result.outcome is not null then
      return result;
    end if;

    select * into host from hosts where id = booking ->> 'hostId';
    if not found or host.state <> 'up' or host.mode <> 'enabled' then
      result.outcome := 'closed';
    else
      -- Judged as the ledger does: as if what it takes the place of had been given back.
      if cardinality(freed) > 0 then
        for booked in
          select * from allocations where booking_id = any (freed) and host_id = host.id
        loop
          host.allocated := amounts_add(host.allocated, booked.resources, -1);
        end loop;
      end if;
      result.outcome := room_refusal(host.limits, host.allocated, booking -> 'resources');
    end if;
    if result.outcome is not null then
      return result;
    end if;
    if booking ? 'groups' and groups_forbid(booking -> 'groups', host.id, freed) then
      result.outcome := 'group';
      return result;
    end if;

    perform set_config('berth.actor', coalesce(item ->> 'by', ''), true);
    if cardinality(freed) > 0 then
      perform give_back(freed);
    end if;
    update hosts set allocated = amounts_add(allocated, booking -> 'resources', 1)
      where id = host.id;
    if kind = 'create' then
      insert into vms (id, name, path, resources, image, constraints, request_hash,
                       desired_state, state, host_id, attempts, violations, strategy, due_at)
      values (wanted ->> 'id', wanted ->> 'name', wanted ->> 'path', booking -> 'resources',
              wanted ->> 'image', wanted -> 'constraints', wanted ->> 'requestHash',
              'running', 'placed', host.id, jsonb_build_array(item -> 'attempt'),
              coalesce(item -> 'violations', '[]'), item ->> 'strategy', clock_timestamp())
      returning * into vm;
    elsif kind = 'reserve' then
      insert into reservations (id, purpose, name, path, resources, constraints, host_id, until)
      values (wanted ->> 'id', item -> 'reservation' ->> 'purpose', wanted ->> 'name',
              wanted ->> 'path', booking -> 'resources', wanted -> 'constraints', host.id,
              clock_timestamp() + (item -> 'reservation' ->> 'endsInMs')::double precision
                * interval '1 millisecond')
      returning * into room;
    else
      update vms set host_id = host.id, attempts = attempts || (item -> 'attempt'),
                     state = 'placed', wait_until = null, reason = null,
                     violations = coalesce(item -> 'violations', '[]'),
                     -- A moved VM is made anew: on this host it has never run.
                     moving_to = case when kind = 'move' then null else moving_to end,
                     has_run = has_run and kind <> 'move',
                     tries = case when kind = 'move' then 0 else tries end,
                     due_at = clock_timestamp(), updated_at = clock_timestamp()
        where id = wanted ->> 'id'
        returning * into vm;
    end if;
    insert into allocations (vm_id, reservation_id, assignment, booking_id, host_id, path,
                             resources, groups)
    values (vm.id, room.id, case when room.id is null then nextval('assignments') else 0 end,
            booking ->> 'bookingId', host.id, booking ->> 'path', booking -> 'resources',
            coalesce(booking -> 'groups', '[]'))
    returning * into booked;
    if booking ? 'groups' then
      insert into group_members (key, booking_id, host_id, policy)
      select g.key, booked.booking_id, host.id, g.policy
      from jsonb_to_recordset(booking -> 'groups') as g(key text, policy text);
    end if;
  end if;

  if booked.reservation_id is null then
    result.outcome := 'recorded';
    result.recorded := to_jsonb(vm) || jsonb_build_object(
      'host_name', host.name, 'booking_id', booked.booking_id, 'assignment', booked.assignment);
  else
    result.outcome := 'reserved';
    result.recorded := to_jsonb(room) || jsonb_build_object(
      'host_name', host.name, 'booking_id', booked.booking_id);
  end if;
  return result;
end
$$;

-- A set: all of it or nothing. Who is refused says why, the others are refused with it.
create function record_set(members jsonb) returns setof record_result
language plpgsql as $$
declare
  item jsonb;
  result record_result;
  results record_result[] := '{}';
begin
  -- What stands already was recorded as a whole; this is a repeat, and some may have ended since.
  if exists (
    select from allocations where booking_id in (
      select value -> 'booking' ->> 'bookingId' from jsonb_array_elements(members))
  ) then
    for item in select value from jsonb_array_elements(members) loop
      return next record_booking(item);
    end loop;
    return;
  end if;
  begin
    for item in select value from jsonb_array_elements(members) loop
      result := record_booking(item);
      results := results || result;
      if result.outcome not in ('recorded', 'reserved') then
        raise sqlstate 'BRTH1';
      end if;
    end loop;
    return query select * from unnest(results);
  exception when sqlstate 'BRTH1' then
    -- What the set had changed is undone; what was found out stays in the variables.
    for place in 1 .. jsonb_array_length(members) loop
      if place = cardinality(results) then
        return next results[place];
      else
        return next row('set', null)::record_result;
      end if;
    end loop;
  end;
end
$$;

-- Whether a party is one new VM that is in no group and takes nobody's place. Most are.
create function is_plain(party jsonb) returns boolean
language sql immutable
return jsonb_typeof(party) = 'object' and party ->> 'kind' = 'create'
  and not party -> 'booking' ?| array['groups', 'frees'];

-- What items book on each host together.
create function booked_per_host(items jsonb) returns table (host_id text, resources jsonb)
language sql immutable
begin atomic
  with amounts as (
    select item -> 'booking' ->> 'hostId' as host_id, class, sum(amount::bigint) as amount
    from jsonb_array_elements(items) as i(item)
    left join jsonb_each_text(item -> 'booking' -> 'resources') as r(class, amount) on true
    group by 1, 2
  )
  select amounts.host_id,
         coalesce(jsonb_object_agg(class, amount) filter (where class is not null), '{}')
  from amounts group by amounts.host_id;
end;

-- All of them in one go, where nothing stands in the way of any; otherwise it does and answers
-- nothing, and who is refused is found out one by one. Rows are looked up one by one in any case: a
-- join's plan, once made and kept, may read whole tables when they have grown.
create function record_plain(items jsonb) returns setof record_result
language plpgsql as $$
declare
  one jsonb;
  ids text[] := '{}';
  per_host record;
  host hosts%rowtype;
begin
  for one in select value from jsonb_array_elements(items) loop
    if one -> 'vm' ->> 'id' = any (ids)
      or exists (select from vms where id = one -> 'vm' ->> 'id')
      or exists (select from orphans where vm_id = one -> 'vm' ->> 'id')
      or exists (select from allocations where booking_id = one -> 'booking' ->> 'bookingId')
    then
      return;
    end if;
    ids := ids || (one -> 'vm' ->> 'id');
  end loop;
  for per_host in select * from booked_per_host(items) loop
    select * into host from hosts where id = per_host.host_id;
    if not found or host.state <> 'up' or host.mode <> 'enabled'
      or room_refusal(host.limits, host.allocated, per_host.resources) is not null
    then
      return;
    end if;
  end loop;

  for per_host in select * from booked_per_host(items) loop
    update hosts set allocated = amounts_add(allocated, per_host.resources, 1)
      where id = per_host.host_id;
  end loop;
  perform set_config('berth.actors', (
    select coalesce(jsonb_object_agg(item -> 'vm' ->> 'id', item -> 'by'), '{}')
    from jsonb_array_elements(items) as i(item) where item ? 'by')::text, true);
  return query
    with asked as materialized (
      select i.place, i.item, i.item -> 'vm' as vm, i.item -> 'vm' ->> 'id' as vm_id,
             i.item -> 'booking' as booking
      from jsonb_array_elements(items) with ordinality as i(item, place)
    ), made as (
      insert into vms (id, name, path, resources, image, constraints, request_hash,
                       desired_state, state, host_id, attempts, violations, strategy, due_at)
      select vm_id, vm ->> 'name', vm ->> 'path', booking -> 'resources',
             vm ->> 'image', vm -> 'constraints', vm ->> 'requestHash',
             'running', 'placed', booking ->> 'hostId', jsonb_build_array(item -> 'attempt'),
             coalesce(item -> 'violations', '[]'), item ->> 'strategy', clock_timestamp()
      from asked order by place
      returning *
    ), booked as (
      insert into allocations (vm_id, assignment, booking_id, host_id, path, resources)
      select vm_id, nextval('assignments'), booking ->> 'bookingId', booking ->> 'hostId',
             booking ->> 'path', booking -> 'resources'
      from asked
      returning *
    )
    select 'recorded', to_jsonb(made) || jsonb_build_object(
      'host_name', (select name from hosts where id = made.host_id),
      'booking_id', booked.booking_id, 'assignment', booked.assignment)
    from asked join made on made.id = asked.vm_id join booked on booked.vm_id = asked.vm_id
    order by place;
  perform set_config('berth.actors', '', true);
end
$$;

-- parties: an item each, or a list of items that are a set. An item is
--   {kind, vm: {id, name, path, image, constraints, requestHash}, attempt, by?, violations?,
--    strategy?, reservation?: {purpose, endsInMs},
--    booking: {bookingId, hostId, path, resources, groups?, frees?: [{bookingId}]}}
-- touched: the hosts on which something is booked or given back.
-- Answers one row an item, in order: the outcome and, when recorded, the row of the VM or the
-- reservation with its host's name and its booking. When the epoch is not the present one: the
-- single row `stale_epoch`.
create function record_bookings(
  expected_epoch bigint, batch_seq bigint, touched text[], parties jsonb)
returns table (outcome text, recorded jsonb)
language plpgsql as $$
declare
  party jsonb;
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

  plain := array(
    select r from record_plain((
      select jsonb_agg(value) from jsonb_array_elements(parties) where is_plain(value))) as r);
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
