/**
 * What this machine has, and what of it is in use now. Read anew at every call: memory can be
 * plugged, disks fill up, links come and go. What may be booked of it is not decided here; see
 * model/inventory.ts.
 */
import os from 'node:os';
import type { MeasuredTotals } from '../model/agent-report.js';
import type { Resources } from '../model/resources.js';
import { parseLoad, parseUptimeS } from '../std/proc.js';
import { countCpus, type Warn } from './discovery/cpus.js';
import { measureDisk, type DiskSpace } from './discovery/disk-space.js';
import { measureGpus, type GpuRoom } from './discovery/gpus.js';
import { measureMemory } from './discovery/memory.js';
import { readSys } from './discovery/sys-files.js';
import { measureUplink } from './discovery/uplink.js';
import { DEFAULT_HOST_SETTINGS, underSettings, type HostSettings } from './host-settings.js';

const BYTES_PER_MIB = 1024 * 1024;

export interface Measurement {
  readonly totals: MeasuredTotals;
  /** What is really in use, for the classes where it is known. */
  readonly used: Resources;
  readonly uptimeS: number;
  /** Averages over 1, 5 and 15 minutes. */
  readonly load: readonly [number, number, number];
  /** Null on a host that is only told of. */
  readonly disk: DiskSpace | null;
  /** Null where there is none. */
  readonly gpu: GpuRoom | null;
}

/** Measures the machine. @throws Error when a reading makes no sense */
export type Measure = () => Promise<Measurement>;

export interface MachineOptions {
  /** Disk space is that of the file system which holds this directory. */
  readonly dataDir: string;
  readonly settings?: HostSettings | undefined;
  /** Where /proc and /sys are found; that of this machine when absent. */
  readonly root?: string | undefined;
  /** Hears, once, what had to be guessed. */
  readonly warn?: Warn | undefined;
}

/** The machine this process runs on. */
export function realMachine(options: MachineOptions): Measure {
  const { dataDir, settings = DEFAULT_HOST_SETTINGS, root = '/' } = options;
  const warn = once(options.warn);
  return async () => {
    const [cpu, memory, disk, uplink, gpu, vitals] = await Promise.all([
      countCpus(root, warn),
      measureMemory(root),
      measureDisk(dataDir, settings.diskLimitBytes ?? null),
      measureUplink(root, settings),
      measureGpus(root),
      vitalsOf(root),
    ]);
    const totals: MeasuredTotals = {
      cpu: { total: cpu, source: 'detected' },
      memory: { total: memory.totalMib, source: 'detected' },
      disk: {
        total: Math.floor(disk.offeredBytes / BYTES_PER_MIB),
        source: disk.isLimited ? 'configured' : 'detected',
      },
      network: uplink.network,
      disk_io: diskIoOf(settings),
      ...(gpu === null ? {} : { gpu: { total: gpu.slots, source: 'detected' as const } }),
    };
    return {
      totals: underSettings(totals, settings),
      used: {
        memory: memory.usedMib,
        // Of what is offered, what VMs really take.
        disk: Math.ceil(disk.taken.overlaysBytes / BYTES_PER_MIB),
      },
      ...vitals,
      ...{ disk, gpu },
    };
  };
}

/** A machine is measured again and again; its oddness is news once. */
function once(warn: Warn | undefined): Warn {
  let isTold = false;
  return (message, details) => {
    if (!isTold) warn?.(message, details);
    isTold = true;
  };
}

/** No kernel tells how fast its disks are. */
const diskIoOf = ({ diskIoBytesPerS }: HostSettings): MeasuredTotals[string] =>
  diskIoBytesPerS === undefined
    ? { total: 0, source: 'unknown' }
    : { total: diskIoBytesPerS, source: 'configured' };

/** A machine that is only told of, for simulated hosts; what it really uses is not known. */
export function configuredMachine(
  totals: Resources,
  settings: HostSettings = DEFAULT_HOST_SETTINGS,
): Measure {
  const told: MeasuredTotals = Object.fromEntries(
    Object.entries(totals).map(([resource, total]) => [
      resource,
      { total, source: 'configured' as const },
    ]),
  );
  return async () => ({
    totals: underSettings(told, settings),
    used: {},
    ...(await vitalsOf('/')),
    disk: null,
    gpu: null,
  });
}

async function vitalsOf(root: string): Promise<Pick<Measurement, 'uptimeS' | 'load'>> {
  const [uptime, loadavg] = await Promise.all([
    readSys(root, '/proc/uptime'),
    readSys(root, '/proc/loadavg'),
  ]);
  const [one = 0, five = 0, fifteen = 0] = os.loadavg();
  return {
    uptimeS: uptime === null ? os.uptime() : parseUptimeS(uptime),
    load: loadavg === null ? [one, five, fifteen] : parseLoad(loadavg),
  };
}
