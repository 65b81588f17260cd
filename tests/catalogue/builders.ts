/** What the suites of the catalogue ask for, with names that no other test has used. */
import { TESTER } from '../support/callers.js';
import { expect } from '@jest/globals';
import { DomainError } from '../../src/model/errors.js';
import type { Host } from '../../src/model/host.js';
import type { MeasuredTotals } from '../../src/model/agent-report.js';
import { limitsOf, type Inventory } from '../../src/model/inventory.js';
import type {
  Catalogue,
  HostPoll,
  HostReport,
  JoinRequest,
  LedgerBooking,
  Progress,
  RecordItem,
  RecordOutcome,
  Taking,
  WorkItem,
} from '../../src/model/ports.js';
import { addResources, withoutZeros, type Resources } from '../../src/model/resources.js';
import type { OnHostLoss, Vm, VmUser } from '../../src/model/vm.js';

let counter = 0;

export function fresh(prefix: string): string {
  counter += 1;
  return `${prefix}-${counter}`;
}

export const totalsWith = (totals: Resources): MeasuredTotals =>
  Object.fromEntries(
    Object.entries(totals).map(([name, total]) => [name, { total, source: 'configured' as const }]),
  );

let reports = 0;

/** What a host says of itself, after all that any host has said. */
export function reportOf(
  { inventory }: Pick<Host, 'inventory'>,
  changes: Partial<HostReport> = {},
): HostReport {
  reports += 1;
  const totals = Object.fromEntries(
    Object.entries(inventory).map(([name, { total, source }]) => [name, { total, source }]),
  );
  return { totals, used: {}, version: '1', bootId: 'boot-1', report: reports, ...changes };
}

/** Totals that may be booked as they are. */
export const inventoryWith = (totals: Resources): Inventory =>
  Object.fromEntries(
    Object.entries(totals).map(([name, total]) => [
      name,
      { total, reserved: 0, overcommit: 1, source: 'configured' as const },
    ]),
  );

export const LARGE: Resources = { cpu: 100_000, memory: 100_000, disk: 100_000 };
export const ONE: Resources = { cpu: 1, memory: 1, disk: 1 };

/** Where a host's agent is, unless a test says otherwise. */
export const addressOf = (hostId: string): string => `http://${hostId}:1`;

export function joinRequest(changes: Partial<JoinRequest> = {}): JoinRequest {
  const id = fresh('host');
  return {
    id,
    name: `${id}-name`,
    address: addressOf(id),
    credential: `credential of ${id}`,
    zone: 'a',
    labels: { disk: 'ssd' },
    totals: totalsWith(LARGE),
    version: '1',
    bootId: 'boot-1',
    ip: null,
    tokenHash: null,
    ticket: { by: 'admin' },
    ...changes,
  };
}

export const answeredPoll = (host: Pick<Host, 'id' | 'inventory'>): HostPoll => ({
  hostId: host.id,
  address: addressOf(host.id),
  state: 'up',
  missedPolls: 0,
  status: reportOf(host),
});

export const missedPoll = (
  hostId: string,
  state: HostPoll['state'],
  missedPolls: number,
): HostPoll => ({ hostId, address: addressOf(hostId), state, missedPolls, status: null });

/** A host that has joined and answered. */
export async function upHost(catalogue: Catalogue, totals: Resources = LARGE): Promise<Host> {
  const joined = await catalogue.joinHost(joinRequest({ totals: totalsWith(totals) }), TESTER);
  await catalogue.saveHostPolls([answeredPoll(joined)]);
  return hostNow(catalogue, joined.id);
}

export async function hostNow(catalogue: Catalogue, id: string): Promise<Host> {
  const host = await catalogue.host(id);
  if (host === null) throw new Error(`there is no host ${id}`);
  return host;
}

export function itemFor(
  host: Pick<Host, 'id' | 'name'>,
  changes: {
    readonly kind?: RecordItem['kind'];
    readonly vmId?: string;
    readonly path?: string;
    readonly resources?: Resources;
    readonly groups?: RecordItem['booking']['groups'];
    readonly frees?: readonly LedgerBooking[];
    readonly set?: string;
    readonly onHostLoss?: OnHostLoss;
    readonly users?: readonly VmUser[];
  } = {},
): RecordItem {
  const { kind = 'create', path = 'root', resources = ONE, onHostLoss = 'keep' } = changes;
  const { users = [] } = changes;
  const { vmId = fresh(kind === 'reserve' ? 'rsv' : 'vm'), groups = [], frees = [] } = changes;
  return {
    kind,
    spec: {
      id: vmId,
      name: `${vmId}-name`,
      path,
      resources,
      image: null,
      users,
      constraints: {},
      onHostLoss,
    },
    requestHash: `hash of ${vmId}`,
    booking: {
      bookingId: fresh('booking'),
      vmId,
      hostId: host.id,
      path,
      resources,
      groups,
      frees,
      set: changes.set ?? null,
    },
    by: null,
    violations: [],
    strategy: null,
    reservation: kind === 'reserve' ? { purpose: 'held', endsInMs: 3_600_000 } : null,
    attempt: {
      host: { id: host.id, name: host.name },
      at: new Date('2026-11-21T10:00:00Z'),
      outcome: 'placed',
      detail: null,
    },
  };
}

/** Records under the present epoch. */
export async function recordAll(
  catalogue: Catalogue,
  items: readonly RecordItem[],
  taking: Taking | null = null,
): Promise<readonly RecordOutcome[]> {
  const { epoch, highWater } = await catalogue.epoch();
  const reply = await catalogue.record(epoch, highWater + 1, items, taking);
  if (reply.kind !== 'done') throw new Error(`the batch was not recorded: ${reply.kind}`);
  expect(reply.outcomes).toHaveLength(items.length);
  return reply.outcomes;
}

/** A VM that is recorded on the host. */
export async function placedVm(
  catalogue: Catalogue,
  host: Pick<Host, 'id' | 'name'>,
  changes: Parameters<typeof itemFor>[1] = {},
): Promise<Vm> {
  const [outcome] = await recordAll(catalogue, [itemFor(host, changes)]);
  if (outcome?.kind !== 'recorded') throw new Error(`not recorded: ${outcome?.kind ?? 'nothing'}`);
  return outcome.vm;
}

const ALL = 10_000;
const LONG_MS = 600_000;

/** Leases everything that is due to `owner`. */
export const takeAll = (
  catalogue: Catalogue,
  owner: string,
  leaseMs = LONG_MS,
): Promise<readonly WorkItem[]> => catalogue.takeWork(owner, ALL, leaseMs);

/** Leases everything that is due, and answers the item of this VM. */
export async function take(
  catalogue: Catalogue,
  owner: string,
  vmId: string,
  leaseMs = LONG_MS,
): Promise<WorkItem | null> {
  const items = await takeAll(catalogue, owner, leaseMs);
  return items.find(({ vm }) => vm.id === vmId) ?? null;
}

export const outcomeKinds = (outcomes: readonly RecordOutcome[]): string[] =>
  outcomes.map(({ kind }) => kind);

/** What each of these hosts carries, is the sum of its allocations, and not over its limits. */
export async function expectBalanced(
  catalogue: Catalogue,
  hostIds: readonly string[],
): Promise<void> {
  const { hosts, allocations } = await catalogue.snapshot();
  for (const host of hosts.filter(({ id }) => hostIds.includes(id))) {
    const own = allocations.filter(({ hostId }) => hostId === host.id);
    const sum = own.map(({ resources }) => resources).reduce(addResources, {});
    expect({ id: host.id, allocated: host.allocated }).toEqual({
      id: host.id,
      allocated: withoutZeros(sum),
    });
    // Reservations have no assignment.
    expect(host.vms).toBe(own.filter(({ assignment }) => assignment > 0).length);
    const limits = limitsOf(host.inventory);
    for (const [name, amount] of Object.entries(host.allocated)) {
      expect(amount).toBeLessThanOrEqual(limits[name] ?? 0);
    }
  }
}

/** The failure of a call that must fail. */
export async function failureOf(call: Promise<unknown>): Promise<DomainError> {
  const thrown: unknown = await call.then(
    (value) => new Error(`it was answered: ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
  if (thrown instanceof DomainError) return thrown;
  throw thrown;
}

/** Saves one finding. @returns the VM, or null when the lease was lost */
export async function saveOne(
  catalogue: Catalogue,
  owner: string,
  vmId: string,
  progress: Progress,
): Promise<Vm | null> {
  const saved = await catalogue.saveProgress([{ vmId, lease: owner, progress }]);
  return saved.has(vmId) ? catalogue.vm(vmId) : null;
}
