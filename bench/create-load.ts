/** The load that benchmarks of creates put on a server: equal small VMs over kept connections. */
import autocannon from 'autocannon';
import { HEADERS, median } from './fleet.js';

const BODY = JSON.stringify({ resources: { cpu: 1, memory: 256, disk: 1024 } });

export interface Run {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** @throws Error when an answer was a refusal */
export async function load(port: number, forSeconds: number, connections: number): Promise<Run> {
  const result = await autocannon({
    url: `http://127.0.0.1:${port.toString()}/v1/vms`,
    method: 'POST',
    headers: HEADERS,
    body: BODY,
    connections,
    duration: forSeconds,
  });
  const ok = result['2xx'];
  if (result.non2xx > 0 || ok === 0) {
    throw new Error(`${result.non2xx.toString()} answers were refusals, ${ok.toString()} were not`);
  }
  return { perSecond: ok / result.duration, p50Ms: result.latency.p50, p99Ms: result.latency.p99 };
}

/** Of each figure by itself. */
export const medianRun = (runs: readonly Run[]): Run => ({
  perSecond: median(runs.map(({ perSecond }) => perSecond)),
  p50Ms: median(runs.map(({ p50Ms }) => p50Ms)),
  p99Ms: median(runs.map(({ p99Ms }) => p99Ms)),
});

/** Median of the ratios of runs that stood side by side. */
export const medianRatio = (runs: readonly Run[], beside: readonly Run[]): number =>
  median(runs.map(({ perSecond }, round) => perSecond / (beside[round]?.perSecond ?? NaN)));

/** A row of a table: name, per second, p50, p99. */
export const rowOf = (name: string, run: Run): string[] => [
  name,
  run.perSecond.toFixed(0),
  run.p50Ms.toString(),
  run.p99Ms.toString(),
];

export const RUN_HEAD = ['', 'per second', 'p50 ms', 'p99 ms'];
