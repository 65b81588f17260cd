-- VMs, what they book, and what the ledger may not have heard of yet.

-- One for the whole fleet, so that a later placement of a VM has a higher number on every host.
create sequence assignments as bigint;

create table vms (
  id text primary key,
  -- Order of creation.
  seq bigint generated always as identity unique,
  name text not null,
  path text not null,
  resources jsonb not null,
  image text,
  constraints jsonb not null,
  request_hash text not null,
  desired_state text not null check (desired_state in ('running', 'stopped', 'deleted')),
  state text not null check (state in (
    'placed', 'creating', 'running', 'stopping', 'stopped', 'starting', 'deleting', 'deleted',
    'failed', 'unknown'
  )),
  host_id text references hosts (id),
  reason jsonb,
  attempts jsonb not null default '[]',
  has_run boolean not null default false,
  -- Failed tries of the present step.
  tries integer not null default 0,
  -- When the lifecycle looks at it again; null when it is where it should be.
  due_at timestamptz,
  lease_owner text,
  lease_until timestamptz,
  -- What was wanted when the work was taken: a change since then makes it due again.
  leased_for text,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  -- The row of a deleted VM stays for a while, so that a late message cannot bring it back.
  deleted_at timestamptz,
  check ((deleted_at is not null) = (state = 'deleted')),
  check (state not in ('failed', 'deleted') or host_id is null)
) with (fillfactor = 70);
create index vms_due on vms (due_at) where due_at is not null;
create index vms_of_host on vms (host_id) where host_id is not null;
create index vms_deleted on vms (deleted_at) where deleted_at is not null;

-- A set: what is booked is the sum of its rows, and a row can be erased only once.
create table allocations (
  vm_id text not null unique references vms (id),
  assignment bigint not null,
  booking_id text not null unique,
  host_id text not null references hosts (id),
  path text not null,
  resources jsonb not null check (amounts_are_counts(resources)),
  created_at timestamptz not null default clock_timestamp(),
  primary key (vm_id, assignment)
);
create index allocations_of_host on allocations (host_id);

-- Releases that the ledger may not have heard of; a row goes when the ledger has carried it out.
create table pending_releases (
  booking_id text primary key,
  vm_id text not null,
  host_id text not null,
  created_at timestamptz not null default clock_timestamp()
);
create index pending_releases_by_age on pending_releases (created_at);
