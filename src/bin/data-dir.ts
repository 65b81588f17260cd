/** The data directory: made and tried before anything else is started. */
import { randomUUID } from 'node:crypto';
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { errorCode } from '../std/error-code.js';

/** Where the agent of this machine keeps what is its own. */
export const agentDir = (dataDir: string): string => join(dataDir, 'agent');

/**
 * Makes the directory, if need be, and writes a file to it.
 * @throws Error that names BERTH_DATA_DIR
 */
export async function prepareDataDir(dataDir: string): Promise<void> {
  try {
    await makeDirectory(resolve(dataDir));
    const probe = join(dataDir, `.probe-${randomUUID()}`);
    await writeFile(probe, '', { flag: 'wx', mode: 0o600 });
    await rm(probe);
  } catch (cause) {
    const code = errorCode(cause) ?? String(cause);
    throw new Error(
      `the data directory ${dataDir} cannot be used (${REASONS[code] ?? code}): set BERTH_DATA_DIR to a directory that this user may write to`,
      { cause },
    );
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  ENOENT: 'it cannot be made there',
  EEXIST: 'it is a file',
  ENOTDIR: 'a part of it is a file',
  EROFS: 'read-only file system',
  ENOSPC: 'the disk is full',
};

/**
 * Step by step: Node's own recursive mkdir never returns where the file system says that what it
 * just made is not there, as /proc does.
 */
async function makeDirectory(path: string): Promise<void> {
  const there = await stat(path).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  });
  if (there?.isDirectory() === true) return;
  if (there === null && dirname(path) !== path) await makeDirectory(dirname(path));
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    // Somebody else made it at the same time.
    if (errorCode(error) === 'EEXIST' && (await stat(path)).isDirectory()) return;
    throw error;
  }
}
