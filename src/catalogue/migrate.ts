/** Brings a database to the present schema: numbered SQL files, forward only, one replica at a time. */
import { readdir, readFile } from 'node:fs/promises';
import { Migrator, sql, type Migration } from 'kysely';
import type { Database } from './connection.js';

const FOLDER = new URL('./migrations/', import.meta.url);

/** How the migrator says that the database has had one that is not among the files. */
const UNKNOWN = /previously executed migration (\S+) is missing/;

/** @throws Error naming the migration that failed; what it began is undone */
export async function migrate(db: Database): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: readMigrations } });
  const { error, results } = await migrator.migrateToLatest();
  if (error === undefined) return;
  const unknown = UNKNOWN.exec(error instanceof Error ? error.message : '')?.[1];
  if (unknown !== undefined) {
    throw new Error(`the database is of a newer release, which made its ${unknown}; run that one`);
  }
  const failed = results?.find(({ status }) => status === 'Error')?.migrationName;
  throw new Error(`migration ${failed ?? 'of the catalogue'} failed`, { cause: error });
}

async function readMigrations(): Promise<Record<string, Migration>> {
  const files = (await readdir(FOLDER)).filter((name) => name.endsWith('.sql')).sort();
  const entries = files.map(async (name): Promise<[string, Migration]> => {
    const text = await readFile(new URL(name, FOLDER), 'utf8');
    return [
      name.replace(/\.sql$/, ''),
      {
        up: async (db) => {
          await sql.raw(text).execute(db);
        },
      },
    ];
  });
  return Object.fromEntries(await Promise.all(entries));
}
