/**
 * The process of a VM, as Linux shows it in /proc. A number alone names no process: numbers are
 * used again. One is ours if it was started at the tick that we noted (or if we noted none), in our
 * directory, from a program of QEMU, with our UUID among its arguments, and has not ended. Directory
 * and program of a process under another user show only to an agent that may trace it; where they
 * do not, the other signs decide, and then what QEMU says of itself (see vm-life.ts).
 */
import { readFile, readdir, readlink, rm } from 'node:fs/promises';
import { errorCode } from '../../std/error-code.js';
import { processNoteSchema, type ProcessNote } from '../../wire/qemu.js';
import { readIfThere, writeDurably } from '../durable-file.js';
import type { VmDirectory } from './vm-directory.js';

export interface ProcessStat {
  /** Z: it has ended, and its parent has not asked how. */
  readonly state: string;
  /** Clock ticks of processor time, its own and the kernel's for it. */
  readonly cpuTicks: number;
  /** Clock ticks from the start of the machine to that of the process. */
  readonly startTicks: number;
}

/** A process that can be known again. */
export type VmProcess = Pick<ProcessNote, 'pid' | 'startTicks'>;

/** Linux counts these per second for all programs, whatever the kernel's own clock. */
export const TICKS_PER_S = 100;

/**
 * A /proc/<pid>/stat, as proc(5) has it: the name, in brackets, may itself hold brackets and
 * spaces, so the fields are counted from the last one.
 * @returns null when the text is not one
 */
export function parseProcessStat(text: string): ProcessStat | null {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state = '', ...numbers] = fields;
  // Fields 14, 15 and 22; what is left of the line begins with field 3.
  const [user, system, startTicks] = [10, 11, 18].map((index) => Number(numbers[index]));
  if (!/^[A-Za-z]$/.test(state) || user === undefined || system === undefined) return null;
  const cpuTicks = user + system;
  if (startTicks === undefined || !Number.isSafeInteger(startTicks)) return null;
  return Number.isSafeInteger(cpuTicks) ? { state, cpuTicks, startTicks } : null;
}

/** @returns null when there is no such process, or only what its parent has not fetched yet */
export async function processStat(pid: number): Promise<ProcessStat | null> {
  const text = await readOrNull(`/proc/${pid.toString()}/stat`);
  const stat = text === null ? null : parseProcessStat(text);
  return stat === null || stat.state === 'Z' || stat.state === 'X' ? null : stat;
}

export async function isAlive({ pid, startTicks }: VmProcess): Promise<boolean> {
  return (await processStat(pid))?.startTicks === startTicks;
}

/** Ends a process at once, but never another one that has its number by now. */
export async function killProcess(vmProcess: VmProcess): Promise<void> {
  if (!(await isAlive(vmProcess))) return;
  try {
    process.kill(vmProcess.pid, 'SIGKILL');
  } catch {
    // It ended in between; whoever waits for its end sees that.
  }
}

/**
 * The live process of a VM: the one that was noted, or else one that was started just before its
 * agent died and could not be noted. Never a stranger's.
 */
export async function findProcess(
  directory: VmDirectory,
  bootId: string,
): Promise<VmProcess | null> {
  const note = await readProcessNote(directory);
  if (note?.bootId === bootId) {
    const stat = await processStat(note.pid);
    if (stat?.startTicks === note.startTicks && (await runsVm(note.pid, directory))) return note;
  }
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const pid = Number(entry);
    if (!(await runsVm(pid, directory))) continue;
    const stat = await processStat(pid);
    if (stat !== null) return { pid, startTicks: stat.startTicks };
  }
  return null;
}

export const noteProcess = (
  { processNote }: VmDirectory,
  vmId: string,
  { pid, startTicks }: VmProcess,
  bootId: string,
): Promise<void> =>
  writeDurably(processNote, `${JSON.stringify({ vmId, pid, startTicks, bootId })}\n`);

export const forgetProcess = ({ processNote }: VmDirectory): Promise<void> =>
  rm(processNote, { force: true });

/** @returns null when none is there, or none that can be read */
export async function readProcessNote({
  processNote,
}: Pick<VmDirectory, 'processNote'>): Promise<ProcessNote | null> {
  const text = await readIfThere(processNote);
  try {
    return text === null ? null : processNoteSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Whether a process is a QEMU with this VM's UUID, in this VM's directory. */
async function runsVm(pid: number, { key, runDir }: VmDirectory): Promise<boolean> {
  const text = await readOrNull(`/proc/${pid.toString()}/cmdline`);
  if (text?.includes(key) !== true) return false;
  const words = text.split('\0');
  if (!isQemu(words[0] ?? '') || words[words.indexOf('-uuid') + 1] !== key) return false;
  const inDirectory = await leadsTo(`/proc/${pid.toString()}/cwd`, (path) => path === runDir);
  return inDirectory && leadsTo(`/proc/${pid.toString()}/exe`, isQemu);
}

/** A program that was replaced since is still the one that runs: Linux adds ` (deleted)`. */
const isQemu = (path: string): boolean => /(^|\/)[^/]*qemu-system-[^/]*$/.test(path);

/** Whether a link of a process is so, as far as it shows: what we may not read speaks for nobody. */
async function leadsTo(link: string, isSo: (path: string) => boolean): Promise<boolean> {
  try {
    return isSo(await readlink(link));
  } catch (error) {
    return ['EACCES', 'EPERM'].includes(errorCode(error) ?? '');
  }
}

async function readOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return null;
  }
}
