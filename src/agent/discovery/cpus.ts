/**
 * How many CPUs VMs can have here: those that are online, less what the control groups of this
 * process withhold. Threads that are switched off do not count, and cores are counted one by one, so
 * that uneven sockets do not matter.
 */
import os from 'node:os';
import { parseCpuList, parseCpuQuota } from '../../std/cpu-list.js';
import { parseCpuCount } from '../../std/proc.js';
import { limitTexts, quotaTexts } from './control-group.js';
import { readSys } from './sys-files.js';

/** Told once what is wrong with this machine's own account of its CPUs. */
export type Warn = (message: string, details: Readonly<Record<string, unknown>>) => void;

/** @throws Error when what /sys says is not to be understood */
export async function countCpus(root: string, warn: Warn): Promise<number> {
  const online = await readSys(root, '/sys/devices/system/cpu/online');
  if (online === null || online.trim() === '') return withoutSys(root, warn);
  const sets = await limitTexts(root, 'cpus');
  const usable = sets
    // An empty set says nothing: groups above it do.
    .filter((text) => text.trim() !== '')
    .map(parseCpuList)
    .reduce(inBoth, parseCpuList(online));
  return underQuota(usable.size, await quotaTexts(root));
}

const inBoth = (left: ReadonlySet<number>, right: ReadonlySet<number>): ReadonlySet<number> =>
  new Set([...left].filter((cpu) => right.has(cpu)));

/** Parts of a CPU are not counted; but there is always one. */
const underQuota = (cpus: number, quotas: readonly string[]): number =>
  Math.max(1, Math.floor(Math.min(cpus, ...quotas.map((text) => parseCpuQuota(text) ?? Infinity))));

/** Containers and some emulated machines show an empty or an odd cpuinfo: the scheduler knows as well. */
async function withoutSys(root: string, warn: Warn): Promise<number> {
  const cpuinfo = await readSys(root, '/proc/cpuinfo');
  // Not a Linux: nothing is wrong.
  if (cpuinfo === null) return Math.max(1, os.availableParallelism());
  return underQuota(listedIn(cpuinfo) ?? schedulable(warn), await quotaTexts(root));
}

function listedIn(cpuinfo: string): number | null {
  try {
    return parseCpuCount(cpuinfo);
  } catch {
    return null;
  }
}

/** What this process may be run on; at the least it runs on one. */
function schedulable(warn: Warn): number {
  const cpus = Math.max(1, os.availableParallelism());
  warn('neither /sys nor /proc tells how many CPUs there are; those of this process are taken', {
    cpus,
  });
  return cpus;
}
