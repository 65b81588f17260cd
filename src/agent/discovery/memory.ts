/**
 * Memory that VMs can have here: all that the kernel manages, less the pool of huge pages, which VMs
 * do not use, and no more than the control groups of this process leave it.
 */
import os from 'node:os';
import { parseMemory } from '../../std/proc.js';
import { limitTexts } from './control-group.js';
import { readSys } from './sys-files.js';

const BYTES_PER_KIB = 1024;
const BYTES_PER_MIB = 1024 * 1024;

export interface MemoryRoom {
  readonly totalMib: number;
  /** What could not be had without swapping. */
  readonly usedMib: number;
}

/** @throws Error when what the kernel says is not to be understood */
export async function measureMemory(root: string): Promise<MemoryRoom> {
  const meminfo = await readSys(root, '/proc/meminfo');
  if (meminfo === null) return roomOf(os.totalmem(), os.freemem());
  const { totalKib, availableKib, hugePagesKib } = parseMemory(meminfo);
  const limits = (await limitTexts(root, 'memory')).map(limitBytes);
  const total = (totalKib - hugePagesKib) * BYTES_PER_KIB;
  return roomOf(Math.min(total, ...limits), availableKib * BYTES_PER_KIB);
}

/** What there is rounded down, what is used rounded up. */
function roomOf(totalBytes: number, availableBytes: number): MemoryRoom {
  const usedBytes = Math.max(0, totalBytes - availableBytes);
  return {
    totalMib: Math.floor(totalBytes / BYTES_PER_MIB),
    usedMib: Math.ceil(usedBytes / BYTES_PER_MIB),
  };
}

/** Version 2 writes `max` where there is no limit, version 1 a number beyond all memory. */
function limitBytes(text: string): number {
  const digits = /^([0-9]{1,20})$/.exec(text.trim())?.[1];
  return digits === undefined || Number(digits) === 0 ? Infinity : Number(digits);
}
