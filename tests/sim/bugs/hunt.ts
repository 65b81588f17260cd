/** Looks for a seeded bug until it is found, or for as long as it may take. */
import { runHistories } from '../../../src/sim/run.js';
import { systemClock } from '../../../src/std/clock.js';
import type { SeededBug, WorldBug } from './seeded-bug.js';

export interface Catch {
  readonly bug: string;
  /** The rule that was broken, or the property. */
  readonly rule: string;
  /** Of the history that has broken it; null for a property. */
  readonly seed: number | null;
  readonly histories: number;
  readonly seconds: number;
}

export interface Limits {
  readonly seconds: number;
  /** From the bug's own seed when null. */
  readonly seed: number | null;
}

/** How the message begins with which a property tells a counterexample. */
const FALSIFIED = 'Property failed';

/** Histories between two looks at the clock. */
const AT_A_TIME = 4;

/** @returns null when it was not found in time */
export async function hunt(bug: SeededBug, limits: Limits): Promise<Catch | null> {
  const startedMs = systemClock.monotonic();
  const seconds = () => (systemClock.monotonic() - startedMs) / 1_000;
  if ('rules' in bug) return huntWorld(bug, limits, seconds);
  try {
    await bug.check();
    return null;
  } catch (error) {
    // What else breaks is a fault of the bug and not its discovery.
    if (!(error instanceof Error) || !error.message.startsWith(FALSIFIED)) throw error;
    return { bug: bug.name, rule: bug.property, seed: null, histories: 0, seconds: seconds() };
  }
}

async function huntWorld(
  bug: WorldBug,
  limits: Limits,
  seconds: () => number,
): Promise<Catch | null> {
  const first = limits.seed ?? bug.seed ?? 1;
  for (let histories = 0; seconds() < limits.seconds;) {
    const seed = first + histories;
    const run = { seed, histories: AT_A_TIME, mode: null, failuresMax: 1 };
    const report = await runHistories({ ...run, sabotage: bug.sabotage() });
    histories += report.histories;
    const [failure] = report.failures;
    const rule = failure?.violations[0]?.rule;
    if (failure === undefined || rule === undefined) continue;
    return { bug: bug.name, rule, seed: failure.seed, histories, seconds: seconds() };
  }
  return null;
}
