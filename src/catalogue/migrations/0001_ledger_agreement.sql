-- What ledger and catalogue must agree on. One row: its lock gives recorders an order.
-- It is rewritten by every batch, so its page keeps room for the next versions of the row.
create table meta (
  id integer primary key default 1 check (id = 1),
  epoch bigint not null default 1,
  high_water bigint not null default 0,
  -- The ledger that the last finished rebuild made; null while one is under way.
  incarnation text
) with (fillfactor = 10);
insert into meta default values;

-- Which replica does what only one should do.
create table leases (
  name text primary key,
  holder text not null,
  until timestamptz not null
);
