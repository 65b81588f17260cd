/** A database that an earlier release made and filled, under this one. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { Kysely, Migrator, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { openCatalogue } from '../../src/catalogue/catalogue.js';
import { TESTER } from '../support/callers.js';
import { silentLog } from '../support/log.js';
import { freshDatabase } from '../support/postgres.js';
import { answeredPoll, hostNow, itemFor, missedPoll, placedVm, recordAll } from './builders.js';

const MIGRATIONS = 'src/catalogue/migrations';

/** The last one of the release that knew neither fences nor the watch over the fleet. */
const LAST_BEFORE = '0011_tokens';

/** What that release would have left behind: a host that is up, and a VM that runs there. */
const DATA = `
  insert into hosts (id, name, address, credential, zone, labels, state, inventory, limits, allocated,
                     version, boot_id, said, suspected, last_seen_at)
  values ('host-a', 'a', 'http://host-a:1', 'c', 'a', '{}', 'up',
    '{"cpu": {"total": 9, "reserved": 0, "overcommit": 1, "source": "configured"}}', '{"cpu": 9}',
    '{}', '1', 'boot-1', '{"zone": "a", "labels": {}, "totals": {"cpu": {"total": 9, "source": "configured"}}}',
    '{}', now());
  select record_bookings(1, 1, '{host-a}', '[{"kind": "create",
    "vm": {"id": "old", "name": "old", "path": "root", "image": null, "constraints": {},
           "requestHash": "hash of old"},
    "booking": {"bookingId": "booking-old", "hostId": "host-a", "path": "root", "resources": {"cpu": 1}},
    "attempt": {"host": {"id": "host-a", "name": "a"}, "at": "2026-11-21T10:00:00Z",
                "outcome": "placed", "detail": null}}]');
  update vms set state = 'running', has_run = true, due_at = null where id = 'old';`;

async function earlierDatabase(): Promise<string> {
  const url = await freshDatabase();
  const db = new Kysely<unknown>({
    dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url }) }),
  });
  const names = (await readdir(MIGRATIONS)).map((name) => name.replace(/\.sql$/, ''));
  const migrations = names
    .filter((name) => name <= LAST_BEFORE)
    .map((name) => {
      const up = async (tx: Kysely<unknown>) => {
        await sql.raw(await readFile(join(MIGRATIONS, `${name}.sql`), 'utf8')).execute(tx);
      };
      return [name, { up }] as const;
    });
  const provider = { getMigrations: () => Promise.resolve(Object.fromEntries(migrations)) };
  const { error } = await new Migrator({ db, provider }).migrateToLatest();
  if (error !== undefined)
    throw new Error('the earlier release is not as it was', { cause: error });
  await sql.raw(DATA).execute(db);
  await db.destroy();
  return url;
}

it('goes on as it was under this release, and its hosts can be fenced', async () => {
  const catalogue = await openCatalogue(
    { databaseUrl: await earlierDatabase() },
    { log: silentLog, missingGraceMs: 0 },
  );
  expect((await catalogue.vmByRequest('old'))?.vm).toMatchObject({
    state: 'running',
    host: { id: 'host-a' },
    onHostLoss: 'keep',
  });
  const host = await hostNow(catalogue, 'host-a');
  expect(host).toMatchObject({ state: 'up', fence: null, allocated: { cpu: 1 } });
  // Both ways of recording know what is new, whatever later migrations have replaced.
  const wish = { onHostLoss: 'restart' as const, resources: { cpu: 1 } };
  const plain = await placedVm(catalogue, host, wish);
  const groups = [{ key: 'g', policy: 'anti-affinity' as const }];
  const grouped = await placedVm(catalogue, host, { ...wish, groups });
  expect([plain.onHostLoss, grouped.onHostLoss]).toEqual(['restart', 'restart']);
  expect((await catalogue.vm('old'))?.users).toEqual([]);

  await catalogue.saveHostPolls([missedPoll(host.id, 'down', 3)]);
  const { released } = (await catalogue.fenceHost('a', 'power is cut', TESTER))!;
  expect(released.map(({ vmId }) => vmId).sort()).toEqual([plain.id, grouped.id].sort());
  expect((await catalogue.vmByRequest('old'))?.vm).toMatchObject({ state: 'unknown' });
  const { items } = await catalogue.audit({ limit: 1, cursor: null, subject: 'host-a' });
  expect(items).toMatchObject([{ action: 'host.fence', after: { fence: { by: TESTER.name } } }]);
  await catalogue.saveHostPolls([answeredPoll(host)]);
  expect(await hostNow(catalogue, 'host-a')).toMatchObject({ state: 'joining' });
  expect(await recordAll(catalogue, [itemFor(host)])).toMatchObject([{ kind: 'closed' }]);
  await catalogue.close();
}, 60_000);

it('is refused by a release before the one that made it, with what to do', async () => {
  const databaseUrl = await freshDatabase();
  const open = () => openCatalogue({ databaseUrl }, { log: silentLog });
  await (await open()).close();
  const operator = new pg.Client({ connectionString: databaseUrl });
  await operator.connect();
  await operator.query(
    "insert into kysely_migration (name, timestamp) values ('9999_to_come', now()::text)",
  );
  await operator.end();
  await expect(open()).rejects.toThrow(/newer release, which made its 9999_to_come; run that one/);
});
