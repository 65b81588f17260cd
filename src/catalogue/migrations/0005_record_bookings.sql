-- The last word on bookings, for a whole batch in one call. Must run under READ COMMITTED: then each
-- statement here sees what was committed before it began, and not only what was before the call.
--
-- items: [{kind, vm: {id, name, path, image, constraints, requestHash},
--          booking: {bookingId, hostId, path, resources}, attempt}]
-- Answers one row an item, in order: the outcome and, when recorded, the VM's row with its host's
-- name and its booking. When the epoch is not the present one: the single row `stale_epoch`.
create function record_bookings(expected_epoch bigint, batch_seq bigint, items jsonb)
returns table (outcome text, recorded jsonb)
language plpgsql as $$
declare
  item jsonb;
  wanted jsonb;
  booking jsonb;
  vm vms%rowtype;
  host hosts%rowtype;
  booked allocations%rowtype;
begin
  -- Also puts recorders in a row: no other one runs from here to the commit, so that what is
  -- looked up below cannot be inserted by somebody else meanwhile.
  update meta set high_water = greatest(high_water, batch_seq) where epoch = expected_epoch;
  if not found then
    outcome := 'stale_epoch';
    return next;
    return;
  end if;
  perform 1 from hosts
    where id in (select value -> 'booking' ->> 'hostId' from jsonb_array_elements(items))
    order by id for no key update;

  for item in select value from jsonb_array_elements(items) loop
    wanted := item -> 'vm';
    booking := item -> 'booking';
    recorded := null;

    select * into booked from allocations where booking_id = booking ->> 'bookingId';
    if found then
      select * into vm from vms where id = booked.vm_id;
      select * into host from hosts where id = booked.host_id;
      outcome := 'recorded';
    else
      -- Hosts before VMs, as whoever releases does: otherwise each could wait for the other.
      select * into vm from vms where id = wanted ->> 'id' for update;
      if item ->> 'kind' = 'create' then
        outcome := case when found then 'taken' end;
      elsif not found or vm.host_id is not null or vm.state <> 'placed'
        or vm.desired_state = 'deleted'
        -- Recorded and released again before this repeat came.
        or exists (select from pending_releases where booking_id = booking ->> 'bookingId')
      then
        outcome := 'gone';
      else
        outcome := null;
      end if;

      if outcome is null then
        select * into host from hosts where id = booking ->> 'hostId';
        if not found or host.state <> 'up' or host.mode <> 'enabled' then
          outcome := 'closed';
        elsif not amounts_fit(host.limits, host.allocated, booking -> 'resources') then
          outcome := 'over_limit';
        else
          outcome := 'recorded';
          update hosts set allocated = amounts_add(allocated, booking -> 'resources', 1)
            where id = host.id;
          if item ->> 'kind' = 'create' then
            insert into vms (id, name, path, resources, image, constraints, request_hash,
                             desired_state, state, host_id, attempts, due_at)
            values (wanted ->> 'id', wanted ->> 'name', wanted ->> 'path', booking -> 'resources',
                    wanted ->> 'image', wanted -> 'constraints', wanted ->> 'requestHash',
                    'running', 'placed', host.id, jsonb_build_array(item -> 'attempt'),
                    clock_timestamp())
            returning * into vm;
          else
            update vms set host_id = host.id, attempts = attempts || (item -> 'attempt'),
                           reason = null, due_at = clock_timestamp(),
                           updated_at = clock_timestamp()
              where id = vm.id
              returning * into vm;
          end if;
          insert into allocations (vm_id, assignment, booking_id, host_id, path, resources)
          values (vm.id, nextval('assignments'), booking ->> 'bookingId', host.id,
                  booking ->> 'path', booking -> 'resources')
          returning * into booked;
        end if;
      end if;
    end if;

    if outcome = 'recorded' then
      recorded := to_jsonb(vm) || jsonb_build_object(
        'host_name', host.name, 'booking_id', booked.booking_id, 'assignment', booked.assignment);
    end if;
    return next;
  end loop;
end
$$;
