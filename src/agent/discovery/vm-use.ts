/**
 * What one VM really uses, from /proc and from the counters of its TAP. Counters grow while the
 * process lives. Named from the VM's side: what its TAP receives, the VM has sent.
 */
import { readSys } from './sys-files.js';
import { isInterfaceName } from '../../std/routes.js';

export interface MeasuredProcess {
  readonly pid: number;
  /** When the process began, in ticks, so that another of the same pid is not taken for it. */
  readonly startTicks?: number | undefined;
  /** Its TAP; null where it has none. */
  readonly interfaceName: string | null;
}

/** Null is what cannot be read; overhead of the hypervisor is included. */
export interface VmUse {
  readonly cpuSeconds: number | null;
  /** Resident, and all that is mapped. */
  readonly memoryBytes: number | null;
  readonly virtualMemoryBytes: number | null;
  readonly downloadBytes: number | null;
  readonly uploadBytes: number | null;
  /** What really reached the disks of the host. */
  readonly diskReadBytes: number | null;
  readonly diskWrittenBytes: number | null;
}

const BYTES_PER_KIB = 1024;
/** Linux tells times in these, whatever its own clock. */
const TICKS_PER_S = 100;

/** @returns null when the process is gone, or is another one */
export async function readVmUse(root: string, process: MeasuredProcess): Promise<VmUse | null> {
  const { pid, startTicks, interfaceName } = process;
  const stat = parseStat((await readSys(root, `/proc/${pid.toString()}/stat`)) ?? '');
  if (stat === null || (startTicks !== undefined && stat.startTicks !== startTicks)) return null;
  const [status, io] = await Promise.all([
    readSys(root, `/proc/${pid.toString()}/status`),
    readSys(root, `/proc/${pid.toString()}/io`),
  ]);
  const counter = async (name: string) =>
    interfaceName === null || !isInterfaceName(interfaceName)
      ? null
      : parseNumber(await readSys(root, `/sys/class/net/${interfaceName}/statistics/${name}`));
  return {
    cpuSeconds: stat.ticks / TICKS_PER_S,
    memoryBytes: kibOf(status, 'VmRSS'),
    virtualMemoryBytes: kibOf(status, 'VmSize'),
    downloadBytes: await counter('tx_bytes'),
    uploadBytes: await counter('rx_bytes'),
    diskReadBytes: fieldOf(io, 'read_bytes'),
    diskWrittenBytes: fieldOf(io, 'write_bytes'),
  };
}

/**
 * User and system time together, and the start, from `pid (name) S …`. A name may hold anything,
 * brackets too: fields are counted from the last one. Null when it is no such line.
 */
export function parseStat(text: string): { ticks: number; startTicks: number } | null {
  const fields = text
    .slice(text.lastIndexOf(')') + 1)
    .trim()
    .split(/\s+/);
  // The third field of the line is the first here: utime is the 14th, stime 15th, starttime 22nd.
  const at = (index: number) => parseNumber(fields[index] ?? null);
  const [user, system, startTicks] = [at(11), at(12), at(19)] as const;
  if (user === null || system === null || startTicks === null) return null;
  return { ticks: user + system, startTicks };
}

/** `VmRSS:     1234 kB`. */
function kibOf(status: string | null, key: string): number | null {
  const kib = new RegExp(`^${key}:\\s+([0-9]{1,15}) kB`, 'm').exec(status ?? '')?.[1];
  return kib === undefined ? null : Number(kib) * BYTES_PER_KIB;
}

/** `read_bytes: 4096`. */
const fieldOf = (text: string | null, key: string): number | null =>
  parseNumber(new RegExp(`^${key}: ([0-9]+)$`, 'm').exec(text ?? '')?.[1] ?? null);

/** A counter; null when it is none, or too large to be exact. */
function parseNumber(text: string | null): number | null {
  const digits = /^([0-9]{1,16})$/.exec(text?.trim() ?? '')?.[1];
  const value = Number(digits);
  return digits !== undefined && Number.isSafeInteger(value) ? value : null;
}
