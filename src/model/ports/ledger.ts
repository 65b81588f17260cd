/** The port of the ledger: "may I have it?" */
import type { Host, HostFacts } from '../host.js';
import type { Allocation } from '../vm.js';
import type { ResourceClass, Resources } from '../resources.js';
import type { Membership } from '../groups.js';

/** One booking that is asked of the ledger. */
export interface Booking {
  readonly bookingId: string;
  /** The VM or the reservation that it is for. */
  readonly vmId: string;
  readonly hostId: string;
  readonly path: string;
  readonly resources: Resources;
  readonly groups: readonly Membership[];
  /**
   * Bookings whose place this one takes, given back in the same step: a reservation that a VM
   * consumes, the old place of a VM that moves. One of them that is gone refuses the booking.
   */
  readonly frees: readonly LedgerBooking[];
  /** Bookings of one set are booked all or none; null for one that stands for itself. */
  readonly set: string | null;
}

/**
 * The ledger's answer to one booking.
 * - `booked`: it is (or, for the same booking id, was already) booked.
 * - `taken`: the VM id has another booking.
 * - `insufficient`: `resource` is short by what the amounts show.
 * - `closed`: the host takes no VMs, is over-full, or is not known.
 * - `group`: a hard rule of the group would be broken.
 * - `freed`: a booking that it was to take the place of is gone.
 * - `set`: another booking of its set was refused.
 */
export type BookOutcome =
  | { readonly kind: 'booked' }
  | { readonly kind: 'taken' }
  | { readonly kind: 'closed' }
  | { readonly kind: 'freed' }
  | { readonly kind: 'set' }
  | { readonly kind: 'group'; readonly key: string }
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
  /** Whether, when last looked, another replica waited for the lock. */
  readonly isWanted: boolean;
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
   * Puts a part into a new ledger that is built beside the present one; nobody is shown it before it
   * is swapped in. Parts may overlap: later ones win.
   * @param incarnation the new ledger's, never used before
   * @param number of the part; the first is 1
   * @returns how many VMs it has more
   * @throws DomainError `ledger_rebuilding` when the part before is not there (any more)
   */
  stage(incarnation: string, number: number, part: LedgerPart): Promise<number>;
  /**
   * Puts a staged ledger in the place of the present one, at once.
   * @returns false when one of this epoch or a later one is there
   * @throws DomainError `ledger_rebuilding` when not all parts are there
   */
  swap(incarnation: string, swap: LedgerSwap): Promise<boolean>;
  /**
   * Deletes ledgers that are not in place: replaced ones, and those that were never finished.
   * @param idleMs without a new part for so long, nobody is at work at it any more
   */
  clearAway(idleMs: number): Promise<void>;
  close(): Promise<void>;
}

/** Some of what a new ledger is made of. */
export interface LedgerPart {
  readonly hosts: readonly HostFacts[];
  /** Bookings that have ended; they are taken out before others come in. */
  readonly gone: readonly LedgerBooking[];
  readonly allocations: readonly Allocation[];
}

export interface LedgerSwap {
  /** The catalogue's, under which all that was staged was read. */
  readonly epoch: number;
  /** Highest `seq` that the catalogue has recorded; the new ledger goes on after it. */
  readonly highWater: number;
  /** How many parts were staged. */
  readonly parts: number;
}

/** What the catalogue knows at one instant. */
export interface CatalogueSnapshot {
  readonly hosts: readonly Host[];
  readonly allocations: readonly Allocation[];
}
