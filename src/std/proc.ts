/**
 * Readers of Linux's /proc: pure parsers of its texts, and one careful read. They fail loudly when a
 * text is not what it should be: a machine that is misread would be filled wrongly.
 */
import { readFile } from 'node:fs/promises';
import { errorCode } from './error-code.js';

export interface MemoryInfo {
  readonly totalKib: number;
  /** What could be had without swapping. */
  readonly availableKib: number;
  /** Kept for huge pages; a part of the total, never of what is available. */
  readonly hugePagesKib: number;
}

/**
 * Logical CPUs in a /proc/cpuinfo. Most architectures, arm64 among them, write one
 * `processor : 0` line per CPU; s390x writes `processor 0: …`. Older 32-bit arm adds a line
 * `Processor : ARMv7 …`, which names the model and is not counted.
 * @throws Error when no CPU is found
 */
export function parseCpuCount(cpuinfo: string): number {
  const lines = cpuinfo.match(/^processor(?:\s*:\s*\d+\s*|\s+\d+\s*:.*)$/gm);
  if (lines !== null) return lines.length;
  // sparc and alpha only tell the number of active CPUs.
  const active = /^n?cpus active\s*:\s*(\d+)/m.exec(cpuinfo);
  const count = Number(active?.[1] ?? 0);
  if (count < 1) throw new Error('/proc/cpuinfo names no processor');
  return count;
}

/** @throws Error when `MemTotal` is missing */
export function parseMemory(meminfo: string): MemoryInfo {
  const read = (key: string): number | undefined => {
    const kib = new RegExp(`^${key}:\\s+([0-9]{1,12}) kB`, 'm').exec(meminfo)?.[1];
    return kib === undefined ? undefined : Number(kib);
  };
  const totalKib = read('MemTotal');
  if (totalKib === undefined || totalKib === 0) throw new Error('/proc/meminfo has no MemTotal');
  // Kernels before 3.14 have no MemAvailable; free and cached memory come near to it.
  const availableKib =
    read('MemAvailable') ?? (read('MemFree') ?? 0) + (read('Buffers') ?? 0) + (read('Cached') ?? 0);
  return {
    totalKib,
    availableKib: Math.min(availableKib, totalKib),
    hugePagesKib: Math.min(hugePagesOf(meminfo, read), totalKib),
  };
}

/** Kernels before 4.19 tell the pages of the standard size only. */
function hugePagesOf(meminfo: string, read: (key: string) => number | undefined): number {
  const pages = /^HugePages_Total:\s+([0-9]{1,12})\s*$/m.exec(meminfo)?.[1];
  return read('Hugetlb') ?? Number(pages ?? 0) * (read('Hugepagesize') ?? 0);
}

/** Seconds since the machine was started. */
export function parseUptimeS(uptime: string): number {
  const seconds = Number.parseFloat(uptime);
  if (!(seconds >= 0)) throw new Error('/proc/uptime does not begin with a number of seconds');
  return seconds;
}

/** Load averages over 1, 5 and 15 minutes. */
export function parseLoad(loadavg: string): readonly [number, number, number] {
  const [one, five, fifteen] = loadavg.split(/\s+/).slice(0, 3).map(Number);
  if (one === undefined || five === undefined || fifteen === undefined) {
    throw new Error('/proc/loadavg holds fewer than three numbers');
  }
  if (![one, five, fifteen].every((load) => load >= 0)) {
    throw new Error('/proc/loadavg does not begin with three numbers');
  }
  return [one, five, fifteen];
}

/**
 * Text of a file in /proc; null on a machine that has no such file (macOS has no /proc at all).
 * @throws Error when the file is there but cannot be read
 */
export async function readProc(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return null;
    throw new Error(`cannot read ${path}`, { cause });
  }
}
