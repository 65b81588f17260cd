/**
 * `npm run sim`: simulated histories of the control plane, and what they have broken. Prints one line
 * of figures; a failure made small, with its seed and the command that replays it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { runHistory, type HistoryMode, type HistoryReport } from '../sim/history.js';
import { historyOf, regressionOf, type Regression } from '../sim/regressions.js';
import { describeFailure, NOTHING_RUN, together, type RunReport } from '../sim/run.js';
import { shrink } from '../sim/shrink.js';
import { systemClock } from '../std/clock.js';
import { commit } from './commit.js';
import type { Share } from './sim-worker.js';

const FAILURES_MAX = 5;

/** Histories that a worker runs before it is given more. */
const SHARE = 50;

const PROGRESS_EVERY_MS = 10_000;

const REGRESSIONS = fileURLToPath(new URL('../../tests/sim/regressions.json', import.meta.url));

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    histories: { type: 'string', default: '1000' },
    mode: { type: 'string' },
    workers: { type: 'string', default: availableParallelism().toString() },
    json: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});

const whole = (name: string, text: string, least = 0): number => {
  const value = Number(text);
  if (text !== '' && Number.isSafeInteger(value) && value >= least) return value;
  throw new Error(`--${name} must be a whole number from ${least.toString()} on, not ${text}`);
};

function modeOf(text: string | undefined): HistoryMode | null {
  if (text === undefined) return null;
  if (text === 'safety' || text === 'liveness') return text;
  throw new Error(`--mode must be safety or liveness, not ${text}`);
}

interface Asked {
  readonly seed: number;
  readonly histories: number;
  readonly mode: HistoryMode | null;
  readonly workers: number;
}

/** Runs shares of the histories in workers until all are done, enough have failed, or Ctrl-C. */
class Run {
  readonly #asked: Asked;
  #report = NOTHING_RUN;
  #given = 0;
  #isStopped = false;
  #stop: () => void = () => undefined;

  constructor(asked: Asked) {
    this.#asked = asked;
  }

  get report(): RunReport {
    return this.#report;
  }

  /** The last seed that was given to a worker. */
  get lastSeed(): number {
    return this.#asked.seed + Math.max(0, this.#given - 1);
  }

  async all(): Promise<RunReport> {
    const stopped = new Promise<void>((resolve) => {
      this.#stop = () => {
        this.#isStopped = true;
        resolve();
      };
    });
    const workers = Array.from({ length: this.#asked.workers }, workerOf);
    try {
      await Promise.race([Promise.all(workers.map((worker) => this.#serve(worker))), stopped]);
    } finally {
      await Promise.all(workers.map((worker) => worker.terminate()));
    }
    return this.#report;
  }

  /** What is under way is dropped. */
  stop(): void {
    this.#stop();
  }

  async #serve(worker: Worker): Promise<void> {
    for (;;) {
      const share = this.#next();
      if (share === null) return;
      const report = await answerOf(worker, share);
      if (!this.#isStopped) this.#report = together(this.#report, report);
    }
  }

  #next(): Share | null {
    const { seed, histories, mode } = this.#asked;
    const left = Math.min(SHARE, histories - this.#given);
    const failuresMax = FAILURES_MAX - this.#report.failures.length;
    if (left <= 0 || failuresMax <= 0 || this.#isStopped) return null;
    const share = { seed: seed + this.#given, histories: left, mode, failuresMax };
    this.#given += left;
    return share;
  }
}

const workerOf = (): Worker =>
  new Worker(new URL('./sim-worker.js', import.meta.url), {
    // What a history leaves is dead at its end: most of it never needs to be copied.
    resourceLimits: { maxYoungGenerationSizeMb: 192 },
  });

const answerOf = (worker: Worker, share: Share): Promise<RunReport> =>
  new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (report: RunReport) => {
      worker.off('error', reject);
      resolve(report);
    });
    worker.postMessage(share);
  });

const keptOnes = (): Regression[] => JSON.parse(readFileSync(REGRESSIONS, 'utf8')) as Regression[];

/** What once broke a rule comes first. @returns those that break one again */
async function regressed(): Promise<readonly HistoryReport[]> {
  const found: HistoryReport[] = [];
  for (const one of keptOnes()) {
    const report = await runHistory(historyOf(one));
    if (report.violations.length > 0) found.push(report);
  }
  return found;
}

/** Makes a failure small, prints it, and keeps it when that is asked for. */
async function tell(failure: HistoryReport): Promise<void> {
  const { cuts, report } = await shrink(failure);
  console.log(`commit ${commit()}, ${describeFailure(report, cuts)}\n`);
  if (!values.keep) return;
  const kept = [...keptOnes(), regressionOf(report, cuts, commit())];
  writeFileSync(REGRESSIONS, `${JSON.stringify(kept, null, 2)}\n`);
}

function figuresOf({ report, lastSeed }: Run, { seed, workers }: Asked, tookS: number) {
  const { histories, byMode, failures, events, restMsMax, faults } = report;
  return {
    commit: commit(),
    seeds: [seed, lastSeed],
    histories,
    byMode,
    violating: failures.length,
    // Where none of n fails, at most 3/n of all do: with 95 % confidence.
    violatingShareMax: failures.length === 0 && histories > 0 ? 3 / histories : null,
    tookS: Math.round(tookS),
    workers,
    perSecondPerCore: Math.round(histories / tookS / workers),
    eventsPerHistory: Math.round(events / Math.max(1, histories)),
    restMsMax: Math.round(restMsMax),
    faults: Object.fromEntries([...faults].sort(([left], [right]) => (left < right ? -1 : 1))),
  };
}

async function main(): Promise<number> {
  const asked: Asked = {
    seed: whole('seed', values.seed),
    histories: whole('histories', values.histories),
    mode: modeOf(values.mode),
    workers: whole('workers', values.workers, 1),
  };
  const again = await regressed();
  const run = new Run(asked);
  const startedMs = systemClock.monotonic();
  const secondsSince = () => (systemClock.monotonic() - startedMs) / 1_000;
  process.once('SIGINT', () => {
    run.stop();
  });
  const progress = setInterval(() => {
    const { histories, failures } = run.report;
    const done = `${histories.toString()} of ${asked.histories.toString()} histories`;
    console.error(
      `${done} in ${secondsSince().toFixed(0)} s, ${failures.length.toString()} violating`,
    );
  }, PROGRESS_EVERY_MS);
  const report = await run.all();
  clearInterval(progress);
  const figures = figuresOf(run, asked, secondsSince());
  for (const failure of [...again, ...report.failures]) await tell(failure);
  console.log(JSON.stringify(figures));
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);
  return again.length + report.failures.length === 0 ? 0 : 1;
}

// Expected failures are many; where each was made, nobody reads.
Error.stackTraceLimit = 0;
process.exitCode = await main();
