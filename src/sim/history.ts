/**
 * One history: three replicas of the real control plane, a fleet, work and faults, all drawn from one
 * seed. In safety mode faults go on to the end; in liveness mode they stop, everything is healed, and
 * the fleet must come to rest.
 */
import type { Control } from '../control/control.js';
import type { Prng } from '../std/prng.js';
import { prngOf } from '../std/prng.js';
import type { FaultName } from './faults.js';
import { unsettled } from './liveness.js';
import { PartFaults } from './part-faults.js';
import { Workload } from './workload.js';
import { World, type Sabotage } from './world.js';
import type { Violation } from './violations.js';

export type HistoryMode = 'safety' | 'liveness';

export interface HistoryOptions {
  readonly seed: number;
  readonly mode: HistoryMode;
  /** A bug to be put between the control plane and its ports, to see whether it is found. */
  readonly sabotage?: Sabotage | undefined;
}

export interface HistoryReport {
  readonly seed: number;
  readonly mode: HistoryMode;
  readonly violations: readonly Violation[];
  /** The same for two runs of one seed. */
  readonly hash: string;
  /** Timers that fired. */
  readonly events: number;
  readonly faults: ReadonlyMap<FaultName, number>;
  /** How long the fleet took to come to rest after the faults; null in safety mode. */
  readonly restMs: number | null;
  /** The end of the trace, for people. */
  readonly lastLines: readonly string[];
}

/** How long nothing fails at first, so that the fleet is up. */
const CALM_MS = 1_200;

const AUDIT_EVERY_MS = 2_000;

/** How long the fleet may take to come to rest: 60 s, and what a caller may wait before. */
const REST_MAX_MS = 75_000;
const LOOK_EVERY_MS = 1_000;

const LINES_SHOWN = 60;

/** Runs a history from its beginning to its end. */
export async function runHistory(options: HistoryOptions): Promise<HistoryReport> {
  const { seed, mode, sabotage } = options;
  const prng = prngOf(`history ${seed.toString()}`);
  const world = new World(prng, sabotage);
  const { clock, faults, trace, violations } = world;
  await world.start();
  await clock.runUntil(CALM_MS);

  const workload = workloadOf(world, prng.fork('workload'));
  const parts = new PartFaults(world, prng.fork('parts'));
  faults.begin();
  parts.begin();
  workload.begin(prng.pick([100, 300, 800]));
  await audited(world, CALM_MS + prng.between(1_000, 6_000));
  workload.end();
  parts.end();

  let restMs: number | null = null;
  if (mode === 'liveness' && !violations.any) {
    parts.heal();
    restMs = await rest(world, workload);
  }
  await world.auditor.lookAtAll();
  world.stop();
  return {
    seed,
    mode,
    violations: violations.found,
    hash: trace.hash,
    events: clock.fired,
    faults: faults.counts,
    restMs,
    lastLines: trace.last(LINES_SHOWN),
  };
}

function workloadOf(world: World, prng: Prng): Workload {
  const { clock, trace, auditor, violations, caller, fleet } = world;
  return new Workload({
    clock,
    prng,
    trace,
    auditor,
    violations,
    caller,
    hostIds: [...fleet.hosts.keys()],
    control(): Control | null {
      const alive = world.replicas.filter(({ process }) => process.isAlive);
      return alive.length === 0 ? null : prng.pick(alive).control;
    },
  });
}

/** Lets time pass and looks at everything now and then; ends early when a rule is broken. */
async function audited(world: World, untilMs: number): Promise<void> {
  const { clock, violations, auditor } = world;
  for (let atMs = clock.monotonic(); atMs < untilMs && !violations.any;) {
    atMs = Math.min(untilMs, atMs + AUDIT_EVERY_MS);
    await clock.runUntil(atMs, () => violations.any);
    await auditor.lookAtAll();
  }
}

/** @returns how long it took; what is not at rest in the end is a violation */
async function rest(world: World, workload: Workload): Promise<number> {
  const { clock, violations, auditor } = world;
  const since = clock.monotonic();
  const untilMs = since + REST_MAX_MS;
  for (;;) {
    await audited(world, clock.monotonic() + LOOK_EVERY_MS);
    if (violations.any) break;
    const left = workload.underWay > 0 ? [] : await unsettled(world, await auditor.lookAtAll());
    if (workload.underWay === 0 && left.length === 0) break;
    if (clock.monotonic() < untilMs) continue;
    for (const [rule, detail] of left) violations.add(rule, detail);
    violations.expect(workload.underWay === 0, 'L1', () => 'callers wait for an answer still');
    break;
  }
  if (!violations.any) await auditor.settleAccounts();
  return clock.monotonic() - since;
}
