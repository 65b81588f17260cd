-- Requests that carried an Idempotency-Key. A row without a status is being answered until its lease
-- is over; then a repeat takes it over, with the same seed, so that it makes the same ids.
create table idempotency_keys (
  -- Whose key it is: equal keys of two callers are two keys.
  scope text not null,
  key text not null,
  request_hash text not null,
  seed text not null,
  lease_owner text,
  lease_until timestamptz,
  status integer,
  -- JSON as text: a repeat gets every byte as it was.
  answer text,
  created_at timestamptz not null default clock_timestamp(),
  primary key (scope, key),
  check ((status is null) = (answer is null)),
  check (status is null or lease_owner is null)
);
create index idempotency_keys_by_age on idempotency_keys (created_at);
