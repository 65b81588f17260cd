/** Bodies that are files: they come as bytes, are written to a file as they come, and checked there. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm, statfs } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { DomainError } from '../model/errors.js';
import { malformed } from './problem.js';

export const FILE_MEDIA_TYPE = 'application/octet-stream';

/** What a route that takes a file lets in. */
export interface UploadRule {
  readonly bytesMax: number;
}

/** A file on its way in. */
export interface Upload {
  /** As announced. */
  readonly bytes: number;
  readonly body: AsyncIterable<Uint8Array>;
}

/** A caller who sends nothing for so long is gone. */
const STALL_MS = 30_000;

/**
 * The file that a request brings; not a byte of it is read yet.
 * @throws DomainError `unsupported_media_type`, `invalid_request`, `body_too_large`
 */
export function uploadIn(request: IncomingMessage, { bytesMax }: UploadRule): Upload {
  const type = request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  if (type !== FILE_MEDIA_TYPE) {
    throw new DomainError('unsupported_media_type', `Send the file as ${FILE_MEDIA_TYPE}.`, {
      errors: [{ field: 'content-type', message: `must be ${FILE_MEDIA_TYPE}` }],
      extra: { accepted: FILE_MEDIA_TYPE },
    });
  }
  const bytes = Number(request.headers['content-length']);
  if (!Number.isSafeInteger(bytes) || bytes < 1) {
    throw malformed('content-length', 'must say how many bytes the file has');
  }
  if (bytes > bytesMax) {
    throw new DomainError('body_too_large', `A file may have ${bytesMax.toString()} bytes here.`);
  }
  return { bytes, body: piecesOf(request) };
}

async function* piecesOf(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  request.setTimeout(STALL_MS, () => {
    request.destroy();
  });
  try {
    for await (const piece of request) yield piece as Uint8Array;
  } catch (cause) {
    throw new DomainError('invalid_request', 'The file broke off before its end.', { cause });
  } finally {
    request.setTimeout(0);
  }
}

/** A file that lies on our disk for as long as it is needed. */
export interface Spooled {
  readonly bytes: number;
  /** SHA-256 in hex. */
  readonly digest: string;
  read(): AsyncIterable<Uint8Array>;
  remove(): Promise<void>;
}

/** What must stay free for everything else. */
const FREE_BYTES_MIN = 1024 ** 3;

/** Writes a file to a directory of its own below `parent`. Nothing is left when it breaks off. */
export async function spool({ bytes, body }: Upload, parent: string): Promise<Spooled> {
  const { bavail, bsize } = await statfs(parent);
  if (bavail * bsize < bytes + FREE_BYTES_MIN) {
    throw new DomainError('overloaded', 'This replica has no room for the file at present.', {
      retryAfterS: 60,
    });
  }
  const directory = await mkdtemp(join(parent, 'berth-upload-'));
  const remove = () => rm(directory, { recursive: true, force: true });
  const path = join(directory, 'file');
  try {
    const digest = await write(path, body);
    return { bytes, digest, read: () => createReadStream(path), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function write(path: string, body: Upload['body']): Promise<string> {
  const hash = createHash('sha256');
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const piece of body) {
      hash.update(piece);
      await file.writeFile(piece);
    }
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}
