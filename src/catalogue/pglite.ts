/** PostgreSQL inside this process, in a directory that a lock file keeps for it alone. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { createPgConfig, type PGlitePgConfig } from '@electric-sql/pglite/node-postgres';
import { lockDirectory } from './directory-lock.js';

export interface EmbeddedPostgres {
  /** What node-postgres's pool needs to talk to it. */
  readonly poolConfig: PGlitePgConfig;
  /** To be called when the pool has ended. */
  close(): Promise<void>;
}

/** @throws Error when another process has the directory */
export async function openPglite(directory: string): Promise<EmbeddedPostgres> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const unlock = await lockDirectory(directory);
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
