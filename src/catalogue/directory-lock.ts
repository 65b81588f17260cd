/**
 * A lock file that keeps a directory for one process. Two embedded databases in one directory lose
 * each other's rows without a word, and neither of them looks.
 * It names its holder by process id and start time, so a dead holder's lock is known as such even
 * when the id has been given to another process.
 */
import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

interface Holder {
  readonly pid: number;
  /** In the kernel's ticks since boot; null where there is no /proc. */
  readonly startedAt: string | null;
}

/** Processes that may race us to a dead holder's lock before we give up. */
const TAKEOVERS_MAX = 10;

/**
 * @returns the function that gives the lock back
 * @throws Error when a living process holds it
 */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const file = join(directory, 'lock');
  const mine = join(directory, `lock.${randomUUID()}`);
  const me: Holder = { pid: process.pid, startedAt: await startOf(process.pid) };
  await writeFile(mine, JSON.stringify(me), { flag: 'wx', mode: 0o600 });
  try {
    for (let tries = 1; tries <= TAKEOVERS_MAX; tries += 1) {
      // A link appears whole and only where nothing is, so nobody reads a half-written lock.
      if (await linked(mine, file)) return () => rm(file, { force: true });
      await removeIfDead(file, directory);
    }
    throw new Error(`the lock of ${directory} keeps changing hands`);
  } finally {
    await rm(mine, { force: true });
  }
}

/** @throws Error when the holder lives */
async function removeIfDead(file: string, directory: string): Promise<void> {
  const before = await holderOf(file);
  if (before !== null && (await lives(before))) throw inUse(directory, before);
  // Moved aside before it is removed: whoever else found it dead may have put his own there since.
  const aside = `${file}.${randomUUID()}`;
  try {
    await rename(file, aside);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    throw error;
  }
  try {
    const moved = await holderOf(aside);
    if (moved === null || !(await lives(moved))) return;
    await linked(aside, file);
    throw inUse(directory, moved);
  } finally {
    await rm(aside, { force: true });
  }
}

const inUse = (directory: string, { pid }: Holder): Error =>
  new Error(
    `${directory} is in use by process ${pid.toString()}: only one process may open it. Stop that one, choose another data directory, or use a PostgreSQL server (DATABASE_URL).`,
  );

/** @returns false when there is a file already */
async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/** @returns null when there is no lock, or nothing that can be read as one */
async function holderOf(file: string): Promise<Holder | null> {
  try {
    const said: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (typeof said !== 'object' || said === null || !('pid' in said)) return null;
    const { pid } = said;
    const startedAt =
      'startedAt' in said && typeof said.startedAt === 'string' ? said.startedAt : null;
    return typeof pid === 'number' ? { pid, startedAt } : null;
  } catch (error) {
    if (error instanceof SyntaxError || hasCode(error, 'ENOENT')) return null;
    throw error;
  }
}

async function lives({ pid, startedAt }: Holder): Promise<boolean> {
  const start = await startOf(pid);
  return start === null || startedAt === null ? isAlive(pid) : start === startedAt;
}

/** When a process started; null when /proc does not tell. */
async function startOf(pid: number): Promise<string | null> {
  try {
    const stat = await readFile(`/proc/${pid.toString()}/stat`, 'utf8');
    // The second field is the program's name in brackets and may hold spaces; this is field 22.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, 'EPERM');
  }
}

const hasCode = (error: unknown, code: string): boolean =>
  typeof error === 'object' && error !== null && 'code' in error && error.code === code;
