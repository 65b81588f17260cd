/**
 * One case: a journey in a quiet world, with the faults that are planned for it. Whatever they are,
 * the fleet must come to rest, every rule must hold, and the journey must end as it has to.
 */
import { prngOf } from '../../std/prng.js';
import { unsettled } from '../liveness.js';
import type { Violation } from '../violations.js';
import { World, type Sabotage } from '../world.js';
import type { Journey } from './journey.js';
import { PlannedCalls, type PlannedFault, type Site } from './planned-calls.js';
import { Stage } from './stage.js';

export interface CaseOptions {
  readonly journey: Journey;
  readonly replicas: number;
  readonly faults: readonly PlannedFault[];
  /** Messages take time, drawn from this seed; null: none. */
  readonly latencySeed?: number | null;
  readonly sabotage?: Sabotage | undefined;
}

export interface CaseReport {
  readonly violations: readonly Violation[];
  /** Calls of each site while the journey went on. */
  readonly counts: ReadonlyMap<Site, number>;
  /** Faults that have happened; a second one may find nothing to befall. */
  readonly fired: readonly PlannedFault[];
  readonly lastLines: readonly string[];
}

/** A dead process is there again after this time. */
const RESTART_MS = 300;

/** The journey has its end by then, and the fleet its rest. */
const TIME_MAX_MS = 240_000;
const LOOK_EVERY_MS = 250;

/** How long everything goes on at rest, so that what comes late is seen. */
const STILL_MS = 500;

const LINES_SHOWN = 60;

export async function runCase(options: CaseOptions): Promise<CaseReport> {
  const { journey, replicas, faults, latencySeed = null, sabotage } = options;
  const latency = latencySeed === null ? null : prngOf(`latency ${latencySeed.toString()}`);
  const plan: PlannedCalls = new PlannedCalls(faults, () => world.clock.monotonic(), latency);
  const scene = { replicas, hosts: [], plan, restartMs: RESTART_MS };
  const world: World = new World(prngOf('crash points'), sabotage, scene);
  const stage = new Stage(world);
  for (let at = 1; at <= journey.hosts; at += 1) world.addHost(stage.spec(at));

  if (journey.fromBoot === true) plan.arm();
  await open(world, stage);
  await during(world, stage, journey.prepare?.(stage));
  plan.arm();
  await during(world, stage, journey.run(stage));
  await rest(world, plan);
  if (!world.violations.any) await journey.check?.(stage);
  world.stop();
  return {
    violations: world.violations.found,
    counts: plan.counts,
    fired: plan.fired,
    lastLines: world.trace.last(LINES_SHOWN),
  };
}

/** Starts the replicas and waits until every host takes VMs. */
async function open(world: World, stage: Stage): Promise<void> {
  await world.boot();
  const joining = [...world.fleet.hosts.values()].map((host) =>
    stage.must(`join ${host.spec.id}`, (control) =>
      control.joinHost(world.joinOf(host), world.caller),
    ),
  );
  await during(world, stage, Promise.all(joining));
  await during(
    world,
    stage,
    stage.until('all hosts are up', async () => {
      const { incarnation } = await world.catalogue.epoch();
      if (incarnation === null || world.books.state.incarnation !== incarnation) return false;
      return [...world.fleet.hosts.keys()].every((id) => world.books.hosts.get(id)?.state === 'up');
    }),
  );
}

/** Lets time pass until something is over. */
async function during(world: World, stage: Stage, work: Promise<unknown> = Promise.resolve()) {
  const { clock, violations } = world;
  const state = { isOver: false };
  work.then(
    () => {
      state.isOver = true;
    },
    (error: unknown) => {
      state.isOver = true;
      violations.add('BUG', `the journey broke: ${String(error)}`);
    },
  );
  await clock.runUntil(clock.monotonic() + TIME_MAX_MS, () => state.isOver || violations.any);
  stage.expect(state.isOver || violations.any, () => 'the journey never came to its end');
}

/** Lets time pass until all is at rest; what is not in the end is a violation. */
async function rest(world: World, plan: PlannedCalls): Promise<void> {
  const { clock, violations, auditor } = world;
  const untilMs = clock.monotonic() + TIME_MAX_MS;
  const pass = (ms: number) => clock.runUntil(clock.monotonic() + ms, () => violations.any);
  await pass(Math.max(STILL_MS, plan.quietFromMs - clock.monotonic()));
  while (!violations.any) {
    const left = await unsettled(world, await auditor.lookAtAll());
    if (left.length === 0) break;
    if (clock.monotonic() > untilMs)
      for (const [rule, detail] of left) violations.add(rule, detail);
    await pass(LOOK_EVERY_MS);
  }
  if (!violations.any) await auditor.settleAccounts();
}
