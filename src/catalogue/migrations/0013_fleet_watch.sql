-- The fleet as a whole: whether so many hosts are missing that we must be cut off ourselves, when
-- somebody looked last, and which hosts go up and down all the time. See model/fleet-breaker.ts.
create table fleet_watch (
  id integer primary key default 1 check (id = 1),
  -- When the newest look that was judged began, and when it was judged.
  looked_at timestamptz,
  finished_at timestamptz,
  grace_until timestamptz,
  is_open boolean not null default false,
  changed_at timestamptz,
  reason text,
  hosts integer not null default 0,
  missing integer not null default 0,
  dismissed_at timestamptz,
  anew_at timestamptz,
  -- When automation closed hosts lately.
  cordons timestamptz[] not null default '{}'
) with (fillfactor = 10);
insert into fleet_watch default values;

alter table hosts
  -- When the look began whose poll was saved last: an older one says nothing any more.
  add column polled_at timestamptz,
  -- When the first of its present misses was.
  add column missing_since timestamptz,
  -- When it changed between `up` and not `up`, oldest first.
  add column changes timestamptz[] not null default '{}',
  add column cordoned_by_automation boolean not null default false;

-- Whether nothing may follow from what is missing, of a look that began then.
create function is_held(asked_at timestamptz) returns boolean
language sql stable
return (select is_open or coalesce(grace_until > clock_timestamp(), false)
          or coalesce(anew_at >= asked_at, false) from fleet_watch);

create function fleet_facts(watch fleet_watch) returns jsonb
language sql stable
return jsonb_build_object(
  'breaker', case when watch.is_open then 'open' else 'closed' end,
  'since', shown_time(watch.changed_at), 'reason', watch.reason,
  'hosts', watch.hosts, 'missing', watch.missing);

create function tell_of_breaker() returns trigger
language plpgsql as $$
begin
  perform tell(case when new.is_open then 'fleet.breaker_opened' else 'fleet.breaker_closed' end,
               'fleet', 'fleet', null, null, fleet_facts(old), fleet_facts(new));
  return null;
end
$$;
create trigger breaker_changed after update of is_open on fleet_watch
for each row when (old.is_open is distinct from new.is_open) execute function tell_of_breaker();
