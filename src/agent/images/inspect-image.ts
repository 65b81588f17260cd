/**
 * Whether a file may become an image. It comes from a stranger: its format is named to every program
 * that opens it and never guessed by one, and it may not lead to any other file.
 */
import { open } from 'node:fs/promises';
import { DomainError } from '../../model/errors.js';
import type { ImageFormat } from '../../model/images.js';
import { qemuImgInfoSchema } from '../../wire/images.js';
import { foreignFormat, HEADER_BYTES, isQcow2, qcow2Fault } from './qcow2-header.js';
import { ProgramError, runProgram } from './run-program.js';

/** What qemu-img may take to look at one; a sound image needs some milliseconds. */
const LOOK = { cpuS: 10, memoryBytes: 1024 ** 3 };
const LOOK_LIMIT_MS = 20_000;

export interface Inspected {
  readonly format: ImageFormat;
  /** The disk that a guest sees. */
  readonly virtualBytes: number;
}

/**
 * @param named the format, where the caller says it: then it is that one or nothing
 * @param virtualBytesMax the largest disk that it may claim to be
 * @throws DomainError `image_invalid`
 */
export async function inspectImage(
  path: string,
  named: ImageFormat | null,
  virtualBytesMax: number,
): Promise<Inspected> {
  const format = formatOf(await headOf(path), named);
  const virtualBytes = await virtualBytesOf(path, format);
  if (virtualBytes <= virtualBytesMax) return { format, virtualBytes };
  throw unfit(
    `its disk of ${virtualBytes.toString()} bytes is larger than the ${virtualBytesMax.toString()} bytes that are allowed`,
  );
}

/** @throws DomainError `image_invalid` when it is not what it is said to be, or leads elsewhere */
export function formatOf(head: Buffer, named: ImageFormat | null): ImageFormat {
  const format = named ?? (isQcow2(head) ? 'qcow2' : 'raw');
  if (format === 'qcow2') {
    const fault = qcow2Fault(head);
    if (fault !== null) throw unfit(fault);
    return format;
  }
  if (isQcow2(head)) throw unfit('it was said to be raw, but it is qcow2');
  const foreign = named === null ? foreignFormat(head) : null;
  if (foreign === null) return format;
  throw unfit(`it looks like ${foreign}: convert it to qcow2, or say that its format is raw`);
}

async function headOf(path: string): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
    if (bytesRead === 0) throw unfit('it is empty');
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** What qemu-img reads in it must agree with what was read here. */
async function virtualBytesOf(path: string, format: ImageFormat): Promise<number> {
  const args = ['info', '-f', format, '--output=json', path];
  const { stdout } = await runProgram('qemu-img', args, {
    held: LOOK,
    limitMs: LOOK_LIMIT_MS,
  }).catch((error: unknown) => {
    if (error instanceof ProgramError && !error.isMissing) throw unreadable(error);
    throw error;
  });
  const said = qemuImgInfoSchema.safeParse(jsonOf(stdout.toString('utf8')));
  if (!said.success || said.data.format !== format) throw unreadable(said.error);
  const { data } = said.data['format-specific'] ?? {};
  const leads = [
    said.data['backing-filename'],
    said.data['full-backing-filename'],
    data?.['data-file'],
  ];
  if (leads.some((lead) => lead !== undefined)) throw unfit('it leads to another file');
  if (said.data.encrypted === true) throw unfit('it is encrypted');
  if (data?.corrupt === true) throw unfit('it is marked as corrupt');
  return said.data['virtual-size'];
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const unfit = (why: string): DomainError =>
  new DomainError('image_invalid', `This image is not taken: ${why}.`);

/** What the program says may name paths of this host, so it is for the log. */
const unreadable = (cause: unknown): DomainError =>
  new DomainError('image_invalid', 'This image is not taken: qemu-img cannot read it.', {
    internal: cause instanceof Error ? cause.message : 'its answer was not understood',
    cause,
  });
