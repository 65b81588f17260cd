/**
 * Watches a history and says which rules it breaks: after every change of a host's VMs, after every
 * record and release of the catalogue, after every booking of the ledger. It goes by what the hosts
 * really run and by the catalogue's rows, never by what the control plane says of itself.
 */
import type {
  Catalogue,
  HostPoll,
  RecordItem,
  RecordReply,
  ReleaseResult,
} from '../model/ports.js';
import type { AgentVm } from '../model/agent-report.js';
import type { Host } from '../model/host.js';
import { addResources, type Resources } from '../model/resources.js';
import type { Allocation, Vm } from '../model/vm.js';
import type { FleetWatch, SimFleet, SimHost } from './agents-double.js';
import type { Tables } from './catalogue/tables.js';
import { allocationOf, hostOf } from './catalogue/views.js';
import type { LedgerBooks } from './ledger-books.js';
import { crowdedGroup, limitOf, misplaced, sumOn } from './oracle.js';
import type { Violations } from './violations.js';

export interface Audited {
  readonly catalogue: Catalogue;
  /** The rows behind it, for a look between two events. */
  readonly tables: Tables;
  readonly books: LedgerBooks;
  readonly fleet: SimFleet;
  readonly violations: Violations;
}

/** VMs that one look at the catalogue reads in a go. */
const PAGE = 500;

/** What a host's agent shows to be known by. It is in nobody's error, log or answer. */
export const CREDENTIAL = 'credential-of-a-host';

/** Polls in a row without an answer that may make a host `down`. */
const MISSES_MIN = 3;

/** Calls of the catalogue that are judged. */
export const AUDITED: ReadonlySet<string> = new Set([
  'record',
  'releaseVm',
  'fenceHost',
  'saveHostPolls',
  'reportVms',
]);

/** A host, and what is booked on it, at one moment. */
interface Seat {
  readonly host: Host;
  readonly allocations: readonly Allocation[];
}

export class Auditor implements FleetWatch {
  readonly #audited: Audited;
  /** Who has a booking that was recorded, so that a repeat is known from a grant. */
  readonly #granted = new Map<string, string>();
  readonly #assignments = new Set<number>();
  /** VMs that hold nothing any more, with the state that they ended in. */
  readonly #ended = new Map<string, 'failed' | 'deleted'>();
  readonly #newestObeyed = new Map<string, number>();
  readonly #accepted = new Set<string>();
  readonly #deleted = new Set<string>();
  /** The number under which a fence took a VM from a host, by both. */
  readonly #taken = new Map<string, number>();
  /** Polls that each host has missed in a row. */
  readonly #misses = new Map<string, number>();

  constructor(audited: Audited) {
    this.#audited = audited;
  }

  /** VMs whose creation was acknowledged. */
  get accepted(): ReadonlySet<string> {
    return this.#accepted;
  }

  /** A create was acknowledged: from now on it must not be forgotten. */
  accept(vmId: string): void {
    this.#accepted.add(vmId);
  }

  /** A delete was acknowledged. */
  acceptDelete(vmId: string): void {
    this.#deleted.add(vmId);
  }

  // What the hosts do.

  changed(host: SimHost, vmId: string): void {
    const { fleet, violations } = this.#audited;
    const where = fleet.hostsWith(vmId).filter((each) => !this.#isLeftover(each, vmId));
    violations.expect(where.length <= 1, 'S5', () => {
      const names = where.map(({ spec }) => spec.id).join(' and ');
      return `${vmId} is on ${names}`;
    });
    if (!host.vms.has(vmId) || this.#isLeftover(host, vmId)) return;
    const end = this.#ended.get(vmId);
    violations.expect(end === undefined, 'S8', () => `${vmId} is ${end ?? ''} and on a host`);
    const limits = host.limits;
    for (const [resource, limit] of Object.entries(limits)) {
      const sum = [...host.vms.values()].reduce(
        (total, { resources }) => total + (resources[resource] ?? 0),
        0,
      );
      violations.expect(sum <= limit, 'S1', () =>
        [host.spec.id, 'has', sum, resource, 'of', limit].join(' '),
      );
    }
  }

  /** What a fence took from a host that was off: it may lie there, but it may not run. */
  #isLeftover(host: SimHost, vmId: string): boolean {
    const vm = host.vms.get(vmId);
    if (vm === undefined || (this.#taken.get(`${host.spec.id} ${vmId}`) ?? -1) < vm.assignment) {
      return false;
    }
    const isAtRest = vm.removing || vm.state === 'stopped' || vm.state === 'failed';
    return host.power === 'off' || isAtRest;
  }

  obeyed(host: SimHost, vmId: string, assignment: number): void {
    const key = `${host.spec.id} ${vmId}`;
    const newest = this.#newestObeyed.get(key) ?? 0;
    this.#audited.violations.expect(assignment >= newest, 'S6', () =>
      [host.spec.id, 'obeyed', assignment, 'after', newest, 'for', vmId].join(' '),
    );
    this.#newestObeyed.set(key, Math.max(newest, assignment));
  }

  // What the ledger does.

  /**
   * Makes a booking and judges what it has changed: a host may have become over-full before, by a
   * stranger that was adopted or by a smaller limit.
   */
  aroundBooking<T>(call: () => T): T {
    const { books } = this.#audited;
    const before = heldPerHost(books);
    const result = call();
    this.#judgeBooks(before, heldPerHost(books));
    return result;
  }

  #judgeBooks(before: ReadonlyMap<string, Resources>, after: ReadonlyMap<string, Resources>): void {
    const { books, fleet, violations } = this.#audited;
    const totals = books.totals();
    for (const [hostId, used] of after) {
      // Of a machine that was taken away the ledger may not have heard; the record refuses it (S13).
      const limits = fleet.hosts.get(hostId)?.limits;
      const said = totals.get(hostId);
      for (const [resource, sum] of Object.entries(used)) {
        // Of a host that the ledger does not know it keeps no sums.
        violations.expect(said === undefined || said[resource] === sum, 'I2', () =>
          ['the ledger sums', said?.[resource] ?? 0, resource, 'on', hostId, 'of', sum].join(' '),
        );
        const limit = limits?.[resource] ?? 0;
        const grew = sum > (before.get(hostId)?.[resource] ?? 0);
        violations.expect(limits === undefined || sum <= limit || !grew, 'I1', () =>
          ['the ledger books', sum, resource, 'of', limit, 'on', hostId].join(' '),
        );
      }
    }
  }

  // What the catalogue does.

  /** Makes one of the calls of `AUDITED` and judges what it has changed. */
  around<T>(method: string, args: readonly unknown[], call: () => Promise<T>): Promise<T> {
    if (method === 'record') return this.#aroundRecord(args[2] as readonly RecordItem[], call);
    if (method === 'releaseVm') {
      return this.#aroundRelease(args[1] as string, args[2] as ReleaseResult, call);
    }
    if (method === 'fenceHost') return this.#aroundFence(args[0] as string, call);
    if (method === 'saveHostPolls') this.#judgePolls(args[0] as readonly HostPoll[]);
    if (method === 'reportVms') {
      return this.#aroundReport(args[0] as string, args[2] as readonly AgentVm[], call);
    }
    return call();
  }

  /** What a host says of VMs that it does not have changes nothing of them. */
  async #aroundReport<T>(hostId: string, said: readonly AgentVm[], call: () => Promise<T>) {
    const { catalogue, fleet, violations } = this.#audited;
    const own = fleet.hosts.get(hostId)?.vms;
    const others = said.filter(({ id }) => own?.has(id) !== true);
    // The double does what it does before it answers: nothing comes between these three.
    const before = Promise.all(others.map(({ id }) => catalogue.vm(id)));
    const saved = call();
    const after = Promise.all(others.map(({ id }) => catalogue.vm(id)));
    const answer = await saved;
    const are = await after;
    (await before).forEach((was, at) => {
      if (was === null || was.host?.id === hostId) return;
      const state = are[at]?.state;
      violations.expect(state === was.state, 'foreign', () =>
        [hostId, 'made', was.id, 'of another host', state].join(' '),
      );
    });
    return answer;
  }

  async #aroundRecord<T>(items: readonly RecordItem[], call: () => Promise<T>): Promise<T> {
    // The double does what it does before it answers: this shows the very moment after it.
    const recorded = call();
    const seats = this.#seatsOf(items);
    const reply = await recorded;
    this.#judgeRecord(items, reply as RecordReply, seats);
    return reply;
  }

  async #aroundRelease<T>(vmId: string, result: ReleaseResult, call: () => Promise<T>): Promise<T> {
    const before = this.#audited.catalogue.vm(vmId);
    const saved = await call();
    if (saved !== null) this.#judgeRelease(await before, vmId, result);
    return saved;
  }

  /** Nothing that may run is taken from a host; what is taken is what was there. */
  async #aroundFence<T>(hostId: string, call: () => Promise<T>): Promise<T> {
    const { catalogue, fleet, violations } = this.#audited;
    const before = catalogue.vmsOn(hostId);
    const fenced = call();
    const reply = (await fenced) as {
      readonly released: readonly { readonly vmId: string }[];
    } | null;
    const released = new Set(reply?.released.map(({ vmId }) => vmId));
    for (const { id, allocation, onHostLoss, desiredState, movingTo } of await before) {
      if (!released.has(id)) continue;
      this.#taken.set(`${hostId} ${id}`, allocation?.assignment ?? 0);
      const mayGo = onHostLoss === 'restart' || desiredState === 'deleted' || movingTo !== null;
      violations.expect(mayGo, 'fence', () => `${id} was to be kept and is taken from ${hostId}`);
      if (desiredState === 'deleted') this.#ended.set(id, 'deleted');
    }
    violations.expect(
      released.size === 0 || fleet.hosts.get(hostId)?.power === 'off',
      'fence',
      () => `${hostId} was fenced while it was on`,
    );
    return reply as T;
  }

  #judgePolls(polls: readonly HostPoll[]): void {
    for (const { hostId, state, status } of polls) {
      const misses = status === null ? (this.#misses.get(hostId) ?? 0) + 1 : 0;
      this.#misses.set(hostId, misses);
      const mayBeDown = status === null && misses >= MISSES_MIN;
      this.#audited.violations.expect(state !== 'down' || mayBeDown, 'L5', () =>
        [hostId, 'is down after', misses, 'missed polls'].join(' '),
      );
    }
  }

  /** The hosts of these bookings, with all that each of them holds. */
  #seatsOf(items: readonly RecordItem[]): ReadonlyMap<string, Seat> {
    const { tables, violations } = this.#audited;
    const vmIds = new Set<string>();
    let booked = 0;
    for (const { vmId } of tables.allocations.rows()) {
      if (vmId === null) continue;
      booked += 1;
      vmIds.add(vmId);
    }
    violations.expect(vmIds.size === booked, 'S4', () => 'a VM is booked twice');
    const seats = new Map<string, Seat>();
    for (const hostId of new Set(items.map(({ booking }) => booking.hostId))) {
      const row = tables.hosts.get(hostId);
      if (row === undefined) continue;
      const allocations: Allocation[] = [];
      for (const each of tables.allocations.rows()) {
        if (each.hostId === hostId) allocations.push(allocationOf(each));
      }
      seats.set(hostId, { host: hostOf(tables, row), allocations });
    }
    return seats;
  }

  #judgeRecord(
    items: readonly RecordItem[],
    reply: RecordReply,
    seats: ReadonlyMap<string, Seat>,
  ): void {
    if (reply.kind !== 'done') return;
    items.forEach((item, at) => {
      const outcome = reply.outcomes[at];
      const { bookingId, hostId, vmId } = item.booking;
      if (outcome?.kind !== 'recorded' && outcome?.kind !== 'reserved') return;
      const holder = this.#granted.get(bookingId);
      if (holder !== undefined) {
        this.#audited.violations.expect(holder === vmId, 'S18', () =>
          [vmId, 'has booking', bookingId, 'of', holder].join(' '),
        );
        return;
      }
      this.#granted.set(bookingId, vmId);
      if (outcome.kind === 'recorded') this.#judgeNumber(vmId, outcome.assignment);
      const seat = seats.get(hostId);
      if (seat === undefined) {
        this.#audited.violations.add('S12', `${vmId} is granted on ${hostId}, which is no host`);
      } else {
        this.#judgeSeat(item, seat);
      }
    });
  }

  /** An assignment is one booking's: to no other is it ever given. */
  #judgeNumber(vmId: string, assignment: number): void {
    const isNew = !this.#assignments.has(assignment);
    this.#assignments.add(assignment);
    this.#audited.violations.expect(isNew, 'S18', () =>
      [vmId, 'has assignment', assignment, 'of another booking'].join(' '),
    );
  }

  #judgeSeat({ booking, spec }: RecordItem, seat: Seat): void {
    const { violations } = this.#audited;
    const { hostId, vmId, resources } = booking;
    const { host, allocations } = seat;
    const { mode } = host;
    violations.expect(mode === 'enabled', 'S13', () => `${vmId} on ${hostId}, which is ${mode}`);
    const wrong = mode === 'enabled' ? misplaced(host, spec.constraints) : null;
    violations.expect(wrong === null, 'S12', () => `${vmId} on ${hostId}: ${wrong ?? ''}`);
    const crowded = crowdedGroup(allocations, hostId);
    violations.expect(crowded === null, 'S12', () => `${crowded ?? ''} is broken on ${hostId}`);
    for (const [resource, amount] of Object.entries(resources)) {
      if (amount > 0) this.#judgeSum(seat, resource, amount);
    }
  }

  #judgeSum({ host, allocations }: Seat, resource: string, granted: number): void {
    const { violations } = this.#audited;
    const sum = sumOn(allocations, host.id, resource);
    const limit = limitOf(host, resource);
    // On a host that had more than it may already, it is the second rule.
    violations.expect(sum <= limit, sum - granted > limit ? 'S2' : 'S1', () =>
      [host.id, 'is granted', sum, resource, 'of', limit].join(' '),
    );
    const stored = host.allocated[resource] ?? 0;
    violations.expect(stored === sum, 'S3', () =>
      [host.id, 'stores', stored, resource, 'and holds', sum].join(' '),
    );
  }

  #judgeRelease(before: Vm | null, vmId: string, { state }: ReleaseResult): void {
    const { fleet, violations } = this.#audited;
    if (state !== 'placed') this.#ended.set(vmId, state);
    const host = fleet.hosts.get(before?.host?.id ?? '');
    violations.expect(
      host?.vms.has(vmId) !== true,
      'S15',
      () => `${vmId} is released and still on ${host?.spec.id ?? ''}`,
    );
  }

  /** Something that people may read. */
  heard(text: string): void {
    const { violations } = this.#audited;
    violations.expect(!text.includes(CREDENTIAL), 'secret', () => `said aloud: ${text}`);
  }

  /** Looks at all rows: what was accepted is there, and what has ended stays ended. */
  async lookAtAll(): Promise<readonly Vm[]> {
    const { catalogue, violations } = this.#audited;
    const vms: Vm[] = [];
    for (let cursor: string | null = null; ;) {
      const page: Awaited<ReturnType<Catalogue['vms']>> = await catalogue.vms({
        limit: PAGE,
        cursor,
      });
      vms.push(...page.items);
      cursor = page.nextCursor;
      if (cursor === null) break;
    }
    const shown = new Set(vms.map(({ id }) => id));
    for (const id of this.#accepted) {
      if (shown.has(id)) continue;
      const known = await catalogue.vmByRequest(id);
      violations.expect(known !== null, 'S7', () => `${id} was accepted and is nowhere`);
    }
    for (const { id, state, reason, attempts } of vms) {
      for (const text of [reason?.detail ?? '', ...attempts.map(({ detail }) => detail ?? '')]) {
        this.heard(text);
      }
      const end = this.#ended.get(id);
      const stays = end === undefined || state === end || (end === 'failed' && state === 'deleted');
      violations.expect(stays, 'S11', () => `${id} was ${end ?? ''} and is ${state}`);
    }
    return vms;
  }

  /** When all is quiet: deletes were carried out, and each change was written down once. */
  async settleAccounts(): Promise<void> {
    const { catalogue, violations } = this.#audited;
    for (const id of this.#deleted) {
      const vm = await catalogue.vm(id);
      violations.expect(vm === null, 'S8', () => `${id} was deleted and is ${vm?.state ?? ''}`);
    }
    const created = new Map<string, number>();
    for (let cursor: string | null = null; ;) {
      const page: Awaited<ReturnType<Catalogue['audit']>> = await catalogue.audit({
        limit: PAGE,
        cursor,
        action: 'vm.create',
      });
      for (const { subject } of page.items) {
        created.set(subject.id, (created.get(subject.id) ?? 0) + 1);
      }
      cursor = page.nextCursor;
      if (cursor === null) break;
    }
    for (const id of this.#accepted) {
      const times = created.get(id) ?? 0;
      violations.expect(times === 1, 'S23', () => `${id} was noted ${times.toString()} times`);
    }
  }
}

/** What the ledger's bookings come to, summed up anew. */
function heldPerHost(books: LedgerBooks): ReadonlyMap<string, Resources> {
  const sums = new Map<string, Resources>();
  for (const { hostId, resources } of books.held.values()) {
    sums.set(hostId, addResources(sums.get(hostId) ?? {}, resources));
  }
  return sums;
}
