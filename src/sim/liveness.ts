/**
 * What must become true when the faults are over: every VM comes to rest, hosts that are well take
 * VMs again, and catalogue, ledger and agents say the same. Answers what is not so yet.
 */
import type { Host } from '../model/host.js';
import type { Catalogue, Clock } from '../model/ports.js';
import { subtractResources, withoutZeros } from '../model/resources.js';
import type { Vm } from '../model/vm.js';
import type { SimFleet } from './agents-double.js';
import type { Tables } from './catalogue/tables.js';
import type { LedgerBooks } from './ledger-books.js';
import { STRANGER } from './client.js';
import { fits, misplaced } from './oracle.js';

export interface AtRest {
  readonly catalogue: Catalogue;
  readonly tables: Tables;
  readonly clock: Pick<Clock, 'now'>;
  readonly books: LedgerBooks;
  readonly fleet: SimFleet;
}

/** @returns a sentence for each thing that is not as it must be, with its rule; none: it is quiet */
export async function unsettled(
  { catalogue, tables, clock, books, fleet }: AtRest,
  vms: readonly Vm[],
): Promise<readonly (readonly [rule: string, detail: string])[]> {
  const found: (readonly [string, string])[] = [];
  const { hosts } = await catalogue.snapshot();
  for (const vm of vms) {
    const why = restless(vm, hosts);
    if (why !== null) found.push(['L1', `${vm.id} ${why}`]);
  }
  for (const host of hosts) {
    if (host.fence !== null) found.push(['L5', `${host.id} is fenced still`]);
    if (host.state !== 'up') found.push(['L5', `${host.id} is ${host.state}`]);
  }
  const differences = [
    ...ledgerAgainst(books, hosts, await catalogue.epoch()),
    ...fleetAgainst(fleet, vms),
  ];
  for (const detail of differences) found.push(['L2', detail]);
  const pending = await catalogue.pendingReleases(0, 1);
  if (pending.length > 0) found.push(['L2', 'a release was never told to the ledger']);
  for (const detail of leftover(tables, vms, clock.now())) found.push(['L4', detail]);
  return found;
}

/** @param wellIds of hosts that could be reached all the time since the faults ended */
export async function notReturned(
  { catalogue }: Pick<AtRest, 'catalogue'>,
  wellIds: ReadonlySet<string>,
): Promise<readonly string[]> {
  const { hosts } = await catalogue.snapshot();
  return hosts
    .filter(({ id, fence, state }) => wellIds.has(id) && fence === null && state !== 'up')
    .map(({ id, state }) => `${id} is well and still ${state}`);
}

/** How late what has a time may be ended. */
const LATE_MS_MAX = 5_000;

/** What should be worked off, or over, and is kept. */
function leftover(tables: Tables, vms: readonly Vm[], nowMs: number): readonly string[] {
  const found: string[] = [];
  const { length } = tables.outbox.rows;
  if (length > 0) found.push(`${length.toString()} changes wait to become events`);
  const isOver = (untilMs: number | null) => untilMs !== null && untilMs + LATE_MS_MAX < nowMs;
  const targets = new Set(vms.map(({ movingTo }) => movingTo));
  for (const { id, until, purpose } of tables.reservations.rows()) {
    if (isOver(until)) found.push(`reservation ${id} should have ended`);
    if (purpose === 'move' && !targets.has(id)) found.push(`reservation ${id} is for no move`);
  }
  for (const { id, state, waitUntil } of vms) {
    const waits = state === 'waiting' && isOver(waitUntil?.getTime() ?? null);
    if (waits) found.push(`${id} waits past its deadline`);
  }
  return found;
}

const RESTS: Readonly<Record<Vm['desiredState'], readonly Vm['state'][]>> = {
  running: ['running', 'failed'],
  stopped: ['stopped', 'failed'],
  deleted: ['deleted'],
};

function restless(vm: Vm, hosts: readonly Host[]): string | null {
  if (RESTS[vm.desiredState].includes(vm.state) && vm.movingTo === null) return null;
  const isAnywhere = hosts.some(
    (host) => misplaced(host, vm.constraints) === null && fits(host, host.allocated, vm.resources),
  );
  // Rules of groups may keep it out of what looks like room.
  const mayLackRoom = !isAnywhere || vm.constraints.groups !== undefined;
  // What a drain or a fence took from its host is tried for ever, even if every host refuses it.
  const isUprooted = vm.attempts.some(({ outcome }) => outcome === 'moved' || outcome === 'fenced');
  if (vm.desiredState !== 'deleted' && vm.host === null && (mayLackRoom || isUprooted)) return null;
  return `is ${vm.state}, wanted ${vm.desiredState}: ${vm.reason?.code ?? 'no reason'}`;
}

function ledgerAgainst(
  books: LedgerBooks,
  hosts: readonly Host[],
  agreed: Awaited<ReturnType<Catalogue['epoch']>>,
): readonly string[] {
  const { incarnation, epoch, seq } = books.state;
  const found: string[] = [];
  if (incarnation === null || incarnation !== agreed.incarnation || epoch !== agreed.epoch) {
    found.push('the ledger is not the one that was agreed on');
  }
  if (seq < agreed.highWater) found.push('the ledger is behind the catalogue');
  const totals = books.totals();
  for (const { id, allocated, revision } of hosts) {
    const drift = withoutZeros(subtractResources(totals.get(id) ?? {}, allocated));
    if (Object.keys(drift).length > 0) found.push(`${id} drifts: ${JSON.stringify(drift)}`);
    if (books.hosts.get(id)?.revision !== revision) found.push(`placement has an old ${id}`);
  }
  for (const { vmId, committed } of books.held.values()) {
    if (!committed) found.push(`the booking of ${vmId} was never settled`);
  }
  return found;
}

/** Orphans and ghosts. */
function fleetAgainst(fleet: SimFleet, vms: readonly Vm[]): readonly string[] {
  const found: string[] = [];
  const byId = new Map(vms.map((vm) => [vm.id, vm]));
  for (const host of fleet.hosts.values()) {
    for (const { id, state } of host.vms.values()) {
      const vm = byId.get(id);
      const isStranger = vm === undefined && id.startsWith(STRANGER);
      if (isStranger) continue;
      if (vm?.host?.id !== host.spec.id) found.push(`${id} is an orphan of ${host.spec.id}`);
      else if (vm.state !== state) found.push(`${id} is ${state} and recorded as ${vm.state}`);
    }
  }
  for (const { id, host, state } of vms) {
    if (host !== null && fleet.hosts.get(host.id)?.vms.has(id) !== true) {
      found.push(`${id} is ${state} on ${host.id}, which does not have it`);
    }
  }
  return found;
}
