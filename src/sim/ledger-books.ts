/**
 * The double's Redis: one ledger in memory that any number of hands share. Each method is what one
 * script or one transaction is to the real one: it happens wholly and at one instant, and checks
 * everything before it changes anything. src/ledger/scripts say why each rule is as it is.
 */
import type { GroupCount, Membership } from '../model/groups.js';
import { isOpen, isOverFull, type HostFacts } from '../model/host.js';
import type {
  Booking,
  BookOutcome,
  LedgerBooking,
  LedgerPart,
  LedgerState,
  LedgerSwap,
} from '../model/ports.js';
import { addResources, type Resources } from '../model/resources.js';
import type {
  Booked,
  BookRequest,
  FullReading,
  GroupEntry,
  Held,
  LogEntry,
  Reading,
  Sums,
  Swapped,
} from './ledger-shapes.js';
import { NOTHING_STAGED, vmsIn, withPart, type Staged } from './staged-books.js';

interface Contents {
  incarnation: string | null;
  epoch: number;
  seq: number;
  fence: number;
  hosts: Map<string, HostFacts>;
  vms: Map<string, Held>;
  log: LogEntry[];
  /** By incarnation. What is in there is replaced and never changed. */
  staged: ReadonlyMap<string, Staged>;
}

const NO_COUNT: GroupCount = { members: 0, exclusive: 0 };

const empty = (): Contents => ({
  incarnation: null,
  epoch: 0,
  seq: 0,
  fence: 0,
  hosts: new Map(),
  vms: new Map(),
  log: [],
  staged: new Map(),
});

/** Longer than the pauses between tries of one who waits for the lock. */
const LOCK_WANTED_MS = 150;

export class LedgerBooks {
  readonly #nowMs: () => number;
  readonly #logLengthMax: number;
  #is = empty();
  #stamp = 0;
  #lock: { readonly token: string; untilMs: number } | null = null;
  #wantedUntilMs = -Infinity;

  /** @param nowMs its own clock */
  constructor(nowMs: () => number, logLengthMax = 1_000) {
    this.#nowMs = nowMs;
    this.#logLengthMax = logLengthMax;
  }

  // The lock.

  /** Takes the lock, or renews it for whoever has it. @returns whether it is theirs */
  lock(token: string, leaseMs: number): boolean {
    const nowMs = this.#nowMs();
    if (this.#lock !== null && this.#lock.untilMs > nowMs && this.#lock.token !== token) {
      this.#wantedUntilMs = nowMs + LOCK_WANTED_MS;
      return false;
    }
    this.#lock = { token, untilMs: nowMs + leaseMs };
    return true;
  }

  /** Whether somebody did not get it a moment ago. */
  get lockIsWanted(): boolean {
    return this.#wantedUntilMs > this.#nowMs();
  }

  /** Renews a lock that is held still. */
  extend(token: string, leaseMs: number): boolean {
    return this.#lock?.token === token && this.#lock.untilMs > this.#nowMs()
      ? this.lock(token, leaseMs)
      : false;
  }

  unlock(token: string): boolean {
    if (this.#lock?.token !== token) return false;
    this.#lock = null;
    return true;
  }

  // Reading.

  get state(): LedgerState {
    const { incarnation, epoch, seq } = this.#is;
    return { incarnation, epoch, seq };
  }

  get hosts(): ReadonlyMap<string, HostFacts> {
    return this.#is.hosts;
  }

  get held(): ReadonlyMap<string, Held> {
    return this.#is.vms;
  }

  /** @param raise whether every earlier turn is to be shut out */
  read(sinceStamp: number | null, raise: boolean): Reading {
    if (raise) this.#is.fence += 1;
    const { log, fence } = this.#is;
    const entries =
      sinceStamp === null ? null : log.slice(log.findLastIndex((e) => e.stamp <= sinceStamp) + 1);
    return { ...this.state, fence, entries };
  }

  readAll(): FullReading {
    return {
      facts: [...this.#is.hosts.values()],
      used: [...this.totals()],
      groups: this.#groupsOf([...this.#is.vms.values()].flatMap(({ groups }) => groups)),
      epoch: this.#is.epoch,
      stamp: this.#is.log.at(-1)?.stamp ?? 0,
    };
  }

  totals(): Map<string, Resources> {
    const sums = new Map<string, Resources>([...this.#is.hosts.keys()].map((id) => [id, {}]));
    for (const { hostId, resources } of this.#is.vms.values()) {
      const before = sums.get(hostId);
      if (before !== undefined) sums.set(hostId, addResources(before, resources));
    }
    return sums;
  }

  overdue(olderThanMs: number, limit: number): LedgerBooking[] {
    const beforeMs = this.#nowMs() - olderThanMs;
    return [...this.#is.vms.values()]
      .filter(({ committed, atMs }) => !committed && atMs < beforeMs)
      .sort((left, right) => left.atMs - right.atMs || (left.vmId < right.vmId ? -1 : 1))
      .slice(0, limit)
      .map(({ bookingId, vmId, hostId }) => ({ bookingId, vmId, hostId }));
  }

  // Changing.

  book({ incarnation, fence, seen, bookings }: BookRequest): Booked {
    if (this.#is.incarnation !== incarnation) return { code: 'FOREIGN' };
    if (this.#is.fence > fence) return { code: 'FENCED' };
    if (this.#is.seq < seen) return { code: 'ROLLED_BACK' };
    const before = new Map(this.#is.vms);
    const outcomes: BookOutcome[] = [];
    bookings.forEach(({ set }, at) => {
      if (outcomes[at] === undefined) this.#bookSet(bookings, set, at, outcomes);
    });
    const changed = changesBetween(before, this.#is.vms);
    const freed = bookings.flatMap(({ frees }) => frees);
    const sums = this.#sumsOf(
      [...bookings, ...freed, ...changed].map(({ hostId }) => hostId),
      [...bookings, ...changed].flatMap(({ groups }) => groups),
    );
    const stamp = changed.length > 0 ? this.#write({ ...sums, facts: null }) : null;
    return { code: 'DONE', outcomes, seq: this.#is.seq, stamp, sums };
  }

  /** @returns whether the booking stands */
  commit({ bookingId, vmId }: Pick<LedgerBooking, 'bookingId' | 'vmId'>): boolean {
    const held = this.#is.vms.get(vmId);
    if (held?.bookingId !== bookingId) return false;
    this.#is.vms.set(vmId, { ...held, committed: true, displaced: [] });
    return true;
  }

  release({ bookingId, vmId, hostId }: LedgerBooking): void {
    const held = this.#is.vms.get(vmId);
    if (this.#is.incarnation === null) return;
    if (held?.bookingId !== bookingId || held.hostId !== hostId) return;
    const before = new Map(this.#is.vms);
    this.#is.vms.delete(vmId);
    const back = held.committed ? [] : held.displaced;
    for (const old of back) if (!this.#is.vms.has(old.vmId)) this.#hold(old);
    const changed = changesBetween(before, this.#is.vms);
    const sums = this.#sumsOf(
      changed.map((each) => each.hostId),
      changed.flatMap(({ groups }) => groups),
    );
    this.#write({ ...sums, facts: null });
  }

  setHost(facts: HostFacts): void {
    if (this.#is.incarnation === null) return;
    const known = this.#is.hosts.get(facts.id);
    if (known !== undefined && known.revision >= facts.revision) return;
    this.#is.hosts.set(facts.id, facts);
    this.#write({ ...this.#sumsOf([facts.id], []), facts });
  }

  /** @returns how many VMs there are more; null when the part before is not there */
  stage(incarnation: string, number: number, part: LedgerPart): number | null {
    const before = this.#is.staged.get(incarnation) ?? NOTHING_STAGED;
    if (before.parts !== number - 1) return null;
    const staged = withPart(before, part, this.#nowMs());
    this.#is.staged = new Map(this.#is.staged).set(incarnation, staged);
    return vmsIn(staged) - vmsIn(before);
  }

  swap(incarnation: string, { epoch, highWater, parts }: LedgerSwap): Swapped {
    if (this.#is.incarnation !== null && this.#is.epoch >= epoch) return 'OLDER';
    const staged = this.#is.staged.get(incarnation);
    if (staged?.parts !== parts) return 'INCOMPLETE';
    const { seq, fence } = this.#is;
    this.#is = {
      ...empty(),
      incarnation,
      epoch,
      fence,
      seq: Math.max(seq, highWater) + 1,
      hosts: new Map(staged.hosts),
      vms: new Map([...staged.vms].map(([id, { held }]) => [id, held])),
      staged: new Map([...this.#is.staged].filter(([name]) => name !== incarnation)),
    };
    this.#stamp += 1;
    this.#is.log.push({ stamp: this.#stamp, seq: null, used: [], groups: [], facts: null });
    return 'SWAPPED';
  }

  /** Those that are replaced are gone at once here. */
  clearAway(idleMs: number): void {
    const beforeMs = this.#nowMs() - idleMs;
    this.#is.staged = new Map([...this.#is.staged].filter(([, { atMs }]) => atMs > beforeMs));
  }

  // What may happen to a Redis.

  /** FLUSHALL, or a restart without persistence. */
  flush(): void {
    this.#is = empty();
    this.#lock = null;
  }

  /** @returns what brings the ledger back to how it is now: a failover that loses writes */
  keep(): () => void {
    const copy = (from: Contents): Contents => ({
      ...from,
      hosts: new Map(from.hosts),
      vms: new Map(from.vms),
      log: [...from.log],
    });
    const kept = copy(this.#is);
    return () => {
      this.#is = copy(kept);
      this.#lock = null;
    };
  }

  // Parts of the scripts.

  #bookSet(
    bookings: readonly Booking[],
    set: string | null,
    first: number,
    outcomes: BookOutcome[],
  ): void {
    const before = new Map(this.#is.vms);
    const members = [...bookings.keys()].filter(
      (at) => at === first || (at > first && set !== null && bookings[at]?.set === set),
    );
    for (const at of members) {
      const booking = bookings[at];
      if (booking !== undefined) outcomes[at] = this.#book(booking);
    }
    if (set === null || members.every((at) => outcomes[at]?.kind === 'booked')) return;
    this.#is.vms = before;
    for (const at of members) if (outcomes[at]?.kind === 'booked') outcomes[at] = { kind: 'set' };
  }

  #book(booking: Booking): BookOutcome {
    const { vmId, bookingId, hostId, resources, groups, frees } = booking;
    const standing = this.#is.vms.get(vmId);
    if (standing?.bookingId === bookingId) return { kind: 'booked' };
    if (standing !== undefined && !frees.some((old) => old.vmId === vmId)) return { kind: 'taken' };
    const before = new Map(this.#is.vms);
    const displaced = this.#free(frees);
    const refusal: BookOutcome | null =
      displaced === null ? { kind: 'freed' } : this.#refusal(booking);
    if (refusal === null) {
      this.#hold({ bookingId, vmId, hostId, resources, groups, displaced: displaced ?? [] });
      return { kind: 'booked' };
    }
    this.#is.vms = before;
    return refusal;
  }

  /** Takes off what a booking takes the place of; null when one of them is gone. */
  #free(frees: readonly LedgerBooking[]): readonly Held[] | null {
    const displaced: Held[] = [];
    for (const { vmId, bookingId, hostId } of frees) {
      const held = this.#is.vms.get(vmId);
      if (held?.bookingId !== bookingId || held.hostId !== hostId) return null;
      displaced.push(held);
      this.#is.vms.delete(vmId);
    }
    return displaced;
  }

  #refusal({ hostId, resources, groups }: Booking): BookOutcome | null {
    const facts = this.#is.hosts.get(hostId);
    const used = this.#usedOn(hostId);
    if (facts === undefined || !isOpen(facts) || isOverFull(facts.limits, used)) {
      return { kind: 'closed' };
    }
    for (const { key, policy } of groups) {
      const where = this.#membersOf(key);
      const here = where.get(hostId) ?? NO_COUNT;
      const isBroken =
        here.exclusive > 0 ||
        (policy === 'anti-affinity' && here.members > 0) ||
        (policy === 'affinity' && here.members === 0 && where.size > 0);
      if (isBroken) return { kind: 'group', key };
    }
    for (const [resource, requested] of Object.entries(resources)) {
      const limit = facts.limits[resource] ?? 0;
      const sum = used[resource] ?? 0;
      if (sum + requested > limit) {
        return { kind: 'insufficient', resource, requested, used: sum, limit };
      }
    }
    return null;
  }

  #hold(booking: Omit<Held, 'committed' | 'atMs'>): void {
    this.#is.vms.set(booking.vmId, { ...booking, committed: false, atMs: this.#nowMs() });
  }

  #usedOn(hostId: string): Resources {
    const used: Record<string, number> = {};
    if (!this.#is.hosts.has(hostId)) return used;
    for (const held of this.#is.vms.values()) {
      if (held.hostId !== hostId) continue;
      for (const [resource, amount] of Object.entries(held.resources)) {
        used[resource] = (used[resource] ?? 0) + amount;
      }
    }
    return used;
  }

  #membersOf(key: string): Map<string, GroupCount> {
    const where = new Map<string, GroupCount>();
    for (const { hostId, groups } of this.#is.vms.values()) {
      for (const group of groups) {
        if (group.key !== key) continue;
        const { members, exclusive } = where.get(hostId) ?? NO_COUNT;
        const more = group.policy === 'anti-affinity' ? 1 : 0;
        where.set(hostId, { members: members + 1, exclusive: exclusive + more });
      }
    }
    return where;
  }

  /** Where groups have members, and where they have none any more. */
  #groupsOf(groups: readonly Membership[], hostIds: readonly string[] = []): GroupEntry[] {
    return [...new Set(groups.map(({ key }) => key))].flatMap((key) => {
      const where = this.#membersOf(key);
      const ids = new Set([...where.keys(), ...hostIds]);
      return [...ids].map((id): GroupEntry => [key, id, where.get(id) ?? NO_COUNT]);
    });
  }

  #sumsOf(hostIds: readonly string[], groups: readonly Membership[]): Sums {
    const ids = [...new Set(hostIds)];
    return {
      used: ids.map((id) => [id, this.#usedOn(id)] as const),
      groups: groups.length === 0 ? [] : this.#groupsOf(groups, ids),
    };
  }

  #write(change: Omit<LogEntry, 'stamp' | 'seq'>): number {
    this.#stamp += 1;
    this.#is.seq += 1;
    this.#is.log.push({ ...change, stamp: this.#stamp, seq: this.#is.seq });
    if (this.#is.log.length > this.#logLengthMax) this.#is.log.shift();
    return this.#stamp;
  }
}

/** Bookings that are there before and not after, or the reverse. */
function changesBetween(
  before: ReadonlyMap<string, Held>,
  after: ReadonlyMap<string, Held>,
): readonly Held[] {
  const gone = [...before.values()].filter((held) => after.get(held.vmId) !== held);
  const come = [...after.values()].filter((held) => before.get(held.vmId) !== held);
  return [...gone, ...come];
}
