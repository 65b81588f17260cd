/** A PostgreSQL as it is set up for use, which has been in use already. */
import pg from 'pg';
import { startPostgres, type TestPostgres } from '../tests/support/postgres.js';

/** As docs/operating.md advises where there is much to write. */
const SETTINGS = ['shared_buffers=512MB', 'max_wal_size=8GB'];

/** Of 16 MiB each: as much of its log as a benchmark writes in half a minute. */
const SEGMENTS = 40;

/**
 * Commits wait for the disk. A server that has been in use writes its log into segments that it has
 * written before. A new one has to make each of them first, and every commit waits for that: 60 ms,
 * once a second under load.
 */
export async function startSeasonedPostgres(): Promise<TestPostgres> {
  const postgres = await startPostgres({ fsync: true, settings: SETTINGS });
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  for (let segment = 0; segment < SEGMENTS; segment += 1) {
    await client.query("select pg_logical_emit_message(false, 'berth', ''), pg_switch_wal()");
  }
  await client.query('checkpoint');
  await client.end();
  return postgres;
}
