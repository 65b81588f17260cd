/** Whether a booking may be recorded: who may have the place, room, and rules of groups. */
import type { Membership } from '../../model/groups.js';
import type { RecordItem, RecordOutcome } from '../../model/ports.js';
import { NO_RESOURCES, type Resources } from '../../model/resources.js';
import { roomRefusal, sumOf } from './amounts.js';
import type { AllocationRow, HostRow } from './rows.js';
import type { Member, Tables } from './tables.js';
import { byText } from './views.js';

type RecordRefusal = Exclude<RecordOutcome['kind'], 'recorded' | 'reserved' | 'set'>;

/** Why not; null: it may be recorded. */
export function refusalOf(tables: Tables, item: RecordItem): RecordRefusal | null {
  const { booking } = item;
  const freed = new Set(booking.frees.map(({ bookingId }) => bookingId));
  const refusal = holderRefusal(tables, item, freed);
  if (refusal !== null) return refusal;
  const host = tables.hosts.get(booking.hostId);
  if (host?.state !== 'up' || host.mode !== 'enabled') return 'closed';
  return (
    roomRefusal(host.limits, allocatedWithout(tables, host, freed), booking.resources) ??
    (groupsForbid(tables, booking.groups, host.id, freed) ? 'group' : null)
  );
}

/** Judged as the ledger does: as if what it takes the place of had been given back. */
function allocatedWithout(tables: Tables, host: HostRow, freed: ReadonlySet<string>) {
  let { allocated } = host;
  for (const bookingId of freed) {
    const gone = tables.allocations.get(bookingId);
    if (gone?.hostId === host.id) allocated = sumOf(allocated, gone.resources, -1);
  }
  return allocated;
}

/** Who may have the place that an item asks for; null: it may. */
function holderRefusal(
  tables: Tables,
  { kind, spec, booking }: RecordItem,
  freed: ReadonlySet<string>,
): 'taken' | 'gone' | null {
  const vm = tables.vms.get(spec.id);
  if (kind === 'create' || kind === 'reserve') {
    const isKnown = vm !== undefined || (kind === 'reserve' && tables.reservations.has(spec.id));
    if (isKnown) return 'taken';
  } else if (
    vm === undefined ||
    vm.desiredState === 'deleted' ||
    // Recorded and released again before this repeat came.
    tables.pendingReleases.has(booking.bookingId) ||
    (kind === 'again' && (vm.hostId !== null || !['placed', 'waiting'].includes(vm.state))) ||
    (kind === 'move' && vm.movingTo === null)
  ) {
    return 'gone';
  }
  if (freed.size > 0 && !mayFree(tables, kind, spec.id, vm?.movingTo ?? null, freed)) return 'gone';
  const own = kind === 'move' ? tables.allocationOfVm(spec.id) : undefined;
  return own !== undefined && !freed.has(own.bookingId) ? 'gone' : null;
}

/** Whether what it takes the place of is there still, and is its to take. */
function mayFree(
  tables: Tables,
  kind: RecordItem['kind'],
  holderId: string,
  movingTo: string | null,
  freed: ReadonlySet<string>,
): boolean {
  const held = [...freed].flatMap((bookingId) => tables.allocations.get(bookingId) ?? []);
  const freedVm = lastOf(held, 'vmId');
  const freedRoom = lastOf(held, 'reservationId');
  return (
    held.length === freed.size &&
    (freedVm === undefined || freedVm === holderId) &&
    (kind !== 'move' || freedRoom === undefined || freedRoom === movingTo)
  );
}

/** `max` of a column, which leaves null out. */
const lastOf = (rows: readonly AllocationRow[], column: 'vmId' | 'reservationId') =>
  rows
    .flatMap((row) => row[column] ?? [])
    .sort(byText)
    .at(-1);

/**
 * Whether a hard rule keeps a VM of these groups away from a host: its own rule, or that of a member
 * there. Members whose bookings it takes the place of do not count.
 */
function groupsForbid(
  tables: Tables,
  groups: readonly Membership[],
  hostId: string,
  freed: ReadonlySet<string>,
): boolean {
  return groups.some(({ key, policy }) => {
    const others: Member[] = [];
    for (const [bookingId, member] of tables.groups.get(key) ?? []) {
      if (!freed.has(bookingId)) others.push(member);
    }
    const here = others.filter((member) => member.hostId === hostId);
    const isExclusive = (member: Member) => member.policy === 'anti-affinity';
    if (here.length > 0 && (policy === 'anti-affinity' || here.some(isExclusive))) return true;
    return policy === 'affinity' && others.length > 0 && here.length === 0;
  });
}

/**
 * New VMs that are in no group and take nobody's place, when nothing stands in the way of any: these
 * the database records in one go, before the others. None, when one of them is refused.
 */
export function plainOnes(tables: Tables, items: readonly RecordItem[]): readonly RecordItem[] {
  const plain = items.filter(
    ({ kind, booking }) =>
      kind === 'create' &&
      booking.set === null &&
      booking.groups.length === 0 &&
      booking.frees.length === 0,
  );
  const ids = new Set<string>();
  const onHosts = new Map<string, Resources>();
  for (const { spec, booking } of plain) {
    if (ids.has(spec.id) || tables.vms.has(spec.id)) return [];
    if (tables.allocations.has(booking.bookingId)) return [];
    ids.add(spec.id);
    const sum = onHosts.get(booking.hostId) ?? NO_RESOURCES;
    onHosts.set(booking.hostId, sumOf(sum, booking.resources, 1));
  }
  for (const [hostId, resources] of onHosts) {
    const host = tables.hosts.get(hostId);
    if (host?.state !== 'up' || host.mode !== 'enabled') return [];
    if (roomRefusal(host.limits, host.allocated, resources) !== null) return [];
  }
  return plain;
}
