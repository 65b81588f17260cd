/** The catalogue's part of reconcile: VMs that run without a record, and recorded ones that do not. */
import type { Actor } from '../actor.js';
import type { AgentVm, AgentVmState } from '../agent-report.js';
import type { HostRef } from '../decision.js';
import type { Host } from '../host.js';
import type { ReportNumber } from '../report-order.js';
import type { Resources } from '../resources.js';
import type { DesiredState, Vm } from '../vm.js';

/** Reports in a row that must say the same before anything is made of it. */
export const STRIKES = 2;

/**
 * What is done about a VM that has run and that its host does not have any more.
 * - `mark`: it becomes `unknown`; people decide.
 * - `recreate`: it is made anew on the same host, without what was on its disk.
 */
export const ON_MISSING = ['mark', 'recreate'] as const;
export type OnMissing = (typeof ON_MISSING)[number];

/** How a report is to be read. */
export interface ReportReading {
  /** What is done about VMs that have run and that two reports in a row do not name. */
  readonly onMissing: OnMissing;
  /**
   * When it was asked for, by the clock of the catalogue: what has changed since then says nothing
   * against the records. null for a report that came unasked.
   */
  readonly askedAt: Date | null;
}

/** A VM that its host has and that is not recorded there. */
export interface Orphan {
  readonly host: HostRef;
  readonly vmId: string;
  readonly state: AgentVmState;
  readonly resources: Resources;
  /** The number under which its agent has it. */
  readonly assignment: number;
  readonly firstSeenAt: Date;
  readonly lastSeenAt: Date;
  /** The other host that a VM of this id is recorded on. */
  readonly recordedOn: HostRef | null;
  /** Whether it was told to go. */
  readonly leaving: boolean;
}

/** A recorded VM that its host does not have. */
export interface MissingVm {
  readonly vm: HostRef;
  readonly host: HostRef;
  /** When the first report did not name it. */
  readonly since: Date;
  /** Reports in a row that did not name it. */
  readonly strikes: number;
}

/** What a report means for the strangers among its VMs. */
export interface StrangersNoted {
  /** The host, when placement must hear of it: room was taken or is back. */
  readonly host: Host | null;
  /** Those that somebody wants gone and that are still there. */
  readonly leaving: readonly { readonly vmId: string; readonly assignment: number }[];
}

export interface Adoption {
  readonly hostId: string;
  readonly vmId: string;
  readonly name: string;
  readonly path: string;
  readonly bookingId: string;
}

export interface OrphanStore {
  /**
   * Notes which of the VMs that a host reports are not recorded there. Those that two reports in a
   * row have named take room away from placement; those that are gone give it back.
   * To be called for a report that `reportVms` has taken over.
   */
  noteStrangers(
    hostId: string,
    report: ReportNumber,
    vms: readonly AgentVm[],
    askedAt: ReportReading['askedAt'],
  ): Promise<StrangersNoted>;
  /** Those that two reports in a row have named. */
  orphans(): Promise<readonly Orphan[]>;
  /** Recorded VMs that two reports in a row have not named. */
  missingVms(): Promise<readonly MissingVm[]>;
  /**
   * Records an orphan as a VM of its host, booked there whether there is room or not, under an
   * assignment above the agent's. Begins a rebuild in the same transaction: from then on no ledger
   * is believed that does not know the booking.
   * @throws DomainError `not_found`; `id_conflict` when a VM of this id is recorded elsewhere;
   *   `state_conflict` when it was told to go, or has failed on its host
   */
  adoptOrphan(adoption: Adoption, by: Actor): Promise<Vm>;
  /** Notes that an orphan is to go. @returns it; null when there is none */
  dismissOrphan(hostId: string, vmId: string, by: Actor): Promise<Orphan | null>;
  /** Forgets an orphan that is proven gone. @returns the host, as placement must hear of it */
  forgetOrphan(hostId: string, vmId: string): Promise<Host | null>;
  /**
   * Gives a VM an assignment above `above`, which its agent has shown or refused with: orders of the
   * present one are not obeyed any more, as after a restore of the catalogue. Ends the lease.
   * @returns whether the lease still held
   */
  renewAssignment(lease: string, vmId: string, above: number): Promise<boolean>;
}

/** What is wanted of an orphan that becomes a VM: that it stays as it is. */
export const wantedOfOrphan = (state: AgentVmState): DesiredState =>
  state === 'stopped' || state === 'stopping' ? 'stopped' : 'running';

/**
 * Highest assignment that is believed of an agent. One that says more is broken or lies, and the
 * numbers of the whole fleet would be used up if ours went on above it.
 */
export const ASSIGNMENT_BELIEVED_MAX = 2 ** 52;
