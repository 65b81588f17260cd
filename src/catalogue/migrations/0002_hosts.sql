-- Amounts per class are JSON objects of whole numbers, so that an operator's classes need no column.

create function amounts_add(amounts jsonb, more jsonb, sign integer) returns jsonb
language sql immutable as $$
  select coalesce(jsonb_object_agg(class, amount), '{}')
  from (
    select class, sum(amount)::bigint as amount
    from (
      select key as class, value::bigint as amount from jsonb_each_text(amounts)
      union all
      select key, sign * value::bigint from jsonb_each_text(more)
    ) as parts
    group by class
  ) as sums
  where amount <> 0
$$;

-- allocated + requested <= limit in every class that is asked for.
create function amounts_fit(limits jsonb, allocated jsonb, requested jsonb) returns boolean
language sql immutable as $$
  select coalesce(bool_and(
    value::bigint = 0
    or coalesce((allocated ->> key)::bigint, 0) + value::bigint <= coalesce((limits ->> key)::bigint, 0)
  ), true)
  from jsonb_each_text(requested)
$$;

create function amounts_are_counts(amounts jsonb) returns boolean
language sql immutable as $$
  select coalesce(bool_and(value::bigint >= 0), true) from jsonb_each_text(amounts)
$$;

create table hosts (
  id text primary key,
  seq bigint generated always as identity unique,
  name text not null unique,
  address text not null,
  credential text not null,
  zone text not null,
  labels jsonb not null,
  state text not null check (state in ('joining', 'up', 'suspect', 'down')),
  mode text not null default 'enabled' check (mode in ('enabled', 'cordoned', 'draining', 'retired')),
  mode_reason text,
  missed_polls integer not null default 0,
  inventory jsonb not null,
  limits jsonb not null,
  allocated jsonb not null default '{}' check (amounts_are_counts(allocated)),
  revision bigint not null default 1,
  version text not null,
  boot_id text not null,
  last_seen_at timestamptz,
  created_at timestamptz not null default clock_timestamp()
);
