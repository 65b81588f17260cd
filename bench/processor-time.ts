/** Processor time that processes have used so far, as Linux counts it. */
import { readdirSync, readFileSync } from 'node:fs';

/** Linux counts processor time in hundredths of a second. */
const TICK_MS = 10;

interface Times {
  readonly parent: number;
  readonly ownMs: number;
  /** Of its children that have ended. */
  readonly endedMs: number;
}

function timesOf(pid: number): Times {
  // After the name, which may hold blanks: field 3 of proc(5) is 0 here.
  const fields = readFileSync(`/proc/${pid.toString()}/stat`, 'utf8').split(') ')[1]?.split(' ');
  const at = (field: number) => Number(fields?.[field - 3]);
  return {
    parent: at(4),
    ownMs: (at(14) + at(15)) * TICK_MS,
    endedMs: (at(16) + at(17)) * TICK_MS,
  };
}

/** Of one process, user and system. */
export const processorMs = (pid: number): number => timesOf(pid).ownMs;

/** Of a process with its children, those that have ended included. */
export function familyProcessorMs(pid: number): number {
  const { ownMs, endedMs } = timesOf(pid);
  let sum = ownMs + endedMs;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const times = timesOf(Number(name));
      if (times.parent === pid) sum += times.ownMs;
    } catch {
      // It has ended meanwhile, and counts among those.
    }
  }
  return sum;
}
