/** Named leases: which replica does what only one should do. Time is the database's. */
import { sql } from 'kysely';
import type { Catalogue } from '../model/ports.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';

export const leasesOf = (db: Database): Pick<Catalogue, 'acquireLease' | 'releaseLease'> => ({
  acquireLease: (name, holder, ttlMs) =>
    answered(async () => {
      const { rows } = await sql`
        insert into leases (name, holder, until)
        values (${name}, ${holder}, clock_timestamp() + ${ttlMs} * interval '1 millisecond')
        on conflict (name) do update set holder = excluded.holder, until = excluded.until
          where leases.holder = excluded.holder or leases.until < clock_timestamp()
        returning name`.execute(db);
      return rows.length > 0;
    }),

  releaseLease: (name, holder) =>
    answered(async () => {
      await sql`delete from leases where name = ${name} and holder = ${holder}`.execute(db);
    }),
});
