/**
 * Disk space that VMs can have, and what takes it. Only what is free, or holds disks of VMs already,
 * can be given: images, volumes, other files and blocks that only root may use are not on offer.
 *
 *   offered = free + bytes that VM disks really take
 *             at most the configured limit, less images, cache and volumes
 *
 * VM disks grow up to the size that was promised, so both sides of the sum change, the sum does not.
 */
import { execFile } from 'node:child_process';
import { lstat, readdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface DiskSpace {
  /** What VM disks may take in all, those that are there included. */
  readonly offeredBytes: number;
  /** What a process without privileges could still write. */
  readonly freeBytes: number;
  /** Size of the file system. */
  readonly sizeBytes: number;
  /** Whether the configured limit is what bounds it, not the disk. */
  readonly isLimited: boolean;
  /** Bytes really on the disk. */
  readonly taken: DiskTaken;
}

export interface DiskTaken {
  readonly imagesBytes: number;
  readonly cacheBytes: number;
  readonly volumesBytes: number;
  /** Disks of VMs and what stands beside them. */
  readonly overlaysBytes: number;
}

/** Folders of an agent's data directory; all others hold what belongs to VMs. */
const FOLDER = { images: 'images', cache: 'cache', volumes: 'volumes', records: 'vms' } as const;

/** `st_blocks` counts these, whatever the file system's own blocks are. */
const BYTES_PER_BLOCK = 512;

const DEPTH_MAX = 8;
const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/**
 * @param limitBytes the most that may be used, images included; null: what the disk has
 * @throws Error when the file system reports no size
 */
export async function measureDisk(
  dataDir: string,
  limitBytes: number | null,
  askFragment: AskFragment = askStat,
): Promise<DiskSpace> {
  const { bavail, blocks, bsize } = await statfs(dataDir);
  const unit = (await fragmentBytes(dataDir, askFragment)) ?? bsize;
  const sizeBytes = blocks * unit;
  if (sizeBytes < MIB) throw new Error(`the file system of ${dataDir} reports no size`);
  const taken = await takenIn(dataDir);
  const freeBytes = bavail * unit;
  const byDisk = steadied(freeBytes + taken.overlaysBytes);
  const byLimit = (limitBytes ?? Infinity) - besideVms(taken);
  return {
    offeredBytes: Math.max(0, Math.min(byDisk, byLimit)),
    isLimited: byLimit <= byDisk,
    ...{ freeBytes, sizeBytes, taken },
  };
}

/** What `stat -f -c %S` prints of a directory: the bytes of the unit in which its blocks are counted. */
export type AskFragment = (directory: string) => Promise<string>;

const askStat: AskFragment = async (directory) =>
  (await promisify(execFile)('stat', ['-f', '-c', '%S', '--', directory], { timeout: 10_000 }))
    .stdout;

/** It does not change while a file system is mounted. */
const fragments = new Map<string, number>();

/**
 * POSIX counts blocks in `f_frsize`, which Node does not tell; `f_bsize` is what is good to transfer at
 * once. Most disks have the same of both; FUSE and virtiofs do not.
 * @returns null where it cannot be had
 */
async function fragmentBytes(directory: string, ask: AskFragment): Promise<number | null> {
  const known = fragments.get(directory);
  if (known !== undefined) return known;
  const bytes = Number(await ask(directory).catch(() => ''));
  if (!Number.isSafeInteger(bytes) || bytes < 1) return null;
  fragments.set(directory, bytes);
  return bytes;
}

/** What is counted on a disk beside the disks of VMs. */
export const besideVms = ({ imagesBytes, cacheBytes, volumesBytes }: DiskTaken): number =>
  imagesBytes + cacheBytes + volumesBytes;

/** Rounded down to a step of about a hundredth: a log that grows is no news to the whole fleet. */
function steadied(bytes: number): number {
  const step = bytes >= 64 * GIB ? GIB : bytes >= 8 * GIB ? 128 * MIB : 16 * MIB;
  return Math.floor(bytes / step) * step;
}

async function takenIn(dataDir: string): Promise<DiskTaken> {
  const sums = { imagesBytes: 0, cacheBytes: 0, volumesBytes: 0, overlaysBytes: 0 };
  for (const entry of await readdir(dataDir, { withFileTypes: true })) {
    if (!entry.isDirectory() || entry.name === FOLDER.records) continue;
    const bytes = await bytesBelow(join(dataDir, entry.name), DEPTH_MAX);
    if (entry.name === FOLDER.images) sums.imagesBytes += bytes;
    else if (entry.name === FOLDER.cache) sums.cacheBytes += bytes;
    else if (entry.name === FOLDER.volumes) sums.volumesBytes += bytes;
    else sums.overlaysBytes += bytes;
  }
  return sums;
}

/** What goes away while it is looked at takes nothing. */
async function bytesBelow(folder: string, depth: number): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  let sum = 0;
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) sum += depth > 0 ? await bytesBelow(path, depth - 1) : 0;
    else if (entry.isFile()) sum += await bytesOf(path);
  }
  return sum;
}

async function bytesOf(path: string): Promise<number> {
  const stats = await lstat(path).catch(() => null);
  return stats === null ? 0 : stats.blocks * BYTES_PER_BLOCK;
}
