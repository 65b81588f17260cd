/** The tables of the catalogue's double: all its state, with its indexes, its numbers and its time. */
import type { CapacityPolicy } from '../../model/inventory.js';
import { FIRST_WATCH, type Watch } from '../../model/fleet-breaker.js';
import type { GroupPolicy } from '../../model/groups.js';
import type { Agreement, Clock, LedgerBooking } from '../../model/ports.js';
import type {
  AllocationRow,
  AuditRow,
  ChangeRow,
  Doing,
  DrainRow,
  EventRow,
  FencedVmRow,
  HostRow,
  LeaseRow,
  MoveRow,
  OrphanRow,
  PendingReleaseRow,
  RequestRow,
  ReservationRow,
  SampleRow,
  TokenRow,
  VmRow,
  WatchRow,
} from './rows.js';
import { Index, Journal, List, Table } from './table.js';

export interface CatalogueDoubleOptions {
  readonly clock: Pick<Clock, 'now'>;
  /** A fresh id at each call: for keys of events, and for seeds of requests. */
  readonly newId: () => string;
  /** How old a report that came unasked may be. */
  readonly missingGraceMs?: number;
  /** Of every host, where its operator says nothing else. When absent, all may be booked once. */
  readonly capacity?: CapacityPolicy;
}

const MISSING_GRACE_MS = 10_000;
const ALL_ONCE: CapacityPolicy = { overcommit: {}, reserve: {} };

/** The least step of a present time that a double can tell: about a quarter of a microsecond. */
const TICK_MS = 2 ** -12;

export interface Member {
  readonly hostId: string;
  readonly policy: GroupPolicy;
}

export interface BookingChange {
  readonly count: number;
  readonly atMs: number;
  readonly booking: LedgerBooking;
}

type Numbered = 'host' | 'vm' | 'reservation' | 'token' | 'audit';

export class Tables {
  readonly journal = new Journal();
  readonly graceMs: number;
  readonly capacity: CapacityPolicy;
  readonly newId: () => string;

  readonly meta = new Table<Agreement>(this.journal);
  readonly hosts = new Table<HostRow>(this.journal);
  readonly watches = new Table<WatchRow>(this.journal);
  readonly vms = new Table<VmRow>(this.journal, (before, after) => this.#indexVm(before, after));
  readonly reservations = new Table<ReservationRow>(this.journal);
  /** By booking. */
  readonly allocations = new Table<AllocationRow>(this.journal, (before, after) =>
    this.#indexAllocation(before, after),
  );
  /** By booking. */
  readonly pendingReleases = new Table<PendingReleaseRow>(this.journal);
  /** By `pairKey(host, vm)`, as the moves are. */
  readonly orphans = new Table<OrphanRow>(this.journal, (before, after) =>
    this.orphansOfHost.move(
      (after ?? before)?.vmId ?? '',
      before?.hostId ?? null,
      after?.hostId ?? null,
    ),
  );
  /** By `pairKey(host, vm)`. */
  readonly fencedVms = new Table<FencedVmRow>(this.journal, (before, after) =>
    this.fencedOfHost.move(
      (after ?? before)?.vmId ?? '',
      before?.hostId ?? null,
      after?.hostId ?? null,
    ),
  );
  readonly drains = new Table<DrainRow>(this.journal);
  readonly moves = new Table<MoveRow>(this.journal, (before, after) =>
    this.movesOfHost.move(
      (after ?? before)?.vm.id ?? '',
      before?.hostId ?? null,
      after?.hostId ?? null,
    ),
  );
  readonly tokens = new Table<TokenRow>(this.journal);
  readonly leases = new Table<LeaseRow>(this.journal);
  readonly requests = new Table<RequestRow>(this.journal);
  readonly samples = new Table<SampleRow>(this.journal);
  readonly outbox = new List<ChangeRow>(this.journal);
  readonly events = new List<EventRow>(this.journal);
  readonly audit = new List<AuditRow>(this.journal);

  readonly vmsOfHost = new Index();
  readonly allocationsOfHost = new Index();
  readonly orphansOfHost = new Index();
  readonly movesOfHost = new Index();
  readonly fencedOfHost = new Index();
  /** VMs in one of these conditions. */
  readonly due = new Set<string>();
  readonly waiting = new Set<string>();
  readonly deleted = new Set<string>();
  readonly moving = new Set<string>();
  /** Members of each group, by booking. */
  readonly groups = new Map<string, Map<string, Member>>();
  /** Those that are kept. */
  readonly eventsByKey = new Map<string, EventRow>();
  /** How often bookings have changed, and for each when it did last and whose it was. */
  readonly bookingChanges = new Map<string, BookingChange>();
  changeCount = 0;
  readonly #bookingOfVm = new Map<string, string>();
  readonly #bookingOfReservation = new Map<string, string>();
  readonly #vmsBookedOn = new Map<string, number>();

  /** Where the events begin, and where they are now; both outlive the events. */
  readonly beginning: { readonly position: number; readonly key: string };
  head: { readonly position: number; readonly key: string };
  /** Who makes the changes that are being written; null: Berth itself. */
  doing: Doing | null = null;

  readonly #clock: Pick<Clock, 'now'>;
  #clockMs = -Infinity;
  #nowMs = -Infinity;
  /** A number that was drawn stays drawn, also when its transaction fails. */
  readonly #drawn: Record<Numbered, number> = {
    host: 0,
    vm: 0,
    reservation: 0,
    token: 0,
    audit: 0,
  };
  #assignment = 0;

  constructor(options: CatalogueDoubleOptions) {
    const { clock, newId, missingGraceMs = MISSING_GRACE_MS, capacity = ALL_ONCE } = options;
    this.#clock = clock;
    this.newId = newId;
    this.graceMs = missingGraceMs;
    this.capacity = capacity;
    this.beginning = { position: 0, key: newId() };
    this.head = this.beginning;
    this.meta.put('', { epoch: 1, incarnation: null, highWater: 0 });
    this.watches.put('', { watch: FIRST_WATCH, cordons: [] });
    this.journal.commit();
  }

  /**
   * The time of one statement. No two are at the same one, even where the clock stands still: as
   * with the real database, what was said first is earlier. A Date of it is cut to the millisecond.
   */
  now(): number {
    const clockMs = this.#clock.now();
    // A clock that was set back is followed: so is the database's.
    const wasSetBack = clockMs < this.#clockMs;
    this.#clockMs = clockMs;
    this.#nowMs = wasSetBack ? clockMs : Math.max(clockMs, this.#nowMs + TICK_MS);
    return this.#nowMs;
  }

  /** Runs a transaction by itself: nothing of it is left when it throws. */
  transact<T>(run: () => T, doing: Doing | null = null): T {
    this.doing = doing;
    try {
      return run();
    } catch (error) {
      this.journal.undoTo(0);
      throw error;
    } finally {
      this.doing = null;
      this.journal.commit();
    }
  }

  draw(what: Numbered): number {
    this.#drawn[what] += 1;
    return this.#drawn[what];
  }

  nextAssignment(): number {
    this.#assignment += 1;
    return this.#assignment;
  }

  /** The next one, above one that an agent knows. The leap is that of the database's function. */
  nextAssignmentAbove(known: number): number {
    if (known >= Math.max(1, this.#assignment)) this.#assignment = known + 1_000;
    return this.nextAssignment();
  }

  /** The last one that was drawn. */
  get lastAssignment(): number {
    return this.#assignment;
  }

  get agreement(): Agreement {
    const meta = this.meta.get('');
    if (meta === undefined) throw new Error('the database has no meta row');
    return meta;
  }

  set agreement(agreement: Agreement) {
    this.meta.put('', agreement);
  }

  /** The row of the fleet's watch. */
  get watchRow(): WatchRow {
    const row = this.watches.get('');
    if (row === undefined) throw new Error('the database has no row of the watch');
    return row;
  }

  get watch(): Watch {
    return this.watchRow.watch;
  }

  /** When automation closed hosts lately. */
  get cordons(): readonly number[] {
    return this.watchRow.cordons;
  }

  set cordons(cordons: readonly number[]) {
    this.watches.put('', { ...this.watchRow, cordons });
  }

  allocationOfVm(vmId: string): AllocationRow | undefined {
    const bookingId = this.#bookingOfVm.get(vmId);
    return bookingId === undefined ? undefined : this.allocations.get(bookingId);
  }

  allocationOfReservation(id: string): AllocationRow | undefined {
    const bookingId = this.#bookingOfReservation.get(id);
    return bookingId === undefined ? undefined : this.allocations.get(bookingId);
  }

  /** Number of VMs that are booked on a host. */
  vmsBookedOn(hostId: string): number {
    return this.#vmsBookedOn.get(hostId) ?? 0;
  }

  #indexVm(before: VmRow | undefined, after: VmRow | undefined): void {
    const id = (after ?? before)?.id ?? '';
    this.vmsOfHost.move(id, before?.hostId ?? null, after?.hostId ?? null);
    mark(this.due, id, (after?.dueAt ?? null) !== null);
    mark(this.waiting, id, after?.state === 'waiting');
    mark(this.deleted, id, (after?.deletedAt ?? null) !== null);
    mark(this.moving, id, (after?.movingTo ?? null) !== null);
  }

  #indexAllocation(before: AllocationRow | undefined, after: AllocationRow | undefined): void {
    const bookingId = (after ?? before)?.bookingId ?? '';
    this.#noteChange(after ?? before);
    this.allocationsOfHost.move(bookingId, before?.hostId ?? null, after?.hostId ?? null);
    if (before !== undefined) this.#unindex(before);
    if (after === undefined) return;
    const { vmId, reservationId, hostId, groups } = after;
    if (vmId !== null) {
      this.#bookingOfVm.set(vmId, bookingId);
      this.#vmsBookedOn.set(hostId, this.vmsBookedOn(hostId) + 1);
    }
    if (reservationId !== null) this.#bookingOfReservation.set(reservationId, bookingId);
    for (const { key, policy } of groups) {
      const members = this.groups.get(key) ?? new Map<string, Member>();
      this.groups.set(key, members.set(bookingId, { hostId, policy }));
    }
  }

  #noteChange(row: AllocationRow | undefined): void {
    if (row === undefined) return;
    this.changeCount += 1;
    const { bookingId, vmId, reservationId, hostId } = row;
    const booking = { bookingId, vmId: vmId ?? reservationId ?? '', hostId };
    this.bookingChanges.set(bookingId, { count: this.changeCount, atMs: this.#nowMs, booking });
  }

  #unindex({ bookingId, vmId, reservationId, hostId, groups }: AllocationRow): void {
    if (vmId !== null) {
      this.#bookingOfVm.delete(vmId);
      this.#vmsBookedOn.set(hostId, this.vmsBookedOn(hostId) - 1);
    }
    if (reservationId !== null) this.#bookingOfReservation.delete(reservationId);
    for (const { key } of groups) {
      const members = this.groups.get(key);
      members?.delete(bookingId);
      if (members?.size === 0) this.groups.delete(key);
    }
  }
}

function mark(set: Set<string>, id: string, isIn: boolean): void {
  if (isIn) set.add(id);
  else set.delete(id);
}

/** Key of a row that belongs to a host and a VM: no id holds a space. */
export const pairKey = (hostId: string, vmId: string): string => `${hostId} ${vmId}`;

/**
 * A call of the catalogue: done at once as a whole, answered in a microtask.
 * @param doing who asks for it, for the audit log
 */
export const answered = <T>(tables: Tables, run: () => T, doing: Doing | null = null): Promise<T> =>
  new Promise((resolve) => {
    resolve(tables.transact(run, doing));
  });
