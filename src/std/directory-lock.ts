/**
 * A lock file that keeps a directory for one process, for programs that would lose each other's
 * data in a directory that they share.
 * It names its holder by process id and start time, so a dead holder's lock is known as such even
 * when the id has been given to another process.
 */
import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from './error-code.js';

interface Holder {
  readonly pid: number;
  /** In the kernel's ticks since boot; null where there is no /proc. */
  readonly startedAt: string | null;
}

/** Rounds against processes that come and go in this very moment. */
const ROUNDS_MAX = 20;

/**
 * @param inUse what to say when a living process holds it
 * @returns the function that gives the lock back
 * @throws Error with that message
 */
export async function lockDirectory(
  directory: string,
  inUse: (pid: number) => string,
): Promise<() => Promise<void>> {
  const file = join(directory, 'lock');
  const mine = `${file}.${randomUUID()}`;
  const me: Holder = { pid: process.pid, startedAt: await startOf(process.pid) };
  // The last part makes every lock different, even two of one process.
  await writeFile(mine, JSON.stringify({ ...me, nonce: randomUUID() }), {
    flag: 'wx',
    mode: 0o600,
  });
  try {
    const holder = await claim(mine, file);
    if (holder === null) return () => rm(file, { force: true });
    throw new Error(inUse(holder.pid));
  } finally {
    await rm(mine, { force: true });
  }
}

/**
 * Puts our file where the lock is: by a link, which appears whole and only where nothing is. A dead
 * holder's lock may be replaced only by who has the lock `<file>.next`, so that of many who find it
 * dead one replaces it, and only what he found. That lock can be left by the dead in the same way.
 * @returns the living holder; null when it is ours
 */
async function claim(mine: string, file: string): Promise<Holder | null> {
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    if (await linked(mine, file)) return null;
    const found = await textOf(file);
    if (found === null) continue;
    const holder = holderIn(found);
    if (holder !== null && (await lives(holder))) return holder;

    const next = `${file}.next`;
    const rival = await claim(mine, next);
    if (rival !== null) return rival;
    if ((await textOf(file)) === found) {
      await rename(next, file);
      return null;
    }
    await rm(next, { force: true });
  }
  throw new Error(`the lock ${file} keeps changing hands`);
}

/** @returns false when there is a file already */
async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** @returns null when there is no such file */
async function textOf(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}

/** @returns null when the text names no holder: it was not written by us, or only in part */
function holderIn(text: string): Holder | null {
  let said: unknown;
  try {
    said = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof said !== 'object' || said === null || !('pid' in said)) return null;
  const { pid } = said;
  const startedAt =
    'startedAt' in said && typeof said.startedAt === 'string' ? said.startedAt : null;
  return typeof pid === 'number' ? { pid, startedAt } : null;
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
    return errorCode(error) === 'EPERM';
  }
}
