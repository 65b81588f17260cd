-- Fencing: an operator's word that a host is off, and what its VMs then become.

alter table vms add column on_host_loss text not null default 'keep'
  check (on_host_loss in ('keep', 'restart'));

-- While a host is fenced it is not up, so that nothing is booked there, by whatever way.
alter table hosts
  add column fenced_at timestamptz,
  add column fence_reason text,
  -- Name of who said so.
  add column fenced_by text,
  add constraint hosts_fenced_are_not_up check (fenced_at is null or state <> 'up'),
  add constraint hosts_fence_has_a_reason
    check (num_nulls(fenced_at, fence_reason, fenced_by) in (0, 3));

-- What a fence took away from a host. A row goes when the host has been told: it may still have the
-- VM, or an order for it may still be on its way there. No reference to vms: by then it may be purged.
create table fenced_vms (
  host_id text not null references hosts (id) on delete cascade,
  vm_id text not null,
  -- Under which the host knows it; where the VM is now, it has a higher one.
  assignment bigint not null,
  primary key (host_id, vm_id)
);

-- The functions below are those of 0005 and 0010, with the new columns.

create or replace function vm_facts(vm vms) returns jsonb
language plpgsql stable as $$
begin
  return jsonb_build_object(
    'id', vm.id, 'name', vm.name, 'path', vm.path, 'state', vm.state,
    'desiredState', vm.desired_state,
    'host', (select jsonb_build_object('id', id, 'name', name) from hosts where id = vm.host_id),
    'resources', vm.resources, 'image', vm.image, 'constraints', vm.constraints,
    'onHostLoss', vm.on_host_loss,
    'reason', vm.reason, 'attempts', vm.attempts, 'violations', vm.violations,
    'waitUntil', shown_time(vm.wait_until), 'createdAt', shown_time(vm.created_at),
    'updatedAt', shown_time(vm.updated_at));
end
$$;

create or replace function host_facts(host hosts) returns jsonb
language plpgsql stable as $$
begin
  return jsonb_build_object(
    'id', host.id, 'name', host.name, 'address', host.address, 'zone', host.zone,
    'labels', host.labels, 'state', host.state, 'mode', host.mode, 'modeReason', host.mode_reason,
    'modeOwner', host.mode_owner, 'modeUntil', shown_time(host.mode_until),
    'fence', case when host.fenced_at is not null then jsonb_build_object(
      'at', shown_time(host.fenced_at), 'reason', host.fence_reason, 'by', host.fenced_by) end,
    'overrides', host.overrides,
    'inventory', host.inventory, 'orphaned', host.orphaned,
    'agent', jsonb_build_object('version', host.version, 'bootId', host.boot_id),
    'createdAt', shown_time(host.created_at));
end
$$;

drop trigger host_changed on hosts;
create trigger host_changed after update
of state, mode, mode_reason, mode_owner, mode_until, name, address, zone, version, boot_id,
   labels, overrides, inventory, orphaned, fenced_at
on hosts for each row
when (
  (old.state, old.mode, old.mode_reason, old.mode_owner, old.mode_until, old.name, old.address,
   old.zone, old.version, old.boot_id, old.fenced_at)
    is distinct from
  (new.state, new.mode, new.mode_reason, new.mode_owner, new.mode_until, new.name, new.address,
   new.zone, new.version, new.boot_id, new.fenced_at)
  or (old.labels, old.overrides, old.inventory, old.orphaned)
    is distinct from
  (new.labels, new.overrides, new.inventory, new.orphaned)
) execute function tell_of_host();

create or replace function record_booking(item jsonb) returns record_result
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
                       desired_state, state, host_id, attempts, violations, strategy, due_at,
                       on_host_loss)
      values (wanted ->> 'id', wanted ->> 'name', wanted ->> 'path', booking -> 'resources',
              wanted ->> 'image', wanted -> 'constraints', wanted ->> 'requestHash',
              'running', 'placed', host.id, jsonb_build_array(item -> 'attempt'),
              coalesce(item -> 'violations', '[]'), item ->> 'strategy', clock_timestamp(),
              coalesce(wanted ->> 'onHostLoss', 'keep'))
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

create or replace function record_plain(items jsonb) returns setof record_result
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
                       desired_state, state, host_id, attempts, violations, strategy, due_at,
                       on_host_loss)
      select vm_id, vm ->> 'name', vm ->> 'path', booking -> 'resources',
             vm ->> 'image', vm -> 'constraints', vm ->> 'requestHash',
             'running', 'placed', booking ->> 'hostId', jsonb_build_array(item -> 'attempt'),
             coalesce(item -> 'violations', '[]'), item ->> 'strategy', clock_timestamp(),
             coalesce(vm ->> 'onHostLoss', 'keep')
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
