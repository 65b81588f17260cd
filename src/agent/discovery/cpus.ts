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

/** @throws Error when what the kernel says is not to be understood */
export async function countCpus(root: string): Promise<number> {
  const online = await readSys(root, '/sys/devices/system/cpu/online');
  if (online === null || online.trim() === '') return withoutSys(root);
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

async function withoutSys(root: string): Promise<number> {
  const cpuinfo = await readSys(root, '/proc/cpuinfo');
  if (cpuinfo === null) return os.cpus().length;
  return underQuota(parseCpuCount(cpuinfo), await quotaTexts(root));
}
