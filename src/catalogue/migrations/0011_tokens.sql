-- Tokens of people, programs and machines. Of the secret only the hash is kept; it has 256 random
-- bits, so nothing slower than SHA-256 is needed to keep it from being guessed.
create table tokens (
  id text primary key,
  -- Order of creation.
  seq bigint generated always as identity unique,
  prefix text not null,
  hash text not null unique,
  role text not null check (role in ('admin', 'operator', 'viewer', 'tenant', 'join')),
  name text not null,
  path text check ((path is not null) = (role = 'tenant')),
  created_by text not null,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz,
  revoked_at timestamptz,
  -- The host that a join token let in, and when.
  used_at timestamptz,
  used_by text,
  check ((used_at is null) = (used_by is null)),
  check (used_by is null or role = 'join')
);

-- The hash is not among it: whoever reads the audit log need not know it.
create function token_facts(token tokens) returns jsonb
language sql stable
return jsonb_build_object(
  'id', token.id, 'prefix', token.prefix, 'role', token.role, 'name', token.name,
  'path', token.path, 'expiresAt', shown_time(token.expires_at),
  'revokedAt', shown_time(token.revoked_at));

-- Into the audit log only: who follows events need not hear of tokens.
create function audit_of_token() returns trigger
language plpgsql as $$
begin
  perform note_change('token', new.id, new.path,
    case when tg_op = 'UPDATE' then token_facts(old) end, token_facts(new));
  return null;
end
$$;
create trigger token_is_new after insert on tokens
  for each row execute function audit_of_token();
create trigger token_is_revoked after update of revoked_at on tokens
  for each row when (old.revoked_at is distinct from new.revoked_at)
  execute function audit_of_token();
