/** What the control plane can be asked to do; the api and the sim stand on this. */
import type { Constraints } from '../model/constraints.js';
import type { DomainError } from '../model/errors.js';
import type { Explanation, PlacementRequest } from '../model/decision.js';
import type { Host } from '../model/host.js';
import type { MeasuredTotals } from '../model/agent-report.js';
import type { Caller } from './caller.js';
import type { BreakerVerbs } from './breaker-verbs.js';
import type { DrainVerbs } from './drain-verbs.js';
import type { FenceVerbs } from './fence-verbs.js';
import type { HostVerbs } from './host-verbs.js';
import type { ReservationVerbs } from './reservations.js';
import type { TokenVerbs } from './tokens.js';
import type { StopOptions } from '../model/ports.js';
import type { Resources } from '../model/resources.js';
import type { StrategyName } from '../model/strategies.js';
import type { OrphanVerbs } from './orphan-verbs.js';
import type { PlannerVerbs } from './planner-verbs.js';
import type { JoinTicket } from '../model/token.js';
import type { OnHostLoss, Vm, VmUser } from '../model/vm.js';
import type { WhenFull } from '../model/waiting.js';

export interface CreateVmInput {
  readonly id?: string | undefined;
  readonly name?: string | undefined;
  readonly path?: string | undefined;
  readonly resources: Resources;
  readonly image?: string | undefined;
  /** Who may log in to its guest; nobody in particular when absent. */
  readonly users?: readonly VmUser[] | undefined;
  readonly constraints?: Constraints | undefined;
  /** What becomes of it when its host is fenced; `keep` when absent. */
  readonly onHostLoss?: OnHostLoss | undefined;
  /** How hosts are ranked; the configured way when absent. For operators. */
  readonly strategy?: StrategyName | undefined;
  /** Id of a reservation whose room it takes; the reservation ends with it. For operators. */
  readonly reservation?: string | undefined;
  /** What to do when no host can take it; `refuse` when absent. */
  readonly whenFull?: WhenFull | undefined;
  /** How long it may wait for room; as configured when absent. */
  readonly deadlineS?: number | undefined;
}

/** What became of one VM of many. */
export type CreateOutcome =
  | { readonly status: 'placed'; readonly vm: Vm }
  | { readonly status: 'refused'; readonly error: DomainError };

export interface JoinHostInput {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly credential: string;
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly totals: MeasuredTotals;
  readonly version: string;
  readonly bootId: string;
  /** With which the agent speaks from now on; it may have none. */
  readonly token?: string | undefined;
  readonly ticket: JoinTicket;
}

export interface RebuildReport {
  readonly dryRun: boolean;
  readonly durationMs: number;
  /** VMs that hold a booking. */
  readonly vms: number;
  readonly hosts: readonly {
    readonly id: string;
    readonly name: string;
    /** Ledger minus catalogue, before; classes without drift are absent. */
    readonly drift: Resources;
    /** The same afterwards; null in a dry run. */
    readonly driftAfter: Resources | null;
  }[];
}

export interface Readiness {
  readonly ready: boolean;
  readonly dependencies: {
    readonly ledger: {
      readonly state: 'ready' | 'rebuilding' | 'unavailable';
      readonly detail: string | null;
    };
    readonly catalogue: { readonly state: 'ready' | 'unavailable'; readonly detail: string | null };
  };
}

export interface Control
  extends
    BreakerVerbs,
    DrainVerbs,
    FenceVerbs,
    HostVerbs,
    ReservationVerbs,
    TokenVerbs,
    OrphanVerbs,
    PlannerVerbs {
  /**
   * Places, books and records a VM; its lifecycle goes on in the background. With `whenFull` queue
   * it is recorded as waiting when there is no room, or when others wait already.
   * @throws DomainError `no_feasible_host` (with the summary in `extra`), `id_conflict`,
   *   `ledger_rebuilding`, `ledger_unavailable`, `catalogue_unavailable`, `overloaded`
   */
  createVm(input: CreateVmInput, by: Caller): Promise<Vm>;
  /**
   * The same for many, each with a decision of its own. Unless `partial`, either all of them are
   * placed or none.
   * @throws DomainError as `createVm` does, with the `index` of the one that is refused in `extra`;
   *   with `partial` only when none was placed
   */
  createVms(
    inputs: readonly CreateVmInput[],
    options: { readonly partial: boolean },
    by: Caller,
  ): Promise<readonly CreateOutcome[]>;
  /** Waits until the VM runs, has failed or is gone, or the time is over; answers how it is then. */
  waitForVm(id: string, timeoutMs: number, signal: AbortSignal): Promise<Vm>;
  /** @throws DomainError `not_found` */
  deleteVm(id: string, by: Caller): Promise<Vm>;
  /** @throws DomainError `not_found`, `state_conflict` */
  startVm(id: string, by: Caller): Promise<Vm>;
  /**
   * @throws DomainError `not_found`, `state_conflict`; with `force` also what asking its host's agent
   *   comes to: then the VM is wanted stopped all the same
   */
  stopVm(id: string, by: Caller, options?: StopOptions): Promise<Vm>;
  /**
   * The decision for a request, with every host's score or reasons; books nothing.
   * @param strategy as configured when absent
   */
  explain(request: PlacementRequest, strategy?: StrategyName): Promise<Explanation>;
  /**
   * @throws DomainError `name_conflict`, `forbidden`, `state_conflict`; `invalid_request` when the
   *   address lies outside the fleet's networks
   */
  joinHost(input: JoinHostInput, by: Caller): Promise<Host>;
  /** Rebuilds the ledger from the catalogue, or only tells how they differ. */
  rebuild(options: { readonly dryRun: boolean }, by: Caller): Promise<RebuildReport>;
  readiness(): Promise<Readiness>;
}
