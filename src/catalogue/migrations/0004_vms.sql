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
    'waiting', 'placed', 'creating', 'running', 'stopping', 'stopped', 'starting', 'deleting', 'deleted',
    'failed', 'unknown'
  )),
  host_id text references hosts (id),
  reason jsonb,
  attempts jsonb not null default '[]',
  has_run boolean not null default false,
  -- Soft rules that its present place breaks: [{name, policy}].
  violations jsonb not null default '[]',
  -- The strategy that an operator asked for; null for the configured one.
  strategy text,
  -- Until when it waits for room.
  wait_until timestamptz check ((wait_until is null) = (state <> 'waiting')),
  -- The reservation that holds its room elsewhere while it moves.
  moving_to text,
  -- Reports in a row that did not name it.
  missing_strikes integer not null default 0,
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
  check (state not in ('waiting', 'failed', 'deleted') or host_id is null)
) with (fillfactor = 70);
create index vms_due on vms (due_at) where due_at is not null;
create index vms_of_host on vms (host_id) where host_id is not null;
create index vms_waiting on vms (seq) where state = 'waiting';
create index vms_deleted on vms (deleted_at) where deleted_at is not null;

-- Room held without a VM: asked for by somebody, or by a move on its way.
create table reservations (
  -- Ids of VMs and reservations must differ: they book side by side.
  id text primary key check (id like 'rsv-%'),
  seq bigint generated always as identity unique,
  purpose text not null check (purpose in ('held', 'move')),
  name text not null,
  path text not null,
  resources jsonb not null,
  constraints jsonb not null,
  host_id text not null references hosts (id),
  until timestamptz check (until is not null or purpose = 'move'),
  created_at timestamptz not null default clock_timestamp()
);
create index reservations_until on reservations (until) where until is not null;

-- A set: what is booked is the sum of its rows, and a row can be erased only once.
create table allocations (
  booking_id text primary key,
  vm_id text unique references vms (id),
  reservation_id text references reservations (id),
  -- 0 for a reservation: no agent hears of it.
  assignment bigint not null,
  host_id text not null references hosts (id),
  path text not null,
  resources jsonb not null check (amounts_are_counts(resources)),
  -- [{key, policy}]
  groups jsonb not null default '[]',
  created_at timestamptz not null default clock_timestamp(),
  check (num_nonnulls(vm_id, reservation_id) = 1)
);
create unique index allocations_of_reservation on allocations (reservation_id)
  where reservation_id is not null;
create index allocations_of_host on allocations (host_id);

-- Who is where of which group; goes with the booking.
create table group_members (
  key text not null,
  booking_id text not null references allocations (booking_id) on delete cascade,
  host_id text not null,
  policy text not null,
  primary key (key, booking_id)
);
create index group_members_of_host on group_members (key, host_id);
create index group_members_of_booking on group_members (booking_id);

-- Releases that the ledger may not have heard of; a row goes when the ledger has carried it out.
create table pending_releases (
  booking_id text primary key,
  vm_id text not null,
  host_id text not null,
  created_at timestamptz not null default clock_timestamp()
);
create index pending_releases_by_age on pending_releases (created_at);
