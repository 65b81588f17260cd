/** What the serial console of a VM has said, read from its file piece by piece. */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { DomainError } from '../model/errors.js';
import { errorCode } from '../std/error-code.js';
import { LOG_PIECE_BYTES_MAX, TAIL_BYTES, type LogPieceBody, type LogQuery } from '../wire/logs.js';

/**
 * @param path null when VMs here have no console
 * @throws DomainError `not_found` when nothing was ever said
 */
export async function readConsole(path: string | null, query: LogQuery): Promise<LogPieceBody> {
  const file = path === null ? null : await openPlain(path);
  if (file === null) throw new DomainError('not_found', 'This VM has no console log.');
  try {
    const { size } = await file.stat();
    const { from, tailBytes = TAIL_BYTES } = query;
    // A file that has become shorter was begun anew.
    const start = from === undefined ? Math.max(0, size - tailBytes) : from > size ? 0 : from;
    const length = Math.min(LOG_PIECE_BYTES_MAX, size - start);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, start);
    const next = start + bytesRead;
    return { data: buffer.toString('base64', 0, bytesRead), next, more: next < size };
  } finally {
    await file.close();
  }
}

/**
 * The file's directory belongs to the user that the VM runs as: what lies there in its place (a link
 * to a file of ours, a pipe that never ends) is not read.
 * @returns null when there is no plain file
 */
async function openPlain(path: string): Promise<FileHandle | null> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags).catch((error: unknown) => {
    if (['ENOENT', 'ELOOP', 'ENXIO'].includes(errorCode(error) ?? '')) return null;
    throw error;
  });
  if (file === null || (await file.stat()).isFile()) return file;
  await file.close();
  return null;
}
