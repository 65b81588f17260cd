/** What is written for a VM into which file of its control groups. Pure. */
import type { Controller } from './hierarchies.js';

export interface GroupLimits {
  readonly cpu: number;
  readonly memoryMib: number;
}

export interface Setting {
  readonly file: string;
  readonly value: string;
}

const BYTES_PER_MIB = 1024 * 1024;
const PERIOD_US = 100_000;

/** What the kernel gives a group that does not say; the highest that it takes. */
const WEIGHT = { each: 100, max: 10_000 };
const SHARES = { each: 1024, max: 262_144 };

/**
 * Memory of QEMU besides that of its guest: its own heap and stacks, translated code where there is
 * no KVM, and the kernel's tables for the guest's pages (1/512 of it, and as much for those it is
 * given twice). A VM that reaches its limit is killed, so this errs upwards.
 */
const OVERHEAD_MIB = 256;
const OVERHEAD_PART = 64;

/** `guest + 256 MiB + guest / 64`. */
export const memoryLimitMib = (guestMib: number): number =>
  guestMib + OVERHEAD_MIB + Math.ceil(guestMib / OVERHEAD_PART);

/** Threads of QEMU: one per vCPU, up to 64 for blocks, and its own few. */
const PIDS_BESIDES_CPU = 128;

const pidsOf = ({ cpu }: GroupLimits): string => (Math.ceil(cpu) + PIDS_BESIDES_CPU).toString();
/** As much time as so many CPUs have; one that was given none still has to run. */
const quotaOf = ({ cpu }: GroupLimits): string =>
  Math.round(Math.max(1, cpu) * PERIOD_US).toString();
const bytesOf = ({ memoryMib }: GroupLimits): string =>
  (memoryLimitMib(memoryMib) * BYTES_PER_MIB).toString();

/** A share of the CPUs in proportion to the vCPUs, where they are short, and no more than these ever. */
const weightOf = ({ cpu }: GroupLimits, { each, max }: typeof WEIGHT): string =>
  Math.min(max, Math.max(1, cpu) * each).toString();

type SettingsOf = (limits: GroupLimits) => readonly Setting[];

const VERSION_1: Readonly<Record<Controller, SettingsOf>> = {
  cpu: (limits) => [
    { file: 'cpu.shares', value: weightOf(limits, SHARES) },
    { file: 'cpu.cfs_period_us', value: PERIOD_US.toString() },
    { file: 'cpu.cfs_quota_us', value: quotaOf(limits) },
  ],
  memory: (limits) => [{ file: 'memory.limit_in_bytes', value: bytesOf(limits) }],
  pids: (limits) => [{ file: 'pids.max', value: pidsOf(limits) }],
};

const VERSION_2: Readonly<Record<Controller, SettingsOf>> = {
  cpu: (limits) => [
    { file: 'cpu.weight', value: weightOf(limits, WEIGHT) },
    { file: 'cpu.max', value: `${quotaOf(limits)} ${PERIOD_US.toString()}` },
  ],
  memory: (limits) => [{ file: 'memory.max', value: bytesOf(limits) }],
  pids: (limits) => [{ file: 'pids.max', value: pidsOf(limits) }],
};

export const settingsFor = (
  version: 1 | 2,
  controller: Controller,
  limits: GroupLimits,
): readonly Setting[] => (version === 1 ? VERSION_1 : VERSION_2)[controller](limits);
