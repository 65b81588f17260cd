/**
 * What this machine has, and what of it is in use now. Read anew at every call: memory can be
 * plugged, disks can grow. What may be booked of it is not decided here; see model/inventory.ts.
 */
import { statfs } from 'node:fs/promises';
import os from 'node:os';
import type { MeasuredTotals } from '../model/agent-report.js';
import type { Resources } from '../model/resources.js';
import { parseCpuCount, parseLoad, parseMemory, parseUptimeS, readProc } from '../std/proc.js';

const KIB_PER_MIB = 1024;
const BYTES_PER_MIB = 1024 * 1024;

export interface Measurement {
  readonly totals: MeasuredTotals;
  /** What is really in use, for the classes where it is known. */
  readonly used: Resources;
  readonly uptimeS: number;
  /** Averages over 1, 5 and 15 minutes. */
  readonly load: readonly [number, number, number];
}

/** Measures the machine. @throws Error when a reading makes no sense */
export type Measure = () => Promise<Measurement>;

/**
 * The machine this process runs on.
 * @param dataDir disk space is that of the file system which holds this directory
 * @param procDir where Linux shows itself
 */
export function realMachine(dataDir: string, procDir = '/proc'): Measure {
  return async () => {
    const [cpu, memory, disk, vitals] = await Promise.all([
      cpuCount(procDir),
      memoryMib(procDir),
      diskMib(dataDir),
      vitalsOf(procDir),
    ]);
    return {
      totals: {
        cpu: { total: cpu, source: 'detected' },
        memory: { total: memory.total, source: 'detected' },
        disk: { total: disk.total, source: 'detected' },
      },
      used: { memory: memory.used, disk: disk.used },
      ...vitals,
    };
  };
}

/** A machine that is only told of, for simulated hosts; what it really uses is not known. */
export function configuredMachine(totals: Resources): Measure {
  const entries = Object.entries(totals);
  return async () => ({
    totals: Object.fromEntries(
      entries.map(([resource, total]) => [resource, { total, source: 'configured' }]),
    ),
    used: {},
    ...(await vitalsOf('/proc')),
  });
}

async function cpuCount(procDir: string): Promise<number> {
  const text = await readProc(`${procDir}/cpuinfo`);
  return text === null ? os.cpus().length : parseCpuCount(text);
}

async function memoryMib(procDir: string): Promise<{ total: number; used: number }> {
  const text = await readProc(`${procDir}/meminfo`);
  const { totalKib, availableKib } =
    text === null
      ? { totalKib: os.totalmem() / 1024, availableKib: os.freemem() / 1024 }
      : parseMemory(text);
  return {
    total: Math.floor(totalKib / KIB_PER_MIB),
    used: Math.ceil((totalKib - availableKib) / KIB_PER_MIB),
  };
}

async function diskMib(dataDir: string): Promise<{ total: number; used: number }> {
  const { blocks, bfree, bsize } = await statfs(dataDir);
  const total = Math.floor((blocks * bsize) / BYTES_PER_MIB);
  if (total < 1) throw new Error(`the file system of ${dataDir} reports no size`);
  return { total, used: Math.ceil(((blocks - bfree) * bsize) / BYTES_PER_MIB) };
}

async function vitalsOf(procDir: string): Promise<Pick<Measurement, 'uptimeS' | 'load'>> {
  const [uptime, loadavg] = await Promise.all([
    readProc(`${procDir}/uptime`),
    readProc(`${procDir}/loadavg`),
  ]);
  const [one = 0, five = 0, fifteen = 0] = os.loadavg();
  return {
    uptimeS: uptime === null ? os.uptime() : parseUptimeS(uptime),
    load: loadavg === null ? [one, five, fifteen] : parseLoad(loadavg),
  };
}
