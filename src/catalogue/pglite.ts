/** PostgreSQL inside this process, in a directory that a lock file keeps for it alone. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { createPgConfig, type PGlitePgConfig } from '@electric-sql/pglite/node-postgres';
import { lockDirectory } from '../std/directory-lock.js';

export interface EmbeddedPostgres {
  /** What node-postgres's pool needs to talk to it. */
  readonly poolConfig: PGlitePgConfig;
  /** To be called when the pool has ended. */
  close(): Promise<void>;
}

/** @throws Error when another process has the directory */
export async function openPglite(directory: string): Promise<EmbeddedPostgres> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const unlock = await lockDirectory(
    directory,
    // Two of them in one directory lose each other's rows without a word, and neither looks.
    (pid) =>
      `${directory} is in use by process ${pid.toString()}: only one process may open it. Stop that one, choose another data directory, or use a PostgreSQL server (DATABASE_URL).`,
  );
  try {
    const lite = await PGlite.create(join(directory, 'data'));
    return {
      poolConfig: createPgConfig(lite),
      async close() {
        await lite.close();
        await unlock();
      },
    };
  } catch (error) {
    await unlock();
    throw error;
  }
}
