/**
 * Stands in for the control plane in tests of the API: the same port, kept in memory. It knows
 * enough to give believable answers; that the real one is right, other tests show.
 */
import { randomUUID } from 'node:crypto';
import type { Control } from '../../src/control/control.js';
import type { HostFileVerbs } from '../../src/control/host-files.js';
import type { VerifyVerbs } from '../../src/control/repair-books.js';
import type { BreakerVerbs } from '../../src/control/breaker-verbs.js';
import type { PlannerVerbs } from '../../src/control/planner-verbs.js';
import type { DrainVerbs } from '../../src/control/drain-verbs.js';
import { DomainError } from '../../src/model/errors.js';
import type { Host } from '../../src/model/host.js';
import { inventoryOf, limitsOf, shortfalls } from '../../src/model/inventory.js';
import type { Catalogue, Page } from '../../src/model/ports.js';
import type { IdempotencyStore } from '../../src/model/stores/idempotency.js';
import { addResources } from '../../src/model/resources.js';
import type { DesiredState, Vm } from '../../src/model/vm.js';
import { breakerDouble } from './breaker-double.js';
import { drainDouble } from './drain-double.js';
import { createEventsDouble, type EventsDouble } from './events-double.js';
import { DEFAULT_POLICY } from './hosts.js';
import { hostVerbsDouble, usageDouble, type UsageReads } from './hosts-double.js';
import { orphansDouble } from './orphans-double.js';
import { hostFilesDouble, type HostFilesDouble } from './host-files-double.js';
import { createIdempotencyDouble } from './idempotency-double.js';
import {
  createVmsDouble,
  reservationsDouble,
  type ReservationsDouble,
} from './reservations-double.js';
import { createTokensDouble, type TokensDouble } from './tokens-double.js';
import { plannerDouble } from './planner-double.js';
import { verifyDouble } from './verify-double.js';

export interface ControlDouble {
  readonly control: Control & HostFileVerbs & VerifyVerbs;
  readonly files: HostFilesDouble;
  readonly catalogue: Pick<Catalogue, 'vm' | 'vms' | 'host' | 'hosts' | 'drain'> &
    ReservationsDouble['store'] &
    UsageReads &
    IdempotencyStore &
    EventsDouble['store'] &
    TokensDouble['store'];
  readonly events: EventsDouble;
  readonly tokens: TokensDouble;
  readonly vms: Map<string, Vm>;
  /** Ids of VMs that were stopped by force. */
  readonly forced: string[];
  readonly reservations: ReservationsDouble['reservations'];
  readonly hosts: Map<string, Host>;
  /** Thrown by every call while it is set. */
  failure: Error | undefined;
  ready: boolean;
}

const now = new Date('2026-11-21T10:00:00.000Z');

export function modelHost(changes: Partial<Host> = {}): Host {
  return {
    id: 'host-a',
    name: 'name-a',
    address: 'http://127.0.0.1:8081',
    zone: 'zone-a',
    labels: {},
    state: 'up',
    mode: 'enabled',
    modeReason: null,
    modeOwner: null,
    modeUntil: null,
    fence: null,
    overrides: {},
    used: {},
    orphaned: {},
    missedPolls: 0,
    inventory: inventoryOf(
      {
        cpu: { total: 8, source: 'detected' },
        memory: { total: 16_384, source: 'detected' },
        disk: { total: 102_400, source: 'configured' },
      },
      DEFAULT_POLICY,
    ),
    allocated: {},
    vms: 0,
    seq: 1,
    revision: 1,
    agent: { version: '0.1.0', bootId: 'boot-1' },
    notEnforced: [],
    lastSeenAt: now,
    createdAt: now,
    ...changes,
  };
}

export function modelVm(changes: Partial<Vm> = {}): Vm {
  const host = { id: 'host-a', name: 'name-a' };
  return {
    id: 'vm-a',
    name: 'web-1',
    path: 'acme:web',
    resources: { cpu: 1, memory: 512, disk: 1024 },
    image: null,
    users: [],
    constraints: {},
    onHostLoss: 'keep',
    desiredState: 'running',
    state: 'placed',
    host,
    allocation: { bookingId: randomUUID(), assignment: 1 },
    reason: null,
    attempts: [{ host, at: now, outcome: 'placed', detail: null }],
    violations: [],
    strategy: null,
    waitUntil: null,
    movingTo: null,
    hasRun: false,
    createdAt: now,
    updatedAt: now,
    ...changes,
  };
}

export function createControlDouble(): ControlDouble {
  const vms = new Map<string, Vm>();
  const hosts = new Map<string, Host>();
  const rooms = reservationsDouble(hosts, () => work(() => double));
  const control = controlOf(vms, hosts, () => double);
  const events = createEventsDouble(() => work(() => double));
  const tokens = createTokensDouble(() => work(() => double));
  const drains = drainDouble(hosts, vms, () => work(() => double));
  const files = hostFilesDouble(hosts, vms, () => work(() => double));
  const double: ControlDouble = {
    events,
    files,
    tokens,
    reservations: rooms.reservations,
    vms,
    forced: [],
    hosts,
    failure: undefined,
    ready: true,
    control: {
      ...control,
      createVms: createVmsDouble(control.createVm),
      ...rooms.verbs,
      ...drains.verbs,
      ...tokens.verbs,
      ...plannerDouble(hosts, () => work(() => double)),
      ...verifyDouble(hosts, () => work(() => double)),
      ...breakerDouble(() => work(() => double)),
      ...files.verbs,
    },
    catalogue: {
      ...catalogueOf(vms, hosts, () => double),
      ...rooms.store,
      drain: drains.drain,
      ...events.store,
      ...tokens.store,
    },
  };
  return double;
}

type Self = () => ControlDouble;

/** A step that other requests may come between, and that fails when it is told to. */
async function work(self: Self): Promise<void> {
  await Promise.resolve();
  const { failure } = self();
  if (failure !== undefined) throw failure;
}

const byIdOrName = (hosts: Map<string, Host>, idOrName: string): Host | undefined =>
  hosts.get(idOrName) ?? [...hosts.values()].find(({ name }) => name === idOrName);

function pageOf<T extends { readonly id: string }>(
  all: readonly T[],
  { limit, cursor }: { readonly limit: number; readonly cursor: string | null },
): Page<T> {
  const from = cursor === null ? 0 : all.findIndex(({ id }) => id === cursor) + 1;
  const items = all.slice(from, from + limit);
  const last = items.at(-1);
  return {
    items,
    nextCursor: last === undefined || from + limit >= all.length ? null : last.id,
  };
}

function catalogueOf(
  vms: Map<string, Vm>,
  hosts: Map<string, Host>,
  self: Self,
): Omit<
  ControlDouble['catalogue'],
  | keyof ReservationsDouble['store']
  | 'drain'
  | keyof EventsDouble['store']
  | keyof TokensDouble['store']
> {
  return {
    ...createIdempotencyDouble(),
    ...usageDouble(hosts, () => work(self)),
    async vm(id) {
      await work(self);
      return vms.get(id) ?? null;
    },
    async vms(query) {
      await work(self);
      const found = [...vms.values()].filter(
        (vm) =>
          (query.hostId === undefined || vm.host?.id === query.hostId) &&
          (query.path === undefined || vm.path === query.path) &&
          (query.state === undefined || vm.state === query.state),
      );
      return pageOf(found, query);
    },
    async host(idOrName) {
      await work(self);
      return byIdOrName(hosts, idOrName) ?? null;
    },
    async hosts(query) {
      await work(self);
      return pageOf([...hosts.values()], query);
    },
  };
}

function controlOf(
  vms: Map<string, Vm>,
  hosts: Map<string, Host>,
  self: Self,
): Omit<
  Control,
  | 'createVms'
  | keyof ReservationsDouble['verbs']
  | keyof TokensDouble['verbs']
  | keyof DrainVerbs
  | keyof BreakerVerbs
  | keyof PlannerVerbs
> {
  const want = async (id: string, desiredState: DesiredState): Promise<Vm> => {
    await work(self);
    const vm = vms.get(id);
    if (vm === undefined) throw new DomainError('not_found', `There is no VM ${id}.`);
    if (vm.state === 'failed' && desiredState !== 'deleted') {
      throw new DomainError('state_conflict', 'It has failed.');
    }
    const changed: Vm = { ...vm, desiredState };
    vms.set(id, changed);
    return changed;
  };
  const roomy = (resources: Vm['resources']) =>
    [...hosts.values()].find(
      (host) =>
        host.mode === 'enabled' &&
        shortfalls(limitsOf(host.inventory), host.allocated, resources).length === 0,
    );

  return {
    async createVm(input) {
      await work(self);
      const id = input.id ?? randomUUID();
      const known = vms.get(id);
      if (known !== undefined && known.resources.cpu !== input.resources.cpu) {
        throw new DomainError('id_conflict', `The id ${id} is taken.`, {
          errors: [{ field: 'id', message: 'must be an id that no other VM has' }],
        });
      }
      if (known !== undefined) return known;
      const host = roomy(input.resources);
      if (host === undefined) {
        throw new DomainError('no_feasible_host', 'No host can take this VM.', {
          extra: {
            summary: { considered: hosts.size, feasible: 0, byReason: {}, nearest: null },
          },
        });
      }
      const vm = modelVm({
        id,
        name: input.name ?? 'vm-1',
        path: input.path ?? 'root',
        resources: input.resources,
        image: input.image ?? null,
        users: input.users ?? [],
        constraints: input.constraints ?? {},
        host: { id: host.id, name: host.name },
      });
      vms.set(id, vm);
      hosts.set(host.id, {
        ...host,
        vms: host.vms + 1,
        allocated: addResources(host.allocated, input.resources),
      });
      return vm;
    },
    async waitForVm(id, timeoutMs, signal) {
      await work(self);
      await new Promise<void>((resolve) => {
        if (timeoutMs <= 1_000 || signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });
      const vm = vms.get(id);
      if (vm === undefined) throw new DomainError('not_found', `There is no VM ${id}.`);
      return vm;
    },
    deleteVm: (id) => want(id, 'deleted'),
    startVm: (id) => want(id, 'running'),
    async stopVm(id, _by, { force = false } = {}) {
      const vm = await want(id, 'stopped');
      if (force) self().forced.push(id);
      return vm;
    },
    async explain(request, strategy = 'cosine') {
      await work(self);
      const host = roomy(request.resources);
      const ratios = { cpu: 0.5, memory: 0.5, disk: 0.5 };
      return {
        strategy,
        request,
        chosen: host?.id ?? null,
        explanation: host === undefined ? null : `${host.name} is chosen.`,
        candidates:
          host === undefined
            ? []
            : [
                {
                  host: { id: host.id, name: host.name },
                  rank: 1,
                  score: 0.9,
                  violations: [],
                  remaining: ratios,
                  requested: ratios,
                },
              ],
        rejected: [],
        summary: {
          considered: hosts.size,
          feasible: host === undefined ? 0 : 1,
          byReason: {},
          nearest: null,
        },
      };
    },
    async joinHost(input) {
      await work(self);
      self().tokens.admit(input);
      const twin = byIdOrName(hosts, input.name);
      if (twin !== undefined && twin.id !== input.id) {
        throw new DomainError('name_conflict', `Another host is called ${input.name}.`);
      }
      const { id, name, address, zone, labels, totals, version, bootId } = input;
      const host = modelHost({
        id,
        name,
        address,
        zone,
        labels,
        state: 'joining',
        inventory: inventoryOf(totals, DEFAULT_POLICY),
        agent: { version, bootId },
        lastSeenAt: null,
      });
      hosts.set(id, host);
      return host;
    },
    ...hostVerbsDouble(
      hosts,
      (idOrName) => byIdOrName(hosts, idOrName),
      () => work(self),
    ),
    ...orphansDouble(
      (idOrName) => byIdOrName(hosts, idOrName),
      vms,
      modelVm,
      () => work(self),
    ),
    async rebuild({ dryRun }) {
      await work(self);
      return {
        dryRun,
        durationMs: 1,
        vms: vms.size,
        hosts: [...hosts.values()].map(({ id, name }) => ({
          id,
          name,
          drift: {},
          driftAfter: dryRun ? null : {},
        })),
      };
    },
    async readiness() {
      await work(self);
      return {
        ready: self().ready,
        dependencies: {
          ledger: { state: self().ready ? 'ready' : 'rebuilding', detail: null },
          catalogue: { state: 'ready', detail: null },
        },
      };
    },
  };
}
