-- The last word on bookings. One call for a batch; each statement sees what was committed before it.
-- items: [{kind, bookingId, hostId, requestHash, attempt, spec: {id, name, path, resources, image, constraints}}]
-- Returns one row an item, in order: outcome and, when recorded, the assignment; no rows at all when
-- the epoch is not the present one.
create function record_bookings(expected_epoch bigint, seq bigint, items jsonb)
returns table (outcome text, assignment bigint)
language plpgsql as $$
declare
  item jsonb;
  spec jsonb;
  vm vms%rowtype;
  host hosts%rowtype;
begin
  update meta set high_water = greatest(high_water, seq) where epoch = expected_epoch;
  if not found then
    return;
  end if;
  perform 1 from hosts
    where id in (select value ->> 'hostId' from jsonb_array_elements(items))
    order by id for no key update;

  for item in select value from jsonb_array_elements(items) loop
    spec := item -> 'spec';
    select a.assignment into assignment from allocations a where a.booking_id = item ->> 'bookingId';
    if found then
      outcome := 'recorded';
      return next;
      continue;
    end if;
    assignment := null;
    select * into vm from vms where id = spec ->> 'id' for update;
    if item ->> 'kind' = 'create' and found then
      outcome := 'taken';
    elsif item ->> 'kind' = 'again'
      and (not found or vm.host_id is not null or vm.state <> 'placed' or vm.desired_state = 'deleted')
    then
      outcome := 'gone';
    else
      select * into host from hosts where id = item ->> 'hostId';
      if not found or host.state <> 'up' or host.mode <> 'enabled' then
        outcome := 'closed';
      elsif not amounts_fit(host.limits, host.allocated, spec -> 'resources') then
        outcome := 'over_limit';
      else
        outcome := 'recorded';
        assignment := nextval('assignments');
        update hosts set allocated = amounts_add(allocated, spec -> 'resources', 1) where id = host.id;
        if item ->> 'kind' = 'create' then
          insert into vms (id, name, path, resources, image, constraints, request_hash,
                           desired_state, state, host_id, attempts, due_at)
          values (spec ->> 'id', spec ->> 'name', spec ->> 'path', spec -> 'resources', spec ->> 'image',
                  spec -> 'constraints', item ->> 'requestHash', 'running', 'placed', host.id,
                  jsonb_build_array(item -> 'attempt'), clock_timestamp());
        else
          update vms set host_id = host.id, attempts = attempts || (item -> 'attempt'),
                         due_at = clock_timestamp(), updated_at = clock_timestamp()
            where id = vm.id;
        end if;
        insert into allocations (vm_id, assignment, booking_id, host_id, path, resources)
        values (spec ->> 'id', assignment, item ->> 'bookingId', host.id, spec ->> 'path', spec -> 'resources');
      end if;
    end if;
    return next;
  end loop;
end
$$;
