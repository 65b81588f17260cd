/** What is handed out of the catalogue's double: made of rows, and shared with nobody. */
import type { Host } from '../../model/host.js';
import type { AgentContact } from '../../model/ports.js';
import type { Reservation } from '../../model/reservation.js';
import type { Orphan } from '../../model/stores/orphans.js';
import type { Allocation, Attempt, Vm } from '../../model/vm.js';
import { dateOf, dateOrNull } from './facts.js';
import type {
  AllocationRow,
  HostRow,
  OrphanRow,
  ReservationRow,
  StoredAttempt,
  VmRow,
} from './rows.js';
import type { Tables } from './tables.js';

interface Numbered {
  readonly seq: number;
}

/** In the order in which they were made. */
export const inOrder = <Row extends Numbered>(rows: Iterable<Row>): Row[] =>
  [...rows].sort((left, right) => left.seq - right.seq);

export const byText = (left: string, right: string): number =>
  left < right ? -1 : left > right ? 1 : 0;

const refOf = (tables: Tables, hostId: string): Orphan['host'] => ({
  id: hostId,
  name: tables.hosts.get(hostId)?.name ?? hostId,
});

const attemptOf = ({ host, at, outcome, detail }: StoredAttempt): Attempt => {
  const when = new Date(at);
  return { host, at: when, outcome, detail };
};

export function vmOf(tables: Tables, row: VmRow): Vm {
  const allocation = tables.allocationOfVm(row.id);
  return {
    id: row.id,
    name: row.name,
    path: row.path,
    resources: row.resources,
    image: row.image,
    users: row.users,
    constraints: row.constraints,
    desiredState: row.desiredState,
    state: row.state,
    host: row.hostId === null ? null : refOf(tables, row.hostId),
    allocation:
      allocation === undefined
        ? null
        : { bookingId: allocation.bookingId, assignment: allocation.assignment },
    reason: row.reason,
    attempts: row.attempts.map(attemptOf),
    hasRun: row.hasRun,
    onHostLoss: row.onHostLoss,
    violations: row.violations,
    strategy: row.strategy,
    waitUntil: dateOrNull(row.waitUntil),
    movingTo: row.movingTo,
    createdAt: dateOf(row.createdAt),
    updatedAt: dateOf(row.updatedAt),
  };
}

/** The rows of these VMs, in order of creation. */
export function vmRows(tables: Tables, ids: Iterable<string>): VmRow[] {
  const rows: VmRow[] = [];
  for (const id of ids) {
    const row = tables.vms.get(id);
    if (row !== undefined) rows.push(row);
  }
  return rows.sort((left, right) => left.seq - right.seq);
}

export const hostOf = (tables: Tables, row: HostRow): Host => ({
  id: row.id,
  name: row.name,
  address: row.address,
  zone: row.zone,
  labels: row.labels,
  state: row.state,
  mode: row.mode,
  modeReason: row.modeReason,
  modeOwner: row.modeOwner,
  modeUntil: dateOrNull(row.modeUntil),
  fence: row.fence === null ? null : { ...row.fence, at: dateOf(row.fence.at) },
  overrides: row.overrides,
  used: row.used,
  orphaned: row.orphaned,
  missedPolls: row.missedPolls,
  inventory: row.inventory,
  allocated: row.allocated,
  vms: tables.vmsBookedOn(row.id),
  seq: row.seq,
  revision: row.revision,
  agent: { version: row.version, bootId: row.bootId },
  notEnforced: row.said.notEnforced ?? [],
  lastSeenAt: dateOrNull(row.lastSeenAt),
  createdAt: dateOf(row.createdAt),
});

/** As it is now, after whatever was just written. */
export function hostNow(tables: Tables, id: string): HostRow {
  const row = tables.hosts.get(id);
  if (row === undefined) throw new Error(`there is no host ${id}`);
  return row;
}

/** Of those that had a name, the one that has it now. */
export function findHost(tables: Tables, idOrName: string): HostRow | undefined {
  const byId = tables.hosts.get(idOrName);
  if (byId !== undefined) return byId;
  const named = inOrder(tables.hosts.rows()).filter(({ name }) => name === idOrName);
  return named.find(({ mode }) => mode !== 'retired') ?? named.at(-1);
}

export const hostsInService = (tables: Tables): HostRow[] =>
  inOrder(tables.hosts.rows()).filter(({ mode }) => mode !== 'retired');

export const contactOf = (row: HostRow): AgentContact => ({
  hostId: row.id,
  address: row.address,
  ip: row.ip,
  credential: row.credential,
});

export function reservationOf(tables: Tables, row: ReservationRow): Reservation {
  const { id, name, path, purpose, resources, constraints, hostId, until, createdAt } = row;
  return {
    ...{ id, name, path, purpose, resources, constraints },
    host: refOf(tables, hostId),
    bookingId: tables.allocationOfReservation(id)?.bookingId ?? '',
    until: dateOrNull(until),
    createdAt: dateOf(createdAt),
  };
}

export const allocationOf = (row: AllocationRow): Allocation => ({
  bookingId: row.bookingId,
  vmId: row.vmId ?? row.reservationId ?? '',
  hostId: row.hostId,
  assignment: row.assignment,
  path: row.path,
  resources: row.resources,
  groups: row.groups,
});

export function orphanOf(tables: Tables, row: OrphanRow): Orphan {
  const recorded = tables.vms.get(row.vmId);
  const recordedOn = recorded?.deletedAt === null ? recorded.hostId : null;
  return {
    host: refOf(tables, row.hostId),
    vmId: row.vmId,
    state: row.state,
    resources: row.resources,
    assignment: row.assignment,
    firstSeenAt: dateOf(row.firstSeenAt),
    lastSeenAt: dateOf(row.lastSeenAt),
    recordedOn: recordedOn === null ? null : refOf(tables, recordedOn),
    leaving: row.leaving,
  };
}
