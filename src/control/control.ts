/** What the control plane can be asked to do; the api and the sim stand on this. */
import type { Constraints } from '../model/constraints.js';
import type { Explanation, PlacementRequest } from '../model/decision.js';
import type { Host, HostMode } from '../model/host.js';
import type { MeasuredTotals } from '../model/agent-report.js';
import type { Log } from '../model/ports.js';
import type { Resources } from '../model/resources.js';
import type { Vm } from '../model/vm.js';

export interface CreateVmInput {
  readonly id?: string | undefined;
  readonly name?: string | undefined;
  readonly path?: string | undefined;
  readonly resources: Resources;
  readonly image?: string | undefined;
  readonly constraints?: Constraints | undefined;
}

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

export interface Control {
  /**
   * Places, books and records a VM; its lifecycle goes on in the background.
   * @throws DomainError `no_feasible_host` (with the summary in `extra`), `id_conflict`,
   *   `ledger_rebuilding`, `ledger_unavailable`, `catalogue_unavailable`, `overloaded`
   */
  createVm(input: CreateVmInput, log: Log): Promise<Vm>;
  /** Waits until the VM runs, has failed or is gone, or the time is over; answers how it is then. */
  waitForVm(id: string, timeoutMs: number, signal: AbortSignal): Promise<Vm>;
  /** @throws DomainError `not_found` */
  deleteVm(id: string, log: Log): Promise<Vm>;
  /** @throws DomainError `not_found`, `state_conflict` */
  startVm(id: string, log: Log): Promise<Vm>;
  /** @throws DomainError `not_found`, `state_conflict` */
  stopVm(id: string, log: Log): Promise<Vm>;
  /** The decision for a request, with every host's score or reasons; books nothing. */
  explain(request: PlacementRequest): Promise<Explanation>;
  /** @throws DomainError `name_conflict` */
  joinHost(input: JoinHostInput, log: Log): Promise<Host>;
  /** @throws DomainError `not_found` */
  setHostMode(idOrName: string, mode: HostMode, reason: string | null, log: Log): Promise<Host>;
  /** Rebuilds the ledger from the catalogue, or only tells how they differ. */
  rebuild(options: { readonly dryRun: boolean }, log: Log): Promise<RebuildReport>;
  readiness(): Promise<Readiness>;
}
