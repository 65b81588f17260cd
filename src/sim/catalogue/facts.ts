/** What is shown of a row in events and in the audit log; nothing of it is secret. */
import type { Facts } from '../../model/audit.js';
import type { Watch } from '../../model/fleet-breaker.js';
import type { HostRow, OrphanRow, ReservationRow, TokenRow, VmRow } from './rows.js';

interface NamedHost {
  readonly id: string;
  readonly name: string;
}

/** A time as people see it: cut to the millisecond, as the driver of the real database does. */
export const dateOf = (at: number): Date => new Date(Math.floor(at));

export const dateOrNull = (at: number | null): Date | null => (at === null ? null : dateOf(at));

const shownTime = (at: number | null): string | null =>
  at === null ? null : dateOf(at).toISOString();

/** @param host as it was called then */
export const vmFacts = (vm: VmRow, host: NamedHost | null): Facts => ({
  id: vm.id,
  name: vm.name,
  path: vm.path,
  state: vm.state,
  desiredState: vm.desiredState,
  host,
  resources: vm.resources,
  image: vm.image,
  constraints: vm.constraints,
  onHostLoss: vm.onHostLoss,
  reason: vm.reason,
  attempts: vm.attempts,
  violations: vm.violations,
  waitUntil: shownTime(vm.waitUntil),
  createdAt: shownTime(vm.createdAt),
  updatedAt: shownTime(vm.updatedAt),
});

export const hostFacts = (host: HostRow): Facts => ({
  id: host.id,
  name: host.name,
  address: host.address,
  zone: host.zone,
  labels: host.labels,
  state: host.state,
  mode: host.mode,
  modeReason: host.modeReason,
  modeOwner: host.modeOwner,
  modeUntil: shownTime(host.modeUntil),
  fence: host.fence === null ? null : { ...host.fence, at: shownTime(host.fence.at) },
  overrides: host.overrides,
  inventory: host.inventory,
  orphaned: host.orphaned,
  agent: { version: host.version, bootId: host.bootId },
  createdAt: shownTime(host.createdAt),
});

export const fleetFacts = (watch: Watch): Facts => ({
  breaker: watch.isOpen ? 'open' : 'closed',
  since: shownTime(watch.changedAt),
  reason: watch.reason,
  hosts: watch.hosts,
  missing: watch.missing,
});

/** @param host as it was called then */
export const reservationFacts = (row: ReservationRow, host: NamedHost): Facts => ({
  id: row.id,
  name: row.name,
  path: row.path,
  purpose: row.purpose,
  resources: row.resources,
  constraints: row.constraints,
  host,
  until: shownTime(row.until),
  createdAt: shownTime(row.createdAt),
});

/** @param host as it was called then */
export const orphanFacts = (row: OrphanRow, host: NamedHost): Facts => ({
  vmId: row.vmId,
  state: row.state,
  resources: row.resources,
  assignment: row.assignment,
  leaving: row.leaving,
  host,
});

export const tokenFacts = (token: TokenRow): Facts => ({
  id: token.id,
  prefix: token.prefix,
  role: token.role,
  name: token.name,
  path: token.path,
  expiresAt: shownTime(token.expiresAt),
  revokedAt: shownTime(token.revokedAt),
});
