/**
 * What `verify` asks of catalogue and ledger beyond their ports: everything that they hold, and the
 * repairs that are safe. Apart from the ports, because nobody else may want so much at once.
 */
import type { Actor } from '../actor.js';
import type { GroupCount, Membership } from '../groups.js';
import type { HostState } from '../host-liveness.js';
import type { HostMode } from '../host.js';
import type { Agreement } from '../ports/catalogue.js';
import type { LedgerBooking } from '../ports/ledger.js';
import type { Resources } from '../resources.js';
import type { VerifyFinding } from '../verify.js';
import type { Allocation } from '../vm.js';

/** A host and what its row carries. */
export interface CarryingHost {
  readonly id: string;
  readonly name: string;
  readonly state: HostState;
  readonly mode: HostMode;
  readonly allocated: Resources;
}

/** The catalogue's books as of one instant. */
export interface CatalogueBooks {
  readonly agreement: Agreement;
  /** Retired ones, too. */
  readonly hosts: readonly CarryingHost[];
  readonly allocations: readonly Allocation[];
  /** Ids of bookings whose release the ledger may not have heard of. */
  readonly pendingReleases: ReadonlySet<string>;
  /** What is wrong within the catalogue, the sums of hosts left out. */
  readonly faults: readonly VerifyFinding[];
}

export interface VerifyStore {
  inspectBooks(): Promise<CatalogueBooks>;
  /** Counts what these hosts carry anew, each under the lock of its row. */
  recountHosts(hostIds: readonly string[], by: Actor): Promise<void>;
  /**
   * Erases bookings of VMs that are deleted, failed or waiting, and of reservations without a
   * booking the row. What is not so (any more) is left alone.
   * @returns what the ledger must be told
   */
  endLeftovers(ids: readonly string[], by: Actor): Promise<readonly LedgerBooking[]>;
  /** Writes the members of groups anew, for bookings of these VMs or reservations. */
  regroup(ids: readonly string[], by: Actor): Promise<void>;
  /** Has the sequence go on above the highest assignment that is given. */
  renumber(by: Actor): Promise<void>;
}

/** Where the ledger's stream of changes was. */
export interface LedgerMark {
  readonly incarnation: string;
  readonly epoch: number;
  readonly seq: number;
  readonly entryId: string;
}

/** A booking as the ledger holds it. */
export interface HeldBooking extends LedgerBooking {
  readonly resources: Resources;
  readonly groups: readonly Membership[];
  /** Whether it is marked as recorded. */
  readonly committed: boolean;
  /** How long ago it was made, by the clock of Redis. */
  readonly ageMs: number;
  /** What it took the place of, as long as it is not committed. */
  readonly frees: readonly LedgerBooking[];
}

/** The ledger's books. Read piece by piece: what changed meanwhile is named, and not to be judged. */
export interface LedgerBooks {
  /** Number of the last change. */
  readonly seq: number;
  /** What each host carries. */
  readonly hosts: ReadonlyMap<string, Resources>;
  readonly bookings: readonly HeldBooking[];
  /** Group → host → members. */
  readonly groups: ReadonlyMap<string, ReadonlyMap<string, GroupCount>>;
  /** Hosts and groups that have changed since the mark. */
  readonly changedHosts: ReadonlySet<string>;
  readonly changedGroups: ReadonlySet<string>;
}

export interface LedgerInspection {
  /** @returns null when there is no ledger to be believed */
  mark(): Promise<LedgerMark | null>;
  /**
   * Reads everything.
   * @returns null when what has changed since the mark cannot be told: the ledger was replaced or
   *   has changed too much
   */
  inspect(since: LedgerMark): Promise<LedgerBooks | null>;
}
