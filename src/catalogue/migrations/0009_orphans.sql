-- Reconcile: what hosts report against what is recorded.

-- VMs that a host has and that are not recorded on it.
create table orphans (
  host_id text not null references hosts (id) on delete cascade,
  vm_id text not null,
  first_seen_at timestamptz not null default clock_timestamp(),
  last_seen_at timestamptz not null default clock_timestamp(),
  -- Reports in a row that named it.
  strikes integer not null default 1,
  assignment bigint not null,
  state text not null,
  resources jsonb not null check (amounts_are_counts(resources)),
  -- Somebody wants it gone: it is told so until it is.
  leaving boolean not null default false,
  primary key (host_id, vm_id)
);
-- Nobody gets the id of one: see refusal_of.
create index orphans_vm on orphans (vm_id);

-- When the first of the reports in a row came that did not name the VM.
alter table vms add column missing_since timestamptz;
-- Reports in a row that named it under a newer assignment than the recorded one.
alter table vms add column outdated_strikes integer not null default 0;

-- The next assignment, above one that an agent knows and the sequence may not: after a restore of
-- the catalogue, or for a VM that somebody else started.
create function next_assignment_above(known bigint) returns bigint
language plpgsql as $$
begin
  if known >= (select last_value from assignments) then
    -- One at a time: a lower one must not undo a higher.
    perform pg_advisory_xact_lock(hashtext('berth:assignments'));
    if known >= (select last_value from assignments) then
      -- Numbers may be drawn beside this: the leap is longer than they can go meanwhile.
      perform setval('assignments', known + 1000);
    end if;
  end if;
  return nextval('assignments');
end
$$;

create function orphan_facts(orphan orphans) returns jsonb
language plpgsql stable as $$
begin
  return jsonb_build_object(
    'vmId', orphan.vm_id, 'state', orphan.state, 'resources', orphan.resources,
    'assignment', orphan.assignment, 'leaving', orphan.leaving,
    'host', (select jsonb_build_object('id', id, 'name', name) from hosts
             where id = orphan.host_id));
end
$$;

-- Whose word it was that one is to go, for the audit log. What orphans mean for a host is told with
-- the host, and an adoption with the VM.
create function note_dismissal() returns trigger
language plpgsql as $$
begin
  perform note_change('orphan', new.vm_id, null, orphan_facts(old), orphan_facts(new));
  return null;
end
$$;
create trigger orphan_dismissed after update on orphans for each row
when (new.leaving and not old.leaving) execute function note_dismissal();
