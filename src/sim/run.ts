/** Many histories one after another, and what to tell of them. */
import { NO_CUTS, type Cuts } from './cuts.js';
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
  readonly byMode: Readonly<Record<HistoryMode, number>>;
  readonly events: number;
  readonly faults: ReadonlyMap<FaultName, number>;
  /** Longest time that a fleet took to come to rest. */
  readonly restMsMax: number;
  readonly failures: readonly HistoryReport[];
}

export const NOTHING_RUN: RunReport = {
  histories: 0,
  byMode: { safety: 0, liveness: 0 },
  events: 0,
  faults: new Map(),
  restMsMax: 0,
  failures: [],
};

/** What two runs come to together. */
export function together(one: RunReport, other: RunReport): RunReport {
  const faults = new Map(one.faults);
  for (const [name, count] of other.faults) faults.set(name, (faults.get(name) ?? 0) + count);
  return {
    histories: one.histories + other.histories,
    byMode: {
      safety: one.byMode.safety + other.byMode.safety,
      liveness: one.byMode.liveness + other.byMode.liveness,
    },
    events: one.events + other.events,
    faults,
    restMsMax: Math.max(one.restMsMax, other.restMsMax),
    failures: [...one.failures, ...other.failures],
  };
}

const runOf = (report: HistoryReport): RunReport => ({
  histories: 1,
  byMode: { safety: 0, liveness: 0, [report.mode]: 1 },
  events: report.events,
  faults: report.faults,
  restMsMax: report.restMs ?? 0,
  failures: report.violations.length > 0 ? [report] : [],
});

/** Runs histories of consecutive seeds. */
export async function runHistories(options: RunOptions): Promise<RunReport> {
  const { seed, mode, histories, failuresMax, sabotage } = options;
  let all = NOTHING_RUN;
  while (all.histories < histories && all.failures.length < failuresMax) {
    const at = seed + all.histories;
    const report = await runHistory({
      seed: at,
      mode: mode ?? (at % 2 === 0 ? 'safety' : 'liveness'),
      sabotage,
    });
    all = together(all, runOf(report));
    options.onHistory?.(report);
  }
  return all;
}

/** The command that runs a history once more. */
export const replayOf = ({ seed, mode }: Pick<HistoryReport, 'seed' | 'mode'>): string =>
  `npm run sim -- --seed ${seed.toString()} --histories 1 --mode ${mode}`;

/** How much of a history it takes. */
function smallOf({ turns, hosts }: HistoryReport, { faults, clients }: Cuts): readonly string[] {
  if (faults.size + clients.size === 0) return [];
  const of = (count: number, left: number) => `${(count - left).toString()} of ${count.toString()}`;
  const faultsOf = of(turns.faults, [...faults].filter((at) => at < turns.faults).length);
  const clientsOf = of(turns.clients, [...clients].filter((at) => at < turns.clients).length);
  return [`with ${faultsOf} faults, ${clientsOf} clients and ${hosts.toString()} hosts`];
}

/** A failure, for people: what was broken, how to see it again, and what led to it. */
export function describeFailure(report: HistoryReport, cuts: Cuts = NO_CUTS): string {
  const found = report.violations.map(
    ({ rule, detail, atMs }) => `  ${rule} at ${(atMs / 1_000).toFixed(3)} s: ${detail}`,
  );
  return [
    `seed ${report.seed.toString()} (${report.mode}, trace ${report.hash}) breaks`,
    ...found,
    ...smallOf(report, cuts),
    `again: ${replayOf(report)}`,
    'before it:',
    ...report.lastLines.map((line) => `  ${line}`),
  ].join('\n');
}
