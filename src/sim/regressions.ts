/**
 * Histories that once broke a rule, as they are kept in a file. A seed makes another history with
 * another commit, so an entry that holds now proves little by itself: what was found has a test of its
 * own, and these are run since what was hard once is worth a look first.
 */
import type { Cuts } from './cuts.js';
import type { HistoryMode, HistoryOptions, HistoryReport } from './history.js';

export interface Regression {
  /** What the bug was. */
  readonly name: string;
  /** The rule that was broken. */
  readonly rule: string;
  readonly seed: number;
  readonly mode: HistoryMode;
  /** Where it was seen: there this seed shows it. */
  readonly commit: string;
  /** What was left out, by the numbers of the turns. */
  readonly without: {
    readonly faults: readonly number[];
    readonly clients: readonly number[];
    readonly hostsMax: number | null;
  };
}

export const regressionOf = (
  { seed, mode, violations }: HistoryReport,
  { faults, clients, hostsMax }: Cuts,
  commit: string,
): Regression => {
  const { rule = '', detail = '' } = violations[0] ?? {};
  const inOrder = (turns: ReadonlySet<number>) => [...turns].sort((left, right) => left - right);
  const without = { faults: inOrder(faults), clients: inOrder(clients), hostsMax };
  return { name: detail, rule, seed, mode, commit, without };
};

/** How to run it. */
export const historyOf = ({ seed, mode, without }: Regression): HistoryOptions => ({
  seed,
  mode,
  cuts: {
    faults: new Set(without.faults),
    clients: new Set(without.clients),
    hostsMax: without.hostsMax,
  },
});
