/**
 * Watches a history and says which rules it breaks: after every change of a host's VMs, after every
 * record and release of the catalogue, after every booking of the ledger. It goes by what the hosts
 * really run and by the catalogue's rows, never by what the control plane says of itself.
 */
import type {
  Catalogue,
  CatalogueSnapshot,
  RecordItem,
  RecordReply,
  ReleaseResult,
} from '../model/ports.js';
import type { Host } from '../model/host.js';
import type { Vm } from '../model/vm.js';
import type { FleetWatch, SimFleet, SimHost } from './agents-double.js';
import type { LedgerBooks } from './ledger-books.js';
import { crowdedGroup, limitOf, misplaced, sumOn } from './oracle.js';
import type { Violations } from './violations.js';

export interface Audited {
  readonly catalogue: Catalogue;
  readonly books: LedgerBooks;
  readonly fleet: SimFleet;
  readonly violations: Violations;
}

/** VMs that one look at the catalogue reads in a go. */
const PAGE = 500;

export class Auditor implements FleetWatch {
  readonly #audited: Audited;
  /** Bookings that were recorded, so that a repeat is known from a grant. */
  readonly #granted = new Set<string>();
  /** VMs that hold nothing any more, with the state that they ended in. */
  readonly #ended = new Map<string, 'failed' | 'deleted'>();
  readonly #newestObeyed = new Map<string, number>();
  readonly #booked = new Map<string, number>();
  readonly #accepted = new Set<string>();
  readonly #deleted = new Set<string>();

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
    const where = fleet.hostsWith(vmId);
    violations.expect(where.length <= 1, 'S5', () => {
      const names = where.map(({ spec }) => spec.id).join(' and ');
      return `${vmId} is on ${names}`;
    });
    if (!host.vms.has(vmId)) return;
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

  obeyed(host: SimHost, vmId: string, assignment: number): void {
    const key = `${host.spec.id} ${vmId}`;
    const newest = this.#newestObeyed.get(key) ?? 0;
    this.#audited.violations.expect(assignment >= newest, 'S6', () =>
      [host.spec.id, 'obeyed', assignment, 'after', newest, 'for', vmId].join(' '),
    );
    this.#newestObeyed.set(key, Math.max(newest, assignment));
  }

  // What the ledger does.

  /** To be called after every booking. */
  bookedInLedger(): void {
    const { books, fleet, violations } = this.#audited;
    for (const [hostId, used] of books.totals()) {
      const limits = fleet.hosts.get(hostId)?.limits ?? {};
      for (const [resource, sum] of Object.entries(used)) {
        const key = `${hostId} ${resource}`;
        const limit = limits[resource] ?? 0;
        const grew = sum > (this.#booked.get(key) ?? 0);
        violations.expect(sum <= limit || !grew, 'I1', () =>
          ['the ledger books', sum, resource, 'of', limit, 'on', hostId].join(' '),
        );
        this.#booked.set(key, sum);
      }
    }
  }

  // What the catalogue does.

  /** Makes a call of the catalogue and judges what it has changed. */
  around<T>(method: string, args: readonly unknown[], call: () => Promise<T>): Promise<T> {
    if (method === 'record') return this.#aroundRecord(args[2] as readonly RecordItem[], call);
    if (method === 'releaseVm') {
      return this.#aroundRelease(args[1] as string, args[2] as ReleaseResult, call);
    }
    return call();
  }

  async #aroundRecord<T>(items: readonly RecordItem[], call: () => Promise<T>): Promise<T> {
    // The double does what it does before it answers: this shows the very moment after it.
    const recorded = call();
    const after = this.#audited.catalogue.snapshot();
    const reply = await recorded;
    this.#judgeRecord(items, reply as RecordReply, await after);
    return reply;
  }

  async #aroundRelease<T>(vmId: string, result: ReleaseResult, call: () => Promise<T>): Promise<T> {
    const before = this.#audited.catalogue.vm(vmId);
    const saved = await call();
    if (saved !== null) this.#judgeRelease(await before, vmId, result);
    return saved;
  }

  #judgeRecord(
    items: readonly RecordItem[],
    reply: RecordReply,
    { hosts, allocations }: CatalogueSnapshot,
  ): void {
    if (reply.kind !== 'done') return;
    const { violations } = this.#audited;
    const byId = new Map(hosts.map((host) => [host.id, host]));
    items.forEach((item, at) => {
      const kind = reply.outcomes[at]?.kind;
      const { bookingId, hostId, vmId } = item.booking;
      if ((kind !== 'recorded' && kind !== 'reserved') || this.#granted.has(bookingId)) return;
      this.#granted.add(bookingId);
      const host = byId.get(hostId);
      if (host === undefined) {
        violations.add('S12', `${vmId} is granted on ${hostId}, which is no host`);
        return;
      }
      const wrong = misplaced(host, item.spec.constraints);
      violations.expect(wrong === null, 'S12', () => `${vmId} on ${hostId}: ${wrong ?? ''}`);
      const crowded = crowdedGroup(allocations, hostId);
      violations.expect(crowded === null, 'S12', () => `${crowded ?? ''} is broken on ${hostId}`);
      for (const resource of Object.keys(item.booking.resources)) {
        this.#judgeSum(host, resource, allocations);
      }
    });
    const vmIds = allocations.map(({ vmId }) => vmId);
    violations.expect(new Set(vmIds).size === vmIds.length, 'S4', () => 'a VM is booked twice');
  }

  #judgeSum(host: Host, resource: string, allocations: CatalogueSnapshot['allocations']): void {
    const { violations } = this.#audited;
    const sum = sumOn(allocations, host.id, resource);
    const limit = limitOf(host, resource);
    violations.expect(sum <= limit, 'S1', () =>
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
    for (const { id, state } of vms) {
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
