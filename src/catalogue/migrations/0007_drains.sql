-- Drains: hosts that are emptied by moving their VMs away. One row a host: that of its last drain.
create table drains (
  host_id text primary key references hosts (id) on delete cascade,
  -- `done`: the host has no VM and stays closed until an operator enables or retires it.
  state text not null check (state in ('draining', 'done', 'cancelled')),
  reason text,
  owner text,
  -- What the host was before, for a cancel: {mode, reason, owner, until}.
  before jsonb not null,
  -- The ledger as it was when what is blocked was last tried; null: not yet.
  tried_at_seq bigint,
  started_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz
);
create index drains_open on drains (host_id) where state = 'draining';

-- The plan, and what became of it. No reference to vms: a VM may be deleted and purged meanwhile.
create table drain_moves (
  host_id text not null references drains (host_id) on delete cascade,
  vm_id text not null,
  vm_name text not null,
  -- In which order they are moved.
  position integer not null,
  state text not null check (state in ('planned', 'moving', 'moved', 'blocked', 'cancelled')),
  -- {id, name} of hosts; null for none.
  planned jsonb,
  target jsonb,
  detail text,
  -- Why no host can take it.
  summary jsonb,
  primary key (host_id, vm_id)
);
create index drain_moves_under_way on drain_moves (host_id) where state = 'moving';
