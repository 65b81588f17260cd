/**
 * The hands that `control` is given: ledger, catalogue, agents, and what it needs of its process.
 * They speak domain values only. Each has a real implementation in its own folder.
 */
import type { AgentStatus, AgentVm } from './agent-report.js';
import type { Host, HostFacts, HostMode } from './host.js';
import type { HostState } from './host-liveness.js';
import type { Inventory } from './inventory.js';
import type { ResourceClass, Resources } from './resources.js';
import type { Allocation, Attempt, DesiredState, Reason, Vm, VmSpec, VmState } from './vm.js';

// ── The process ──────────────────────────────────────────────────────────────────────────────

export interface Clock {
  /** Milliseconds since 1970, for what people read. */
  now(): number;
  /** Milliseconds from a monotonic clock, for every duration. */
  monotonic(): number;
  /** Resolves after `ms`, or at once when the signal aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log with these fields on every line. */
  child(fields: LogFields): Log;
}

/** Counters and timings; names and labels are those of docs/operating.md. */
export interface Telemetry {
  count(name: string, labels?: Readonly<Record<string, string>>, by?: number): void;
  /** @param seconds a duration */
  observe(name: string, seconds: number, labels?: Readonly<Record<string, string>>): void;
}

/** Named places in a journey at which a test may kill the process. */
export const CHECKPOINTS = [
  'create:booked',
  'create:recorded',
  'create:agent-answered',
  'delete:marked',
  'delete:agent-answered',
  'delete:released',
] as const;
export type Checkpoint = (typeof CHECKPOINTS)[number];

// ── Ledger: "may I have it?" ─────────────────────────────────────────────────────────────────

/** One booking that is asked of the ledger. */
export interface Booking {
  readonly bookingId: string;
  readonly vmId: string;
  readonly hostId: string;
  readonly path: string;
  readonly resources: Resources;
}

/**
 * The ledger's answer to one booking.
 * - `booked`: it is (or, for the same booking id, was already) booked.
 * - `taken`: the VM id has another booking.
 * - `insufficient`: `resource` is short by what the amounts show.
 * - `closed`: the host takes no VMs, or is not known.
 */
export type BookOutcome =
  | { readonly kind: 'booked' }
  | { readonly kind: 'taken' }
  | { readonly kind: 'closed' }
  | {
      readonly kind: 'insufficient';
      readonly resource: ResourceClass;
      readonly requested: number;
      readonly used: number;
      readonly limit: number;
    };

export interface BookReply {
  /** In the order of the bookings. */
  readonly outcomes: readonly BookOutcome[];
  /** The ledger's sequence number after this call; the catalogue keeps the highest. */
  readonly seq: number;
}

/** Time under the placement lock. `Fleet` is the mirror that the decisions are made on. */
export interface PlacementTurn<Fleet> {
  readonly fleet: Fleet;
  /** Epoch of the ledger that the fleet was read from. */
  readonly epoch: number;
  /**
   * Extends the lease when half of it is over and reads what others changed.
   * @throws DomainError `ledger_unavailable` when the lease is lost, `ledger_rebuilding`
   */
  catchUp(): Promise<void>;
  /**
   * Books in one script, each booking wholly or not at all. The mirror shows the result.
   * @throws DomainError `ledger_rebuilding`; `ledger_unavailable` when the fence has moved on, or
   *   when no answer came: then each booking may or may not stand
   */
  book(bookings: readonly Booking[]): Promise<BookReply>;
  /** Gives the lock back; never throws. */
  end(): Promise<void>;
}

export interface LedgerState {
  /** Written only by a finished rebuild; null in an empty Redis. */
  readonly incarnation: string | null;
  readonly epoch: number;
  /** Number of the last change. */
  readonly seq: number;
}

export interface LedgerBooking {
  readonly bookingId: string;
  readonly vmId: string;
  readonly hostId: string;
}

export interface Ledger<Fleet> {
  /** @throws DomainError `ledger_unavailable` */
  state(): Promise<LedgerState>;
  /**
   * Waits for the placement lock, then catches up.
   * @throws DomainError `ledger_unavailable`, `ledger_rebuilding`
   */
  openTurn(): Promise<PlacementTurn<Fleet>>;
  /** The mirror, caught up, without the lock: for explanations and lists. */
  view(): Promise<Fleet>;
  /**
   * Marks bookings as recorded, so that their lease no longer runs.
   * @returns those that the ledger does not have (any more)
   */
  commit(
    bookings: readonly (LedgerBooking & { readonly assignment: number })[],
  ): Promise<readonly LedgerBooking[]>;
  /** Gives bookings back. One that is gone or was replaced by a later one changes nothing. */
  release(bookings: readonly LedgerBooking[]): Promise<void>;
  /** Shows placement what changed about hosts. An older revision never replaces a newer. */
  pushHosts(hosts: readonly HostFacts[]): Promise<void>;
  /** Bookings that were never committed and are older than `olderThanMs`; at most `limit`. */
  overdueBookings(olderThanMs: number, limit: number): Promise<readonly LedgerBooking[]>;
  /** What is booked per host, as the ledger has it now. Empty when there is no ledger. */
  totals(): Promise<ReadonlyMap<string, Resources>>;
  /**
   * Builds a new ledger beside the present one and swaps it in with one script.
   * @param highWater highest `seq` that the catalogue has recorded; the new ledger goes on after it
   * @returns the new ledger's incarnation; null when one of this epoch or a later one is there
   */
  replace(epoch: number, highWater: number, snapshot: CatalogueSnapshot): Promise<string | null>;
  close(): Promise<void>;
}

// ── Catalogue: "remember it" ─────────────────────────────────────────────────────────────────

/** A booking that is to be recorded: `create` makes the VM's row, `again` gives it a new host. */
export interface RecordItem {
  readonly kind: 'create' | 'again';
  readonly spec: VmSpec;
  /** Fingerprint of the request, to recognise a repeat of it. Unused for `again`. */
  readonly requestHash: string;
  readonly booking: Booking;
  readonly attempt: Attempt;
}

/**
 * - `recorded`: from here on the VM exists; also the answer to a repeat of the same booking.
 * - `taken`: the id belongs to another VM, or was recorded under another booking.
 * - `over_limit`: the host's row has no room; ledger and catalogue disagree.
 * - `closed`: the host takes no VMs.
 * - `gone`: the VM to be placed again is no longer waiting for a host.
 */
export type RecordOutcome =
  | { readonly kind: 'recorded'; readonly vm: Vm; readonly assignment: number }
  | { readonly kind: 'taken' | 'over_limit' | 'closed' | 'gone' };

/** `stale_epoch`: a rebuild has begun since these were booked; nothing was recorded. */
export type RecordReply =
  | { readonly kind: 'done'; readonly outcomes: readonly RecordOutcome[] }
  | { readonly kind: 'stale_epoch' };

export interface CatalogueSnapshot {
  readonly hosts: readonly Host[];
  readonly allocations: readonly Allocation[];
}

/** Where an agent is, and what the control plane shows it to prove itself. */
export interface AgentContact {
  readonly hostId: string;
  readonly address: string;
  readonly credential: string;
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

/** A VM that needs a step, leased to whoever took it. */
export interface WorkItem {
  /** Names this taking of the VM and no other. */
  readonly lease: string;
  readonly vm: Vm;
  /** null when the VM has no host. */
  readonly contact: AgentContact | null;
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
}

export interface JoinRequest {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly credential: string;
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly inventory: Inventory;
  readonly version: string;
  readonly bootId: string;
}

/** What one poll of a host found; written in one statement for all hosts. */
export interface HostPoll {
  readonly hostId: string;
  /** Where it was asked. If the host has joined from elsewhere meanwhile, this says nothing of it. */
  readonly address: string;
  readonly state: HostState;
  readonly missedPolls: number;
  /** null when the host did not answer. */
  readonly status: {
    readonly inventory: Inventory;
    readonly version: string;
    readonly bootId: string;
  } | null;
}

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

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

export interface Catalogue {
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
   */
  record(epoch: number, seq: number, items: readonly RecordItem[]): Promise<RecordReply>;
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
  want(id: string, desired: DesiredState): Promise<Vm | null>;
  /**
   * Leases due VMs; those of hosts that are down are left alone.
   * @param lease a fresh name: what was taken under an older one can no longer be written
   */
  takeWork(lease: string, limit: number, leaseMs: number): Promise<readonly WorkItem[]>;
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
   * @throws DomainError `name_conflict` when another host has this name
   */
  joinHost(request: JoinRequest): Promise<Host>;
  /** By id or by name. */
  host(idOrName: string): Promise<Host | null>;
  hosts(query: HostQuery): Promise<Page<Host>>;
  /** @returns the host; null when there is none */
  setHostMode(idOrName: string, mode: HostMode, reason: string | null): Promise<Host | null>;
  /** Contacts of all hosts that are not retired, or of one. */
  contacts(hostId?: string): Promise<
    readonly (AgentContact & {
      readonly state: HostState;
      readonly missedPolls: number;
    })[]
  >;
  /** Saves polls. @returns the hosts about which placement must hear */
  saveHostPolls(polls: readonly HostPoll[]): Promise<readonly Host[]>;
  /** Takes over what a host reports of its VMs. @returns how many VMs changed */
  reportVms(hostId: string, vms: readonly AgentVm[]): Promise<number>;
  /** The VMs of a host that is down become `unknown`. @returns how many */
  loseVms(hostId: string): Promise<number>;

  // Which replica does what.
  /** Takes or extends a named lease. */
  acquireLease(name: string, holder: string, ttlMs: number): Promise<boolean>;
  releaseLease(name: string, holder: string): Promise<void>;
}

// ── Agents: "do it" ──────────────────────────────────────────────────────────────────────────

/** What an agent is told to have. */
export interface VmOrder {
  readonly vmId: string;
  readonly name: string;
  readonly assignment: number;
  readonly resources: Resources;
  readonly image: string | null;
}

/**
 * Calls to host agents. All are idempotent. Each fails with DomainError `agent_unreachable` when
 * there was no (usable) answer: then the effect is unknown. `stale_assignment` and `agent_refused`
 * are definite.
 */
export interface Agents {
  status(contact: AgentContact): Promise<AgentStatus>;
  /**
   * "Have this VM": claims and creates it, or tells how it is if it is already there.
   * @throws DomainError `claim_refused` with the classes that are short in `extra.shortfalls`
   */
  ensureVm(contact: AgentContact, order: VmOrder): Promise<AgentVm>;
  /** @returns null when the agent has no such VM */
  startVm(contact: AgentContact, vmId: string, assignment: number): Promise<AgentVm | null>;
  /** @returns null when the agent has no such VM */
  stopVm(contact: AgentContact, vmId: string, assignment: number): Promise<AgentVm | null>;
  /** "Have this VM no more." @returns true when it is gone, false while it is being removed */
  removeVm(contact: AgentContact, vmId: string, assignment: number): Promise<boolean>;
}
