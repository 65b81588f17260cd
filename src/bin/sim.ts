/**
 * `npm run sim`: simulated histories of the control plane, and what they have broken. Prints one line
 * of figures; a failure with its seed and the command that replays it.
 */
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { describeFailure, runHistories } from '../sim/run.js';
import { systemClock } from '../std/clock.js';

const FAILURES_MAX = 5;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    histories: { type: 'string', default: '1000' },
    mode: { type: 'string' },
  },
});

const whole = (name: string, text: string): number => {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`--${name} must be a whole number, not ${text}`);
};

function modeOf(text: string | undefined) {
  if (text === undefined) return null;
  if (text === 'safety' || text === 'liveness') return text;
  throw new Error(`--mode must be safety or liveness, not ${text}`);
}

// Expected failures are many; where each was made, nobody reads.
Error.stackTraceLimit = 0;

const startedMs = systemClock.monotonic();
const report = await runHistories({
  seed: whole('seed', values.seed),
  histories: whole('histories', values.histories),
  mode: modeOf(values.mode),
  failuresMax: FAILURES_MAX,
});
const tookS = (systemClock.monotonic() - startedMs) / 1_000;

/** What a seed belongs to: another commit makes another history of it. */
function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

for (const failure of report.failures) console.log(`${describeFailure(failure)}\n`);
console.log(
  JSON.stringify({
    commit: commit(),
    histories: report.histories,
    violating: report.failures.length,
    perSecond: Math.round(report.histories / tookS),
    eventsPerHistory: Math.round(report.events / Math.max(1, report.histories)),
    restMsMax: Math.round(report.restMsMax),
    faults: Object.fromEntries(report.faults),
  }),
);
process.exitCode = report.failures.length === 0 ? 0 : 1;
