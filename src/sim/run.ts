/** Many histories one after another, and what to tell of them. */
import type { FaultName } from './faults.js';
import {
  runHistory,
  type HistoryMode,
  type HistoryOptions,
  type HistoryReport,
} from './history.js';

export interface RunOptions {
  readonly seed: number;
  readonly histories: number;
  /** Half of the histories in each, where null. */
  readonly mode: HistoryMode | null;
  readonly sabotage?: HistoryOptions['sabotage'];
  /** Violating histories after which it is enough. */
  readonly failuresMax: number;
  /** Called after each history. */
  onHistory?(report: HistoryReport): void;
}

export interface RunReport {
  readonly histories: number;
  readonly events: number;
  readonly faults: ReadonlyMap<FaultName, number>;
  /** Longest time that a fleet took to come to rest. */
  readonly restMsMax: number;
  readonly failures: readonly HistoryReport[];
}

/** Runs histories of consecutive seeds. */
export async function runHistories(options: RunOptions): Promise<RunReport> {
  const { seed, mode, histories, failuresMax, sabotage } = options;
  const faults = new Map<FaultName, number>();
  const failures: HistoryReport[] = [];
  let done = 0;
  let events = 0;
  let restMsMax = 0;
  while (done < histories && failures.length < failuresMax) {
    const at = seed + done;
    const report = await runHistory({
      seed: at,
      mode: mode ?? (at % 2 === 0 ? 'safety' : 'liveness'),
      sabotage,
    });
    done += 1;
    events += report.events;
    restMsMax = Math.max(restMsMax, report.restMs ?? 0);
    for (const [name, count] of report.faults) faults.set(name, (faults.get(name) ?? 0) + count);
    if (report.violations.length > 0) failures.push(report);
    options.onHistory?.(report);
  }
  return { histories: done, events, faults, restMsMax, failures };
}

/** The command that runs a history once more. */
export const replayOf = ({ seed, mode }: Pick<HistoryReport, 'seed' | 'mode'>): string =>
  `npm run sim -- --seed ${seed.toString()} --histories 1 --mode ${mode}`;

/** A failure, for people: what was broken, how to see it again, and what led to it. */
export function describeFailure(report: HistoryReport): string {
  const found = report.violations.map(
    ({ rule, detail, atMs }) => `  ${rule} at ${(atMs / 1_000).toFixed(3)} s: ${detail}`,
  );
  return [
    `seed ${report.seed.toString()} (${report.mode}, trace ${report.hash}) breaks`,
    ...found,
    `again: ${replayOf(report)}`,
    'before it:',
    ...report.lastLines.map((line) => `  ${line}`),
  ].join('\n');
}
