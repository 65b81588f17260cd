-- Bookings that have ended, for a rebuild that reads the others while they change: who knows how the
-- catalogue was at one instant finds here what is gone since then. Kept for a while; see rebuild.ts.
create table ended_bookings (
  booking_id text not null,
  vm_id text not null,
  host_id text not null,
  -- The transaction that ended it: ids of transactions are given in order, and one that was not
  -- over at an instant has an id that is not lower than the lowest of those.
  ended_by xid8 not null default pg_current_xact_id(),
  ended_at timestamptz not null default clock_timestamp()
);
create index ended_bookings_by_transaction on ended_bookings (ended_by);
create index ended_bookings_by_age on ended_bookings (ended_at);

create function note_ended_bookings() returns trigger
language plpgsql as $$
begin
  insert into ended_bookings (booking_id, vm_id, host_id)
  select booking_id, coalesce(vm_id, reservation_id), host_id from ended;
  return null;
end
$$;

create trigger note_ended_bookings after delete on allocations
  referencing old table as ended
  for each statement execute function note_ended_bookings();
