-- What happens, told in two ways from the same triggers, in the transaction of the change itself:
-- `outbox` (then `events`) for whoever follows, `audit` for who did it. If the change is undone, so
-- is the telling; if it stands, it has been told.

-- Written by every change, emptied by the sequencer below. Numbers of an identity are drawn before
-- the commit, so 8 may be seen before 7: the outbox has no order that a reader could trust. But what
-- is told of one row is in order: its number is drawn while the row is locked, and whoever changes
-- the row next has to wait for that lock, which ends with the commit.
create table outbox (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  kind text not null,
  subject_id text not null,
  path text,
  host_id text,
  facts jsonb not null
);

-- `position` is given by one sequencer at a time, after the commit of the change: a position never
-- becomes visible behind a higher one. It says how much happens in the whole fleet, so it is shown
-- to nobody; `key` is.
create table events (
  position bigint primary key,
  key uuid not null unique default gen_random_uuid(),
  at timestamptz not null,
  kind text not null,
  subject_id text not null,
  path text,
  host_id text,
  facts jsonb not null
);
-- "C": a path and all below it lie side by side.
create index events_of_path on events (path collate "C", position) where path is not null;
-- The time before the first event, so that a reader has a place to resume from even then.
insert into events (position, at, kind, subject_id, facts)
values (0, clock_timestamp(), 'none', '', '{}');

-- The newest position and its key; they outlive the event.
create table events_head (
  id integer primary key default 1 check (id = 1),
  position bigint not null,
  key uuid not null
) with (fillfactor = 10);
insert into events_head (position, key) select position, key from events;

-- Moves up to `batch` rows from the outbox to the events; several may try, one does it.
-- Answers how many it moved and where the head is now. Must run under READ COMMITTED: the second
-- statement has to see what was committed before it got the lock.
create function sequence_events(batch integer, out moved integer, out head bigint, out head_key uuid)
language plpgsql as $$
begin
  moved := 0;
  -- 'brth', 10; released only after the commit is visible to all.
  if pg_try_advisory_xact_lock(1651668072, 10) then
    with taken as (
      delete from outbox where id in (select id from outbox order by id limit batch)
      returning *
    ), told as (
      insert into events (position, at, kind, subject_id, path, host_id, facts)
      select (select position from events_head) + row_number() over (order by id),
             at, kind, subject_id, path, host_id, facts
      from taken order by id
      returning position, key
    ), newest as (
      select position, key from told order by position desc limit 1
    ), moved_on as (
      update events_head set position = newest.position, key = newest.key from newest
    )
    select count(*) into moved from told;
  end if;
  select position, key into head, head_key from events_head;
end
$$;

-- Who did what. Facts hold no secrets, because the functions that make them know none.
create table audit (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  -- {kind, id, name, requestId, action}, as it was said.
  actor jsonb not null,
  action text not null,
  subject_kind text not null,
  subject_id text not null,
  path text,
  before jsonb,
  after jsonb
);
create index audit_of_subject on audit (subject_id, id);

-- Notes who changed this, if anybody said so: `berth.actor` is set by whoever changes something for
-- somebody (actor.ts). For a table whose changes belong into the audit log alone.
create function note_change(noun text, subject_id text, path text, before jsonb, after jsonb)
returns void
language plpgsql as $$
declare
  actor text := current_setting('berth.actor', true);
  who jsonb;
begin
  if actor <> '' then
    who := actor::jsonb;
    insert into audit (actor, action, subject_kind, subject_id, path, before, after)
    values (who, who ->> 'action', noun, subject_id, path, before, after);
  end if;
end
$$;

-- Whether somebody said that the present change is theirs: then it belongs into the audit log.
create function is_asked_for() returns boolean
language sql stable
return coalesce(current_setting('berth.actor', true), '') <> '';

-- Tells of one change, to followers and to the audit log. For a table of one's own, in an AFTER ROW
-- trigger: perform tell('thing.made', 'thing', new.id, new.path, null, null, thing_facts(new));
create function tell(
  kind text, noun text, subject_id text, path text, host_id text, before jsonb, after jsonb
) returns void
language plpgsql as $$
begin
  insert into outbox (kind, subject_id, path, host_id, facts)
  values (kind, subject_id, path, host_id, coalesce(after, before));
  if is_asked_for() then
    perform note_change(noun, subject_id, path, before, after);
  end if;
end
$$;

-- Facts are shown as they are kept, so times are written as the API writes them.
create function shown_time(at timestamptz) returns text
language sql stable
return to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');

-- What is shown of a VM. Not among it: leases, tries, what is due (nothing of it happens to the VM).
create function vm_facts(vm vms) returns jsonb
language plpgsql stable as $$
begin
  return jsonb_build_object(
    'id', vm.id, 'name', vm.name, 'path', vm.path, 'state', vm.state,
    'desiredState', vm.desired_state,
    'host', (select jsonb_build_object('id', id, 'name', name) from hosts where id = vm.host_id),
    'resources', vm.resources, 'image', vm.image, 'constraints', vm.constraints,
    'reason', vm.reason, 'attempts', vm.attempts, 'violations', vm.violations,
    'waitUntil', shown_time(vm.wait_until), 'createdAt', shown_time(vm.created_at),
    'updatedAt', shown_time(vm.updated_at));
end
$$;

-- What is shown of a host. Not among it: credentials, polls, and what is booked there, which changes
-- with every VM and is told with the VM.
create function host_facts(host hosts) returns jsonb
language plpgsql stable as $$
begin
  return jsonb_build_object(
    'id', host.id, 'name', host.name, 'address', host.address, 'zone', host.zone,
    'labels', host.labels, 'state', host.state, 'mode', host.mode, 'modeReason', host.mode_reason,
    'modeOwner', host.mode_owner, 'modeUntil', shown_time(host.mode_until), 'overrides', host.overrides,
    'inventory', host.inventory, 'orphaned', host.orphaned,
    'agent', jsonb_build_object('version', host.version, 'bootId', host.boot_id),
    'createdAt', shown_time(host.created_at));
end
$$;

create function reservation_facts(reservation reservations) returns jsonb
language plpgsql stable as $$
begin
  return jsonb_build_object(
    'id', reservation.id, 'name', reservation.name, 'path', reservation.path,
    'purpose', reservation.purpose, 'resources', reservation.resources,
    'constraints', reservation.constraints,
    'host', (select jsonb_build_object('id', id, 'name', name) from hosts
             where id = reservation.host_id),
    'until', shown_time(reservation.until),
    'createdAt', shown_time(reservation.created_at));
end
$$;

create function tell_of_vm() returns trigger
language plpgsql as $$
begin
  if tg_op = 'UPDATE' then
    perform tell(case when new.state = 'deleted' then 'vm.deleted' else 'vm.changed' end,
                 'vm', new.id, new.path, coalesce(new.host_id, old.host_id),
                 case when is_asked_for() then vm_facts(old) end, vm_facts(new));
  else
    perform tell('vm.deleted', 'vm', old.id, old.path, old.host_id, vm_facts(old), null);
  end if;
  return null;
end
$$;

-- As `tell` does it, for all that a statement has made.
create function tell_of_made_vms() returns trigger
language plpgsql as $$
declare
  actor jsonb := nullif(current_setting('berth.actor', true), '');
  actors jsonb := nullif(current_setting('berth.actors', true), '');
begin
  with told as materialized (
    select id, path, host_id, coalesce(actors -> id, actor) as who, vm_facts(row(made.*)::vms) as facts
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

create trigger vm_made after insert on vms
referencing new table as made for each statement execute function tell_of_made_vms();
-- The columns and conditions keep the many writes that nobody can see (leases, polls) from costing
-- a call, or even a comparison.
create trigger vm_changed after update
of state, desired_state, host_id, name, path, image, wait_until,
   reason, resources, constraints, violations, attempts
on vms for each row
when (
  (old.state, old.desired_state, old.host_id, old.name, old.path, old.image, old.wait_until)
    is distinct from
  (new.state, new.desired_state, new.host_id, new.name, new.path, new.image, new.wait_until)
  or (old.reason, old.resources, old.constraints, old.violations, old.attempts)
    is distinct from
  (new.reason, new.resources, new.constraints, new.violations, new.attempts)
) execute function tell_of_vm();
-- The row of a deleted VM goes long after the VM.
create trigger vm_erased after delete on vms for each row
when (old.state <> 'deleted') execute function tell_of_vm();

create function tell_of_host() returns trigger
language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    perform tell('host.joined', 'host', new.id, null, new.id, null, host_facts(new));
  else
    perform tell(case when new.mode = 'retired' and old.mode <> 'retired' then 'host.retired'
                      else 'host.changed' end,
                 'host', new.id, null, new.id,
                 case when is_asked_for() then host_facts(old) end, host_facts(new));
  end if;
  return null;
end
$$;

create trigger host_made after insert on hosts for each row execute function tell_of_host();
create trigger host_changed after update
of state, mode, mode_reason, mode_owner, mode_until, name, address, zone, version, boot_id,
   labels, overrides, inventory, orphaned
on hosts for each row
when (
  (old.state, old.mode, old.mode_reason, old.mode_owner, old.mode_until, old.name, old.address,
   old.zone, old.version, old.boot_id)
    is distinct from
  (new.state, new.mode, new.mode_reason, new.mode_owner, new.mode_until, new.name, new.address,
   new.zone, new.version, new.boot_id)
  or (old.labels, old.overrides, old.inventory, old.orphaned)
    is distinct from
  (new.labels, new.overrides, new.inventory, new.orphaned)
) execute function tell_of_host();

create function tell_of_reservation() returns trigger
language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    perform tell('reservation.created', 'reservation', new.id, new.path, new.host_id,
                 null, reservation_facts(new));
  else
    perform tell('reservation.ended', 'reservation', old.id, old.path, old.host_id,
                 reservation_facts(old), null);
  end if;
  return null;
end
$$;

create trigger reservation_made after insert or delete on reservations
for each row execute function tell_of_reservation();
