/**
 * Files of /proc and /sys below a root directory. What is not there, or has nothing to say (many of
 * these files fail to be read instead), is null: each reader decides what that means.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename, join } from 'node:path';

export async function readSys(root: string, path: string): Promise<string | null> {
  try {
    return await readFile(join(root, path), 'utf8');
  } catch {
    return null;
  }
}

/** Names in a directory, in order; none when it is not there. */
export async function namesIn(root: string, path: string): Promise<readonly string[]> {
  try {
    return (await readdir(join(root, path))).sort();
  } catch {
    return [];
  }
}

/** Last part of what a link leads to, such as the driver of a device; null when it is no link. */
export async function linkedName(root: string, path: string): Promise<string | null> {
  try {
    return basename(await readlink(join(root, path)));
  } catch {
    return null;
  }
}
