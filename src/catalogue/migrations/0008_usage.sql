-- How the fleet was used. `resources` is {class: {capacity, limit, booked, used}}; in a sample of an
-- hour these are means, and bookedMax and usedMax stand beside them.
create table usage_samples (
  scope text not null check (scope in ('total', 'zone', 'host')),
  -- Of the host, or the name of the zone; empty for the total.
  id text not null,
  step text not null check (step in ('5m', '1h')),
  -- Beginning of the step.
  at timestamptz not null,
  resources jsonb not null,
  primary key (scope, id, step, at)
);
create index usage_samples_by_age on usage_samples (step, at);
