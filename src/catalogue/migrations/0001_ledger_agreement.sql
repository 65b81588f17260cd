-- What ledger and catalogue must agree on. One row: its lock gives recorders an order.
create table meta (
  id integer primary key default 1 check (id = 1),
  epoch bigint not null default 1,
  high_water bigint not null default 0
);
insert into meta default values;

create table leases (
  name text primary key,
  holder text not null,
  until timestamptz not null
);
