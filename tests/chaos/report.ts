/** What a chaos run shows: a table of its faults, and whether each recovery is within its bar. */
import Table from 'cli-table3';
import { hasFailed, type Attempt } from './clients.js';
import type { Outcome } from './chaos.js';
import { HEALTH_PERIOD_S } from './stack.js';

interface Row {
  readonly name: string;
  readonly times: number;
  /** First to last request that failed around the fault, at the replicas that it was not done to. */
  readonly downtimeMs: Spread;
  /** From the end of the fault until everything is as before. */
  readonly recoveryMs: Spread;
  /** Longest that any client waited, at whichever replica, answered or not. */
  readonly slowestMs: number;
  /** Longest that a client waited for a refusal by a replica that ran. */
  readonly refusedMs: number;
  /** Latest that the breaker opened; 0 where that was not watched. */
  readonly openedMs: number;
  readonly bars: readonly { readonly text: string; readonly met: boolean }[];
}

interface Spread {
  readonly p50: number;
  readonly max: number;
}

interface Bar {
  readonly text: string;
  readonly met: (row: Omit<Row, 'bars'>) => boolean;
}

const recoveredIn = (limitMs: number, text: string): Bar => ({
  text: `${text} in ${(limitMs / 1_000).toString()} s`,
  met: ({ recoveryMs }) => recoveryMs.max <= limitMs,
});
/** A bar that nobody but this run has set. */
const own = (bar: Bar): Bar => ({ ...bar, text: `${bar.text} *` });

const POSTGRES_BACK = recoveredIn(10_000, 'writes again');
const REDIS_BACK = recoveredIn(10_000, 'placements again');
const MASTER_BACK = own(REDIS_BACK);
/** Three periods of 2 s, a poll's deadline and a join. */
const HOSTS_BACK = own(recoveredIn(15_000, 'hosts up'));
const refusedIn = (limitMs: number): Bar => ({
  text: `refused in ${(limitMs / 1_000).toString()} s`,
  met: ({ refusedMs }) => refusedMs <= limitMs,
});
const othersServe: Bar = {
  text: 'the others serve all',
  met: ({ downtimeMs }) => downtimeMs.max === 0,
};
const breakerOpens: Bar = {
  text: 'breaker open in 2 periods',
  met: ({ openedMs }) => openedMs > 0 && openedMs <= 2_000 * HEALTH_PERIOD_S,
};

/** Besides these, each is bound to what is checked always: no violation, all agree in 60 s. */
const BARS: Readonly<Record<string, readonly Bar[]>> = {
  'replica killed': [othersServe, own(recoveredIn(10_000, 'all as before'))],
  'replica paused 10 s': [own(othersServe), own(recoveredIn(5_000, 'all as before'))],
  'replica cut off': [othersServe, refusedIn(2_000)],
  'agents paused': [HOSTS_BACK],
  'agents killed': [HOSTS_BACK],
  'agents cut off': [HOSTS_BACK],
  '60 % of hosts vanish': [breakerOpens, HOSTS_BACK],
  'machines off and fenced': [HOSTS_BACK],
  'Redis flushed': [REDIS_BACK],
  'Redis killed': [refusedIn(5_000), REDIS_BACK],
  'Redis paused': [refusedIn(5_000), own(REDIS_BACK)],
  'Redis master killed': [refusedIn(5_000), MASTER_BACK],
  'Redis failover ordered': [MASTER_BACK],
  'Redis master paused and woken': [MASTER_BACK],
  'PostgreSQL restarted': [POSTGRES_BACK],
  'PostgreSQL killed': [POSTGRES_BACK],
  'PostgreSQL paused': [refusedIn(3_000), own(POSTGRES_BACK)],
  'PostgreSQL sessions ended': [own(POSTGRES_BACK)],
};

/** Faults that met others are counted, but do not measure anything of their own. */
export function rowsOf(outcomes: readonly Outcome[]): readonly Row[] {
  const names = [...new Set(outcomes.map(({ name }) => name))].sort();
  return names.map((name) => {
    const all = outcomes.filter((one) => one.name === name);
    const alone = all.filter(({ overlapped }) => !overlapped);
    const row = {
      name,
      times: all.length,
      downtimeMs: spread(alone.map(downtimeOf)),
      recoveryMs: spread(alone.map(({ healed, recovered }) => recovered - healed)),
      openedMs: Math.max(0, ...alone.map(({ openedMs }) => openedMs ?? 0)),
      slowestMs: Math.max(0, ...alone.flatMap(({ attempts }) => attempts.map(lengthOf))),
      refusedMs: Math.max(
        0,
        ...alone.flatMap(({ attempts }) => attempts.filter(hasFailed).map(lengthOf)),
      ),
    };
    const bars = alone.length === 0 ? [] : (BARS[name] ?? []);
    return { ...row, bars: bars.map(({ text, met }) => ({ text, met: met(row) })) };
  });
}

function downtimeOf({ attempts, aim }: Outcome): number {
  const failed = attempts.filter((one) => hasFailed(one) && one.replica !== aim);
  if (failed.length === 0) return 0;
  return (
    Math.max(...failed.map(({ ended }) => ended)) - Math.min(...failed.map(({ began }) => began))
  );
}

const lengthOf = ({ began, ended }: Attempt): number => ended - began;

function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  return { p50: sorted[Math.floor(sorted.length / 2)] ?? 0, max: sorted.at(-1) ?? 0 };
}

export function tableOf(rows: readonly Row[]): string {
  const table = new Table({
    head: ['fault', 'times', 'downtime p50 / max', 'recovery p50 / max', 'slowest', 'bars'],
    style: { head: [], border: [] },
  });
  const s = (ms: number) => (ms / 1_000).toFixed(1);
  for (const { name, times, downtimeMs, recoveryMs, slowestMs, bars } of rows) {
    table.push([
      ...[name, times.toString()],
      `${s(downtimeMs.p50)} / ${s(downtimeMs.max)} s`,
      `${s(recoveryMs.p50)} / ${s(recoveryMs.max)} s`,
      `${s(slowestMs)} s`,
      bars.map(({ text, met }) => `${text}: ${met ? 'met' : 'NOT MET'}`).join('\n'),
    ]);
  }
  return table.toString();
}
