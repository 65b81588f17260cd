/**
 * One history: three replicas of the real control plane, a fleet, work and faults, all drawn from one
 * seed. In safety mode faults go on to the end; in liveness mode they stop, everything is healed, and
 * the fleet must come to rest.
 */
import type { Control } from '../control/control.js';
import type { Prng } from '../std/prng.js';
import { prngOf } from '../std/prng.js';
import { NO_CUTS, type Cuts } from './cuts.js';
import type { FaultName } from './faults.js';
import { notReturned, unsettled } from './liveness.js';
import { PartFaults } from './part-faults.js';
import { Workload, type WorkloadParts } from './workload.js';
import { HEALTH_PERIOD_S, RESTART_MS_MAX, World, type Sabotage } from './world.js';
import type { Violation } from './violations.js';

export type HistoryMode = 'safety' | 'liveness';

export interface HistoryOptions {
  readonly seed: number;
  readonly mode: HistoryMode;
  /** A bug to be put between the control plane and its ports, to see whether it is found. */
  readonly sabotage?: Sabotage | undefined;
  /** What is left out of it; nothing when absent. */
  readonly cuts?: Cuts | undefined;
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
  /** Turns of faults and of clients: what may be left out. */
  readonly turns: { readonly faults: number; readonly clients: number };
  readonly hosts: number;
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

/** A host that is well is taken for up within three periods, once the replicas are back. */
const RETURN_MS_MAX = 3 * HEALTH_PERIOD_S * 1_000 + RESTART_MS_MAX;

const LINES_SHOWN = 60;

/** Runs a history from its beginning to its end. */
export async function runHistory(options: HistoryOptions): Promise<HistoryReport> {
  const { seed, mode, sabotage, cuts = NO_CUTS } = options;
  const prng = prngOf(`history ${seed.toString()}`);
  const world = new World(prng, sabotage, null, cuts);
  const { clock, faults, trace, violations } = world;
  await world.start();
  await clock.runUntil(CALM_MS);

  const workload = workloadOf(world, prng.fork('workload'), cuts);
  const parts = new PartFaults(world, prng.fork('parts'));
  faults.begin();
  parts.begin();
  workload.begin(prng.pick([100, 300, 800]));
  await audited(world, CALM_MS + prng.between(1_000, 6_000));
  workload.end();
  parts.end();

  let restMs: number | null = null;
  if (mode === 'liveness' && !violations.any) {
    const well = [...world.fleet.hosts.values()].filter(({ power }) => power !== 'off');
    parts.heal();
    restMs = await rest(world, workload, new Set(well.map(({ spec }) => spec.id)));
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
    turns: { faults: faults.turns, clients: workload.clients },
    hosts: world.fleet.hosts.size,
    restMs,
    lastLines: trace.last(LINES_SHOWN),
  };
}

function workloadOf(world: World, prng: Prng, { clients }: Cuts): Workload {
  const { clock, trace, auditor, violations, caller, fleet } = world;
  const parts: WorkloadParts = {
    clock,
    prng,
    trace,
    auditor,
    violations,
    caller,
    hostIds: [...fleet.hosts.keys()],
    machines: [...fleet.hosts.values()],
    joinOf: (host) => world.joinOf(host),
    control(by): Control | null {
      const alive = world.replicas.filter(({ process }) => process.isAlive);
      return alive.length === 0 ? null : by.pick(alive).control;
    },
  };
  return new Workload(parts, clients);
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
async function rest(
  world: World,
  workload: Workload,
  wellIds: ReadonlySet<string>,
): Promise<number> {
  const { clock, violations, auditor } = world;
  const since = clock.monotonic();
  const untilMs = since + REST_MAX_MS;
  let haveReturned = false;
  for (;;) {
    await audited(world, clock.monotonic() + LOOK_EVERY_MS);
    if (!haveReturned && clock.monotonic() - since >= RETURN_MS_MAX) {
      haveReturned = true;
      for (const detail of await notReturned(world, wellIds)) violations.add('L5', detail);
    }
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
