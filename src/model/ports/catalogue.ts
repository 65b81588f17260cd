/** The port of the catalogue: "remember it". Its parts of a later date stand in stores/, one file a noun. */
import type { AgentStatus, AgentVm, MeasuredTotals } from '../agent-report.js';
import type { Host, HostPatch } from '../host.js';
import type { HostState } from '../host-liveness.js';
import type { InventoryOverrides } from '../inventory.js';
import type { ReportNumber } from '../report-order.js';
import type { Allocation, Attempt, DesiredState, Reason, Vm, VmSpec, VmState } from '../vm.js';
import type { GroupRule } from '../groups.js';
import type { Actor } from '../actor.js';
import type { Page } from '../page.js';
import type { DrainStore } from '../stores/drains.js';
import type { FenceStore } from '../stores/fences.js';
import type { FleetWatchStore } from '../stores/fleet-watch.js';
import type { OrphanStore, ReportReading } from '../stores/orphans.js';
import type { TokenStore } from '../stores/tokens.js';
import type { JoinTicket } from '../token.js';
import type { Reservation } from '../reservation.js';
import type { Resources } from '../resources.js';
import type { AuditStore } from '../stores/audit.js';
import type { EventStore } from '../stores/events.js';
import type { ReservationStore } from '../stores/reservations.js';
import type { StrategyName } from '../strategies.js';
import type { IdempotencyStore } from '../stores/idempotency.js';
import type { UsageStore } from '../stores/usage.js';
import type { WaitingStore } from '../stores/waiting.js';
import type { Booking, LedgerBooking, CatalogueSnapshot } from './ledger.js';

/**
 * A booking that is to be recorded.
 * - `create`: makes the VM's row.
 * - `again`: gives a host to a VM that waits for one.
 * - `move`: gives a new host to a VM that is on its way (`moving_to`) and that its old host has let
 *   go: its old booking is erased already. It takes the place of the reservation that `moving_to`
 *   names, or of none when that is gone; `moving_to` ends with it.
 * - `reserve`: makes a reservation; `spec.id` is its id.
 */
export interface RecordItem {
  readonly kind: 'create' | 'again' | 'move' | 'reserve';
  readonly spec: VmSpec;
  /** Who asked for it, for the audit log; null for what Berth does by itself. */
  readonly by: Actor | null;
  /** Soft rules that the chosen host breaks. */
  readonly violations: readonly GroupRule[];
  /** Strategy that an operator asked for; null for the configured one. */
  readonly strategy: StrategyName | null;
  /** For `reserve`. */
  readonly reservation: {
    readonly purpose: Reservation['purpose'];
    /** From its record on, by the catalogue's clock: those of replicas differ. */
    readonly endsInMs: number | null;
  } | null;
  /** Fingerprint of the request, to recognise a repeat of it; empty where none can come. */
  readonly requestHash: string;
  readonly booking: Booking;
  readonly attempt: Attempt;
}

/** A lease under which VMs are taken as they are recorded, as `takeWork` takes them. */
export interface Taking {
  /** A fresh name. */
  readonly lease: string;
  readonly leaseMs: number;
  /** So many of them, the first ones. */
  readonly countMax: number;
}

/**
 * - `recorded`: from here on the VM exists; also the answer to a repeat of the same booking. With
 *   `work` when it was taken.
 * - `taken`: the id belongs to another VM, or was recorded under another booking.
 * - `over_limit`: the host's row has no room; ledger and catalogue disagree.
 * - `closed`: the host takes no VMs.
 * - `gone`: the VM to be placed again no longer waits for a host, the one to be moved no longer
 *   moves, or a booking that it was to take the place of is gone.
 * - `group`: a hard rule of the group would be broken; ledger and catalogue disagree.
 * - `set`: another item of its set was refused, so nothing of the set was recorded.
 */
export type RecordOutcome =
  | {
      readonly kind: 'recorded';
      readonly vm: Vm;
      readonly assignment: number;
      readonly work?: WorkItem;
    }
  | { readonly kind: 'reserved'; readonly reservation: Reservation }
  | { readonly kind: 'taken' | 'over_limit' | 'closed' | 'gone' | 'group' | 'set' };

/** `stale_epoch`: a rebuild has begun since these were booked; nothing was recorded. */
export type RecordReply =
  | { readonly kind: 'done'; readonly outcomes: readonly RecordOutcome[] }
  | { readonly kind: 'stale_epoch' };

/** Where an agent is, and what the control plane shows it to prove itself. */
export interface AgentContact {
  readonly hostId: string;
  readonly address: string;
  /** What the name in the address stood for when the agent joined; calls go nowhere else. */
  readonly ip: string | null;
  readonly credential: string;
  /**
   * The start of the machine that orders are for: an agent refuses them after another one, for what
   * they are about may have been given to another host meanwhile. Absent: for any.
   */
  readonly bootId?: string;
}

/** What ledger and catalogue have agreed on. */
export interface Agreement {
  /** The epoch from which the ledger must have been built. */
  readonly epoch: number;
  /** The ledger that the last finished rebuild made; null while one is under way. */
  readonly incarnation: string | null;
  /** The highest `seq` of a recorded booking. */
  readonly highWater: number;
}

/** An instant of the catalogue; says something to it alone. */
export type CatalogueMark = string;

export interface BookingQuery {
  readonly limit: number;
  readonly cursor: string | null;
}

export interface CatalogueChanges {
  /** The instant of which this is. */
  readonly mark: CatalogueMark;
  /** Hosts of other revisions than are known: new, changed or retired. */
  readonly hosts: readonly Host[];
  /** Bookings that have ended. */
  readonly gone: readonly LedgerBooking[];
  readonly allocations: readonly Allocation[];
}

/** A VM that needs a step, leased to whoever took it. */
export interface WorkItem {
  /** Names this taking of the VM and no other. */
  readonly lease: string;
  readonly vm: Vm;
  /** null when the VM has no host. */
  readonly contact: AgentContact | null;
  /** What the operator says of its host's room. */
  readonly overrides: InventoryOverrides;
  /** Failed tries of the present step; sets the pause before the next. */
  readonly tries: number;
}

/** What a step of the lifecycle found. */
export interface Progress {
  readonly state: VmState;
  readonly reason: Reason | null;
  /** Set when the VM was seen running. */
  readonly hasRun?: boolean;
  /** Set when what was wanted cannot be had, so that it is not tried for ever. */
  readonly desiredState?: DesiredState;
  /** When to look again; null when the VM is where it should be. */
  readonly nextInMs: number | null;
  /** Whether this try failed. */
  readonly failedTry?: boolean;
  /** Nothing was tried: the count of failed tries stays as it is. */
  readonly postponed?: boolean;
}

/** How a VM that loses its booking goes on. */
export interface ReleaseResult {
  /** `placed` without a host means: to be placed again. */
  readonly state: 'placed' | 'failed' | 'deleted';
  readonly reason: Reason | null;
  readonly attempt?: Attempt;
  /** It has left its host for the room that a move holds for it elsewhere. */
  readonly movesOn?: boolean;
}

export interface JoinRequest {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly credential: string;
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly totals: MeasuredTotals;
  readonly version: string;
  readonly bootId: string;
  /** What the name in the address stood for; null: the address is one. */
  readonly ip: string | null;
  /** SHA-256, in hex, of the token with which the agent speaks from now on; null: it has none. */
  readonly tokenHash: string | null;
  readonly ticket: JoinTicket;
}

/** What one poll of a host found; written in one statement for all hosts. */
export interface HostPoll {
  readonly hostId: string;
  /** Where it was asked. If the host has joined from elsewhere meanwhile, this says nothing of it. */
  readonly address: string;
  readonly state: HostState;
  readonly missedPolls: number;
  /** From `contacts`: once a later poll is saved, this one says nothing. Absent: it is not compared. */
  readonly askedAt?: Date;
  /** null when the host did not answer. */
  readonly status: HostReport | null;
}

/** What an agent says of its VMs. */
export interface VmsReport extends ReportNumber {
  readonly hostId: string;
  readonly vms: readonly Pick<AgentVm, 'id' | 'assignment' | 'state'>[];
  /** As `ReportReading` has it. */
  readonly askedAt: ReportReading['askedAt'];
}

/** What an agent says of its machine; its VMs are taken over by `reportVms`. */
export type HostReport = Pick<
  AgentStatus,
  'totals' | 'used' | 'version' | 'bootId' | 'report' | 'notEnforced'
>;

export interface VmQuery {
  readonly limit: number;
  /** Opaque; from the page before. */
  readonly cursor: string | null;
  readonly hostId?: string;
  readonly path?: string;
  readonly state?: VmState;
}

export interface HostQuery {
  readonly limit: number;
  readonly cursor: string | null;
}

export type { Page };

export interface Catalogue
  extends
    DrainStore,
    FenceStore,
    FleetWatchStore,
    IdempotencyStore,
    ReservationStore,
    WaitingStore,
    TokenStore,
    OrphanStore,
    EventStore,
    AuditStore,
    UsageStore {
  /** @throws DomainError `catalogue_unavailable` */
  ping(): Promise<void>;
  close(): Promise<void>;

  // Agreement with the ledger.
  /** What the ledger must be to be believed. */
  epoch(): Promise<Agreement>;
  /**
   * Begins a rebuild: from now on records that were booked under an older epoch are refused, and no
   * ledger is believed until one is agreed on.
   * @param above the ledger's present epoch; the new one is higher than both
   */
  nextEpoch(above: number): Promise<number>;
  /** Ends a rebuild: this incarnation is the ledger. @returns false when a later one has begun */
  agree(epoch: number, incarnation: string): Promise<boolean>;
  /** Hosts and allocations as of one instant. */
  snapshot(): Promise<CatalogueSnapshot>;
  /** Where the catalogue is now, for `changesSince`. */
  mark(): Promise<CatalogueMark>;
  /** Allocations page by page. Each page is of its own instant: what moves meanwhile is a change. */
  bookings(query: BookingQuery): Promise<Page<Allocation>>;
  /**
   * What has changed since a mark, as of one instant; also some of what has not.
   * @param revisions of hosts as they are known, by id
   */
  changesSince(
    mark: CatalogueMark,
    revisions: ReadonlyMap<string, number>,
  ): Promise<CatalogueChanges>;
  /**
   * Hosts that are new or of another revision than known, or known and retired since.
   * @param revisions of hosts as they are known, by id
   * @returns at most `limit`, in order of registration
   */
  changedHosts(revisions: ReadonlyMap<string, number>, limit: number): Promise<readonly Host[]>;
  /** What is booked on each host that is not retired, by host. */
  bookedSums(): Promise<ReadonlyMap<string, Resources>>;
  /** Forgets bookings that ended longer ago than this: marks from before say nothing. @returns how many */
  purgeEnded(olderThanMs: number): Promise<number>;
  /** Which of these bookings are recorded, with their assignment. */
  recordedBookings(bookingIds: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** Releases that the ledger may not have heard of, oldest first. */
  pendingReleases(olderThanMs: number, limit: number): Promise<readonly LedgerBooking[]>;
  /** Forgets pending releases that the ledger has carried out. */
  settleReleases(bookingIds: readonly string[]): Promise<void>;

  // VMs.
  /**
   * Records a batch in one transaction: the epoch is still `epoch`, host rows are taken in order of
   * id, and each takes a booking only if it is open and `allocated + requested ≤ limit`.
   * Repeating a call whose answer was lost is safe.
   * @param taking new VMs that stand alone and are in no group are taken under this lease, if
   *   nothing stands in the way of any of them: nobody has to look for them then
   */
  record(
    epoch: number,
    seq: number,
    items: readonly RecordItem[],
    taking?: Taking | null,
  ): Promise<RecordReply>;
  /** A VM that is not deleted, or null. */
  vm(id: string): Promise<Vm | null>;
  /** The VM that owns this id, even a deleted one, with its request's fingerprint. */
  vmByRequest(id: string): Promise<{ readonly vm: Vm; readonly requestHash: string } | null>;
  vms(query: VmQuery): Promise<Page<Vm>>;
  /**
   * Changes what is wanted of a VM and makes it due at once.
   * @returns the VM; null when there is none
   * @throws DomainError `state_conflict` when it is being deleted or has failed
   */
  want(id: string, desired: DesiredState, by: Actor): Promise<Vm | null>;
  /**
   * Leases due VMs; those of hosts that are down are left alone.
   * @param lease a fresh name: what was taken under an older one can no longer be written
   * @param busy hosts whose VMs are left alone, too
   */
  takeWork(
    lease: string,
    limit: number,
    leaseMs: number,
    busy?: readonly string[],
  ): Promise<readonly WorkItem[]>;
  /**
   * Saves what steps found, many in one statement, and ends their leases.
   * @returns the ids that were saved; for the others the lease was lost, and nothing was written
   */
  saveProgress(
    found: readonly {
      readonly vmId: string;
      readonly lease: string;
      readonly progress: Progress;
    }[],
  ): Promise<ReadonlySet<string>>;
  /**
   * Erases a VM's allocation and ends the lease, in one transaction that also notes the release for
   * the ledger. A second call changes nothing.
   * @returns the VM; null when the lease was lost, and nothing was written
   */
  releaseVm(lease: string, vmId: string, result: ReleaseResult): Promise<Vm | null>;
  /** Removes rows of VMs that were deleted longer ago than this. @returns how many */
  purgeDeleted(olderThanMs: number): Promise<number>;

  // Hosts.
  /**
   * An agent joins, or joins again. A known host keeps its mode, sequence and bookings.
   * @throws DomainError `name_conflict` when another host has this name, `forbidden` when the ticket
   *   is not for this host, `state_conflict` when the host is another's
   */
  joinHost(request: JoinRequest, by: Actor): Promise<Host>;
  /** By id or by name. */
  host(idOrName: string): Promise<Host | null>;
  hosts(query: HostQuery): Promise<Page<Host>>;
  /**
   * What an operator says of a host.
   * @returns the host; null when there is none
   * @throws DomainError `state_conflict` when a mode is asked for and the host is retired
   */
  patchHost(idOrName: string, patch: HostPatch, by: Actor): Promise<Host | null>;
  /** Ends the cordons whose time is over. @returns the hosts that are enabled again */
  endCordons(): Promise<readonly Host[]>;
  /** Contacts of all hosts that are not retired, or of one. */
  contacts(hostId?: string): Promise<
    readonly (AgentContact & {
      readonly state: HostState;
      readonly missedPolls: number;
      /** Whether it is to be told what a fence took from it before it counts as up. */
      readonly isFenced: boolean;
      /** Time of the catalogue's clock: what these are asked from now on is later. */
      readonly askedAt: Date;
    })[]
  >;
  /**
   * Saves polls. A fenced host that answers is `joining` until its fence is lifted. What a host says under an older number than the last one is not taken over.
   * @returns the hosts about which placement must hear
   */
  saveHostPolls(polls: readonly HostPoll[]): Promise<readonly Host[]>;
  /** Saves what a host says without being asked; that it can be reached, only a poll shows. */
  saveHostReport(hostId: string, report: HostReport): Promise<readonly Host[]>;
  /**
   * Takes over what a host reports of its VMs, if that report is the last that was saved of it.
   * @returns how many VMs changed
   */
  reportVms(
    hostId: string,
    report: ReportNumber,
    vms: readonly AgentVm[],
    reading?: ReportReading,
  ): Promise<number>;
  /**
   * Which of these reports, one of a host, say anything that `reportVms` or `noteStrangers` would take
   * down; only for them need the two be called. Changes nothing and waits for nobody. May name a host
   * whose report then changes nothing.
   * @returns the ids of the hosts
   */
  reportsWithNews(reports: readonly VmsReport[]): Promise<ReadonlySet<string>>;
  /** The VMs of a host become `unknown`, if it is `down`. @returns how many */
  loseVms(hostId: string): Promise<number>;

  // Which replica does what.
  /** Takes or extends a named lease. */
  acquireLease(name: string, holder: string, ttlMs: number): Promise<boolean>;
  releaseLease(name: string, holder: string): Promise<void>;
}
