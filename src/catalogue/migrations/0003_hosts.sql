-- Hosts. `allocated` is the sum of the host's allocations and changes with them in one transaction;
-- `limits` is computed from `inventory` by the program, so that the formula stands in one place.
create table hosts (
  id text primary key,
  -- Order of registration.
  seq bigint generated always as identity unique,
  name text not null,
  address text not null,
  credential text not null,
  zone text not null,
  labels jsonb not null,
  state text not null check (state in ('joining', 'up', 'suspect', 'down')),
  mode text not null default 'enabled'
    check (mode in ('enabled', 'cordoned', 'draining', 'retired')),
  mode_reason text,
  mode_owner text,
  -- When a cordon ends by itself.
  mode_until timestamptz check (mode_until is null or mode = 'cordoned'),
  -- What the operator says: {zone, labels, overcommit, reserve, totals}.
  overrides jsonb not null default '{}',
  -- What the agent says, as far as it counts: {zone, labels, totals}. Zone, labels, inventory and
  -- limits of this row are computed from it, from the overrides and from the configuration.
  said jsonb not null,
  -- Number of the last report of this boot; 0 after a join: any is newer.
  report bigint not null default 0,
  -- Totals that one report gave below the accepted ones; a second report makes them count.
  suspected jsonb not null default '{}',
  -- What the machine really uses per class.
  used jsonb not null default '{}',
  -- What VMs without a record take there; `limits` is already less by it.
  orphaned jsonb not null default '{}',
  -- Of the token with which the agent speaks to the control plane; null until it has one.
  token_hash text unique,
  -- The address that its name had when it joined: calls go there and nowhere else.
  ip text,
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
-- A retired host gives its name back.
create unique index hosts_name_key on hosts (name) where mode <> 'retired';
