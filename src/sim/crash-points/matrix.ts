/**
 * The matrix: a run without faults tells which calls a journey makes; then each of them is befallen
 * by each fault, in a run of its own; then random pairs of them.
 */
import { prngOf, type Prng } from '../../std/prng.js';
import type { Sabotage } from '../world.js';
import { runCase, type CaseReport } from './case.js';
import { UNDOS } from './coverage.js';
import type { Journey } from './journey.js';
import { MODES, type Mode, type PlannedFault, type Site } from './planned-calls.js';

/** What a case is, so that it can be run again. */
export interface Case {
  readonly journey: Journey;
  readonly replicas: number;
  readonly faults: readonly PlannedFault[];
  /** As in CaseOptions. */
  readonly latencySeed: number | null;
}

export interface Failure {
  readonly of: Case;
  readonly report: CaseReport;
}

export interface MatrixOptions {
  readonly journeys: readonly Journey[];
  readonly replicas: readonly number[];
  readonly modes: readonly Mode[];
  /** Calls of one site in one journey that are befallen: so many of the first, and the last. */
  readonly first: number;
  /** Whether each site is taken in the first journey alone that has it. */
  readonly eachSiteOnce?: boolean;
  /** Random pairs of faults, with messages that take their time. */
  readonly pairs: number;
  readonly seed: number;
  /** Failing cases after which it is enough. */
  readonly failuresMax: number;
  readonly sabotage?: Sabotage | undefined;
  /** Called after each journey. */
  onJourney?(name: string, cases: number): void;
}

/** `again`: a fault of the retry of an undo. */
export type Column = Mode | 'again';

export interface MatrixReport {
  readonly cases: number;
  /** How often each fault befell each site. */
  readonly injected: ReadonlyMap<Site, ReadonlyMap<Column, number>>;
  /** Single faults that were planned and did not happen: there should be none. */
  readonly missed: readonly Case[];
  /** Pairs of which both have happened: one may keep the other from it. */
  readonly pairs: number;
  readonly failures: readonly Failure[];
}

interface Recording {
  readonly journey: Journey;
  readonly replicas: number;
  readonly counts: ReadonlyMap<Site, number>;
}

export async function runMatrix(options: MatrixOptions): Promise<MatrixReport> {
  const run = new Run(options);
  const recordings: Recording[] = [];
  for (const journey of options.journeys) {
    for (const replicas of options.replicas) {
      if (run.isOver) break;
      const report = await run.one({ journey, replicas, faults: [], latencySeed: null });
      const recording = { journey, replicas, counts: report.counts };
      recordings.push(recording);
      await run.singles(recording);
    }
    options.onJourney?.(journey.name, run.cases);
  }
  await run.pairs(recordings);
  return run.report();
}

class Run {
  readonly #options: MatrixOptions;
  readonly #injected = new Map<Site, Map<Column, number>>();
  readonly #missed: Case[] = [];
  readonly #failures: Failure[] = [];
  readonly #taken = new Set<string>();
  #cases = 0;
  #pairs = 0;

  constructor(options: MatrixOptions) {
    this.#options = options;
  }

  get cases(): number {
    return this.#cases;
  }

  get isOver(): boolean {
    return this.#failures.length >= this.#options.failuresMax;
  }

  report(): MatrixReport {
    return {
      cases: this.#cases,
      injected: this.#injected,
      missed: this.#missed,
      pairs: this.#pairs,
      failures: this.#failures,
    };
  }

  async one(of: Case): Promise<CaseReport> {
    const report = await runCase({ ...of, sabotage: this.#options.sabotage });
    this.#cases += 1;
    for (const { site, mode, again } of report.fired) this.#count(site, again ? 'again' : mode);
    if (report.violations.length > 0) this.#failures.push({ of, report });
    return report;
  }

  /** Each call, each fault. */
  async singles({ journey, replicas, counts }: Recording): Promise<void> {
    for (const [site, count] of [...counts].sort()) {
      if (!this.#isDue(site, replicas)) continue;
      for (const faults of this.#faultsOf(site, count)) {
        if (this.isOver) return;
        const planned = { journey, replicas, faults, latencySeed: null };
        const { fired } = await this.one(planned);
        // The retry of an undo is somebody's choice; the first fault is not.
        if (fired.length === 0) this.#missed.push(planned);
      }
    }
  }

  async pairs(recordings: readonly Recording[]): Promise<void> {
    const { pairs, seed } = this.#options;
    for (let at = 0; at < pairs && !this.isOver; at += 1) {
      const latencySeed = seed + at;
      const prng = prngOf(`pair ${latencySeed.toString()}`);
      const { journey, replicas, counts } = prng.pick(recordings);
      const faults = [drawn(prng, counts), drawn(prng, counts)];
      const { fired } = await this.one({ journey, replicas, faults, latencySeed });
      if (fired.length === faults.length) this.#pairs += 1;
    }
  }

  #isDue(site: Site, replicas: number): boolean {
    if (this.#options.eachSiteOnce !== true) return true;
    const name = `${site} ${replicas.toString()}`;
    const isNew = !this.#taken.has(name);
    this.#taken.add(name);
    return isNew;
  }

  #faultsOf(site: Site, count: number): readonly (readonly PlannedFault[])[] {
    const { first, modes } = this.#options;
    const calls = Array.from({ length: Math.min(first, count) }, (_, at) => at + 1);
    if (count > first) calls.push(count);
    return calls.flatMap((nth) => [
      ...modes.map((mode) => [{ site, nth, mode }]),
      ...(UNDOS.has(site) ? undone(site, nth, modes) : []),
    ]);
  }

  #count(site: Site, column: Column): void {
    const row = this.#injected.get(site) ?? new Map<Column, number>();
    row.set(column, (row.get(column) ?? 0) + 1);
    this.#injected.set(site, row);
  }
}

/** What befalls an undo beyond the rest: a late second doing, and faults of its retry. */
const undone = (
  site: Site,
  nth: number,
  modes: readonly Mode[],
): readonly (readonly PlannedFault[])[] => [
  [{ site, nth, mode: 'twice-late' }],
  ...modes.map((mode): readonly PlannedFault[] => [
    { site, nth, mode: 'reply-lost' },
    { site, nth: 1, mode, again: true },
  ]),
];

function drawn(prng: Prng, counts: ReadonlyMap<Site, number>): PlannedFault {
  const [site, count] = prng.pick([...counts]);
  // Only what takes something back is repeated so late: no part resends a change after an answer.
  const modes: readonly Mode[] = UNDOS.has(site) ? [...MODES, 'twice-late'] : MODES;
  return { site, nth: prng.between(1, count), mode: prng.pick(modes) };
}
