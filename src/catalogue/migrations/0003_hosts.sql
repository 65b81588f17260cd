-- Hosts. `allocated` is the sum of the host's allocations and changes with them in one transaction;
-- `limits` is computed from `inventory` by the program, so that the formula stands in one place.
create table hosts (
  id text primary key,
  -- Order of registration.
  seq bigint generated always as identity unique,
  name text not null unique,
  address text not null,
  credential text not null,
  zone text not null,
  labels jsonb not null,
  state text not null check (state in ('joining', 'up', 'suspect', 'down')),
  mode text not null default 'enabled'
    check (mode in ('enabled', 'cordoned', 'draining', 'retired')),
  mode_reason text,
  missed_polls integer not null default 0 check (missed_polls >= 0),
  inventory jsonb not null,
  limits jsonb not null,
  allocated jsonb not null default '{}' check (amounts_are_counts(allocated)),
  revision bigint not null default 1,
  version text not null,
  boot_id text not null,
  last_seen_at timestamptz,
  created_at timestamptz not null default clock_timestamp()
) with (fillfactor = 50);
