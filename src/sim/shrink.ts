/** Makes a failure small: leaves out faults, then clients, then hosts, as long as its rule is broken. */
import { NO_CUTS, type Cuts } from './cuts.js';
import { runHistory, type HistoryOptions, type HistoryReport } from './history.js';

export interface Shrunk {
  readonly cuts: Cuts;
  /** The history with these cuts. */
  readonly report: HistoryReport;
}

/** A few seconds, in histories. */
const RUNS_MAX = 400;

/** @param found a history that breaks a rule, run without cuts */
export async function shrink(
  found: HistoryReport,
  sabotage?: HistoryOptions['sabotage'],
  runsMax = RUNS_MAX,
): Promise<Shrunk> {
  const { seed, mode, turns, hosts } = found;
  const rule = found.violations[0]?.rule;
  let least: Shrunk = { cuts: NO_CUTS, report: found };
  let runs = 0;
  const isEnough = async (cuts: Cuts): Promise<boolean> => {
    if (runs >= runsMax) return false;
    runs += 1;
    const report = await runHistory({ seed, mode, sabotage, cuts });
    const breaks = report.violations[0]?.rule === rule;
    if (breaks) least = { cuts, report };
    return breaks;
  };
  await leaveOut(turns.faults, (faults) => isEnough({ ...least.cuts, faults }));
  await leaveOut(turns.clients, (clients) => isEnough({ ...least.cuts, clients }));
  for (let hostsMax = hosts - 1; hostsMax > 0; hostsMax -= 1) {
    if (!(await isEnough({ ...least.cuts, hostsMax }))) break;
  }
  return least;
}

/** Tries to do without all, then without halves, quarters, and so on down to single ones. */
async function leaveOut(
  count: number,
  isEnough: (left: ReadonlySet<number>) => Promise<boolean>,
): Promise<void> {
  let out: ReadonlySet<number> = new Set();
  for (let size = count; size > 0; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < count; from += size) {
      const more = Array.from({ length: Math.min(size, count - from) }, (_, at) => from + at);
      if (more.every((at) => out.has(at))) continue;
      const tried = new Set([...out, ...more]);
      if (await isEnough(tried)) out = tried;
    }
  }
}
