/**
 * The file system of control groups, as far as the agent needs it. Files in it are made by the
 * kernel, so writing never makes one; a group goes by the removal of its directory, files and all.
 */
import { constants } from 'node:fs';
import { mkdir, open, readdir, readFile, rmdir } from 'node:fs/promises';
import { errorCode } from '../../std/error-code.js';

export interface GroupFiles {
  /** null when there is no such file. */
  read(path: string): Promise<string | null>;
  write(path: string, text: string): Promise<void>;
  /** Makes a group; one that is there stays. */
  make(path: string): Promise<void>;
  /** Removes a group without processes; none is there afterwards. @throws Error with code EBUSY */
  remove(path: string): Promise<void>;
  /** Names of the groups in a group; none when it is not there. */
  groupsIn(path: string): Promise<readonly string[]>;
}

export const kernelGroupFiles: GroupFiles = {
  read: (path) => readFile(path, 'utf8').catch(ifMissing(null)),
  async write(path, text) {
    const file = await open(path, constants.O_WRONLY);
    try {
      // The kernel takes a value in one piece or refuses it.
      await file.write(text);
    } finally {
      await file.close();
    }
  },
  async make(path) {
    await mkdir(path, { mode: 0o755 }).catch((cause: unknown) => {
      if (errorCode(cause) !== 'EEXIST') throw cause;
    });
  },
  remove: (path) => rmdir(path).catch(ifMissing(undefined)),
  async groupsIn(path) {
    const entries = await readdir(path, { withFileTypes: true }).catch(ifMissing([]));
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  },
};

const GONE: readonly (string | undefined)[] = ['ENOENT', 'ENODEV'];

/** A group that is removed while it is read answers with ENODEV. */
const ifMissing =
  <T>(value: T) =>
  (cause: unknown): T => {
    if (GONE.includes(errorCode(cause))) return value;
    throw cause;
  };
