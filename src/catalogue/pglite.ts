/**
 * PostgreSQL inside this process, in a directory. Two processes in one directory silently lose rows
 * of each other, and PGlite does not look, so a lock file keeps the second one out.
 */
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { createPgConfig } from '@electric-sql/pglite/node-postgres';

export interface EmbeddedPostgres {
  readonly poolConfig: ReturnType<typeof createPgConfig>;
  close(): Promise<void>;
}

/** @throws Error when another process has the directory */
export async function openPglite(directory: string): Promise<EmbeddedPostgres> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const lockFile = join(directory, '..', 'catalogue.lock');
  await lock(lockFile, directory);
  try {
    const lite = await PGlite.create(join(directory, 'pglite'));
    return {
      poolConfig: createPgConfig(lite),
      async close() {
        await lite.close();
        await rm(lockFile, { force: true });
      },
    };
  } catch (error) {
    await rm(lockFile, { force: true });
    throw error;
  }
}

/** A lock left by a process that is gone is taken over. */
async function lock(file: string, directory: string): Promise<void> {
  for (;;) {
    try {
      const handle = await open(file, 'wx', 0o600);
      await handle.writeFile(
        JSON.stringify({ pid: process.pid, startedAt: await startOf(process.pid) }),
      );
      await handle.close();
      return;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    const holder = await holderOf(file);
    if (holder !== null && (await startOf(holder.pid)) === holder.startedAt) {
      throw new Error(
        `${directory} is in use by another Berth (process ${holder.pid.toString()}); stop it, or set DATABASE_URL.`,
      );
    }
    await rm(file, { force: true });
  }
}

async function holderOf(
  file: string,
): Promise<{ readonly pid: number; readonly startedAt: string } | null> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as { pid: number; startedAt: string };
  } catch {
    return null;
  }
}

/** When a process started, in the kernel's own ticks: tells a reused id from the old process. */
async function startOf(pid: number): Promise<string> {
  try {
    const stat = await readFile(`/proc/${pid.toString()}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')')).split(' ')[20] ?? '';
  } catch {
    return isAlive(pid) ? 'alive' : '';
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
