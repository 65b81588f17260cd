/**
 * The file of a VM's serial console. A guest may write for ever, so the file is kept short by its
 * reader: QEMU appends, and so goes on at the new end of a file that was cut. What QEMU itself
 * prints is kept short in the same way.
 */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';

/** Above this a file is cut to its last part. */
export const CONSOLE_BYTES_MAX = 8 * 1024 * 1024;
export const CONSOLE_BYTES_KEPT = 1024 * 1024;

/** Cuts a file that has grown too long. What is written while it is cut may be lost. */
export async function shortenLog(path: string): Promise<void> {
  const file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    const { size } = await file.stat();
    if (size <= CONSOLE_BYTES_MAX) return;
    const kept = await readAt(file, size - CONSOLE_BYTES_KEPT, CONSOLE_BYTES_KEPT);
    await file.truncate(0);
    await file.write(kept, 0, kept.length, 0);
  } finally {
    await file.close();
  }
}

/** Size of the file; 0 when there is none. */
export async function consoleSize(path: string): Promise<number> {
  return withFile(path, 0, async (file) => (await file.stat()).size);
}

/** Text from an offset on, up to a length in bytes; empty when there is none. */
export async function readConsole(path: string, from: number, bytesMax: number): Promise<string> {
  return withFile(path, '', async (file) => (await readAt(file, from, bytesMax)).toString('utf8'));
}

async function withFile<T>(
  path: string,
  otherwise: T,
  work: (file: FileHandle) => Promise<T>,
): Promise<T> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW;
  const file = await open(path, flags).catch(() => null);
  if (file === null) return otherwise;
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

async function readAt(file: FileHandle, from: number, bytesMax: number): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(bytesMax), 0, bytesMax, from);
  return buffer.subarray(0, bytesRead);
}
