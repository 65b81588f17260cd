/**
 * Plans on the live fleet: on a copy, a few milliseconds at a time beside everything else, one plan
 * at once on a replica and none for longer than PLAN_LIMIT_MS.
 */
import { DomainError } from '../model/errors.js';
import type { FleetHost } from '../model/host.js';
import type { Resources } from '../model/resources.js';
import type { StrategyName } from '../model/strategies.js';
import type { Vm } from '../model/vm.js';
import { capacity, type Flavor, type FlavorRoom } from '../planner/capacity.js';
import { compare } from '../planner/compare.js';
import { tableOf, type PlannedFleet, type PlannedVm, type SlicedWork } from '../planner/fleet.js';
import type { LoadRequest } from '../planner/load.js';
import { rebalance, type RebalanceAdvice, type RebalanceInput } from '../planner/rebalance.js';
import type { ReplayResult } from '../planner/replay.js';
import { spare, type ZoneSpare } from '../planner/spare.js';
import type { Ranking } from '../placement/strategy.js';
import { inSlices } from '../std/slices.js';
import type { Ports } from './ports.js';

export interface PlannerVerbs {
  /** @throws DomainError `plan_too_long`, `overloaded` while another plan is made */
  capacity(input: {
    readonly flavors: readonly Flavor[];
    readonly addHost: Resources | null;
    /** Also whether any one host could be lost. */
    readonly spare: boolean;
  }): Promise<{
    readonly flavors: readonly FlavorRoom[];
    readonly spare: readonly ZoneSpare[] | null;
  }>;
  /** Advice only. @throws DomainError as `capacity` does */
  rebalance(input: Omit<RebalanceInput, 'fleet'>): Promise<RebalanceAdvice>;
  /** @param input.hosts null: the fleet as it is now. @throws DomainError as `capacity` does */
  simulate(input: {
    readonly hosts: readonly FleetHost[] | null;
    readonly requests: readonly LoadRequest[];
    readonly strategies: readonly StrategyName[];
  }): Promise<readonly ReplayResult[]>;
}

/** How long a plan may take, reading the fleet included. */
const PLAN_LIMIT_MS = 20_000;

/** A create that comes meanwhile waits no longer than this for its turn. */
const SLICE_MS = 4;

const VMS_PER_PAGE = 1_000;

/** @param ranking of production; a plan leaves nothing to chance and keeps nothing back */
export function plannerVerbs(ports: Ports, { strategy, weights }: Ranking): PlannerVerbs {
  const ranking: Ranking = { strategy, weights };
  let isBusy = false;

  const planned = async <Result>(make: (plan: Plan) => Promise<Result>): Promise<Result> => {
    if (isBusy) {
      throw new DomainError('overloaded', 'This replica makes another plan; try again soon.', {
        retryAfterS: 5,
      });
    }
    isBusy = true;
    try {
      return await make(new Plan(ports));
    } finally {
      isBusy = false;
    }
  };

  return {
    capacity: ({ flavors, addHost, spare: isSpare }) =>
      planned(async (plan) => {
        const fleet = isSpare ? await plan.fleet() : { hosts: await plan.hosts(), vms: [] };
        const table = tableOf(fleet);
        return {
          flavors: await plan.run(capacity({ table, flavors, addHost })),
          spare: isSpare ? await plan.run(spare(table, fleet, ranking)) : null,
        };
      }),
    rebalance: (input) =>
      planned(async (plan) => plan.run(rebalance({ ...input, fleet: await plan.fleet() }))),
    simulate: ({ hosts, requests, strategies }) =>
      planned(async (plan) =>
        plan.run(compare({ hosts: hosts ?? (await plan.hosts()), requests, strategies })),
      ),
  };
}

/** One plan: its copy of the fleet, and its deadline. */
class Plan {
  readonly #ports: Ports;
  readonly #deadline: number;

  constructor(ports: Ports) {
    this.#ports = ports;
    this.#deadline = ports.clock.monotonic() + PLAN_LIMIT_MS;
  }

  /** A copy: the mirror changes while the plan is made. */
  async hosts(): Promise<readonly FleetHost[]> {
    const view = await this.#ports.ledger.view();
    return [...view.hosts()].map((host) => ({ ...host, allocated: { ...host.allocated } }));
  }

  async fleet(): Promise<PlannedFleet> {
    const vms: PlannedVm[] = [];
    let cursor: string | null = null;
    do {
      this.#checkTime();
      const page = await this.#ports.catalogue.vms({ limit: VMS_PER_PAGE, cursor });
      vms.push(...page.items.flatMap(plannedVm));
      cursor = page.nextCursor;
    } while (cursor !== null);
    // After the VMs: what a host has booked, and no VM that was read holds, only stays where it is.
    return { hosts: await this.hosts(), vms };
  }

  run<Result>(work: SlicedWork<Result>): Promise<Result> {
    return inSlices(work, {
      sliceMs: SLICE_MS,
      now: () => this.#ports.clock.monotonic(),
      onSlice: () => {
        this.#checkTime();
      },
    });
  }

  #checkTime(): void {
    if (this.#ports.clock.monotonic() < this.#deadline) return;
    const seconds = (PLAN_LIMIT_MS / 1_000).toString();
    throw new DomainError('plan_too_long', `The plan takes longer than ${seconds} s.`, {
      extra: { limitMs: PLAN_LIMIT_MS },
    });
  }
}

/** A VM that holds a booking on a host; empty for the others. */
function plannedVm(vm: Vm): readonly PlannedVm[] {
  const { id, name, path, resources, constraints, host, allocation } = vm;
  if (host === null || allocation === null) return [];
  const hostId = host.id;
  return [{ id, name, path, resources, constraints, hostId, isMovable: isMovable(vm) }];
}

const isMovable = ({ state, desiredState, movingTo, constraints }: Vm): boolean =>
  (state === 'running' || state === 'stopped') &&
  desiredState !== 'deleted' &&
  movingTo === null &&
  constraints.host === undefined;
