/**
 * One look at the books of both stores, judged: what is under way is told apart booking by booking,
 * and what has changed while it was read is left unjudged. Awaits nothing and decides no repair.
 */
import type { LedgerBooking } from '../model/ports.js';
import {
  addResources,
  NO_RESOURCES,
  subtractResources,
  withoutZeros,
  type Resources,
} from '../model/resources.js';
import type { CatalogueBooks, HeldBooking, LedgerBooks } from '../model/stores/verify.js';
import type { FindingCode, FindingSubject, VerifyFinding } from '../model/verify.js';
import type { Allocation } from '../model/vm.js';
import { GroupTable } from '../placement/group-table.js';

/** A finding of one look. */
export interface Sighting {
  readonly finding: VerifyFinding;
  /** What must not have changed for the finding to be judged: `host:<id>`, `group:<key>`, or all. */
  readonly scope: string;
  /** What must be the same in the next look, besides code and subject. */
  readonly mark: string;
  /** What the ledger would give back. */
  readonly booking?: LedgerBooking;
}

export const hostScope = (id: string): string => `host:${id}`;
export const groupScope = (key: string): string => `group:${key}`;

/** What one look compares. */
export interface Comparison {
  readonly catalogue: CatalogueBooks;
  readonly ledger: LedgerBooks;
  /** Which of the bookings that only one side showed are recorded now that both were read. */
  readonly recordedSince: ReadonlySet<string>;
  /** How long a booking may be in the ledger alone. */
  readonly bookingAgeMaxMs: number;
}

/** Ids of bookings that only one side has: the catalogue is asked about them once more. */
export function onOneSide({ allocations }: CatalogueBooks, ledger: LedgerBooks): readonly string[] {
  const alone = new Set(allocations.map(({ bookingId }) => bookingId));
  for (const { bookingId } of ledger.bookings) {
    if (!alone.delete(bookingId)) alone.add(bookingId);
  }
  return [...alone];
}

/** What is wrong with the sums that the catalogue's hosts carry. */
export function faultsOfSums({ hosts, allocations }: CatalogueBooks): readonly Sighting[] {
  const sums = sumsByHost(allocations);
  return hosts.flatMap(({ id, name, allocated }) => {
    const expected = withoutZeros(sums.get(id) ?? NO_RESOURCES);
    const off = withoutZeros(subtractResources(allocated, expected));
    if (Object.keys(off).length === 0) return [];
    const detail = 'What the host carries is not the sum of what is booked there.';
    const facts = { detail, expected, found: allocated, mark: markOf(off) };
    return [seen('host_sums', { kind: 'host', id, name }, facts)];
  });
}

/** Everything in which the ledger is not what the catalogue says, under way or not. */
export function compareBooks(comparison: Comparison): readonly Sighting[] {
  const bookings = compareBookings(comparison);
  return [
    ...bookings.sightings,
    ...compareHosts(comparison, bookings.explained),
    ...compareGroups(comparison),
  ];
}

interface ComparedBookings {
  readonly sightings: readonly Sighting[];
  /** Per host, ledger minus catalogue, of what is under way or has a finding of its own to mend it. */
  readonly explained: ReadonlyMap<string, Resources>;
}

function compareBookings(comparison: Comparison): ComparedBookings {
  const { catalogue, ledger } = comparison;
  const recorded = new Map(catalogue.allocations.map((one) => [one.bookingId, one]));
  const held = new Map(ledger.bookings.map((one) => [one.bookingId, one]));
  const freed = new Set(
    ledger.bookings.flatMap(({ frees }) => frees.map(({ bookingId }) => bookingId)),
  );
  const sightings: Sighting[] = [];
  const explained = new Map<string, Resources>();
  const add = (hostId: string, change: Resources) =>
    explained.set(hostId, addResources(explained.get(hostId) ?? NO_RESOURCES, change));
  for (const booking of ledger.bookings) {
    const allocation = recorded.get(booking.bookingId);
    if (allocation === undefined) {
      add(booking.hostId, booking.resources);
      if (!isOnItsWay(comparison, booking)) sightings.push(unrecorded(booking));
    } else if (textOf(booking) !== textOf(allocation)) {
      sightings.push(differing(booking, allocation));
    }
  }
  for (const allocation of catalogue.allocations) {
    const { bookingId, hostId, resources } = allocation;
    if (held.has(bookingId)) continue;
    const isGone = freed.has(bookingId) || !comparison.recordedSince.has(bookingId);
    if (isGone) add(hostId, subtractResources(NO_RESOURCES, resources));
    else sightings.push(missing(allocation));
  }
  return { sightings, explained };
}

/** Whether a booking that the catalogue did not show is on its way in or out. */
function isOnItsWay(comparison: Comparison, { bookingId, committed, ageMs }: HeldBooking): boolean {
  return (
    comparison.recordedSince.has(bookingId) ||
    comparison.catalogue.pendingReleases.has(bookingId) ||
    (!committed && ageMs < comparison.bookingAgeMaxMs)
  );
}

/** What both sides must say alike of a booking. */
const textOf = ({ hostId, resources, groups }: HeldBooking | Allocation): string =>
  JSON.stringify([
    hostId,
    Object.entries(withoutZeros(resources)).sort(([left], [right]) => (left < right ? -1 : 1)),
    groups.map(({ key, policy }) => `${key} ${policy}`).sort(),
  ]);

const subjectOf = ({ vmId }: { readonly vmId: string }): FindingSubject => ({
  kind: vmId.startsWith('rsv-') ? 'reservation' : 'vm',
  id: vmId,
});

const factsOfBooking = ({ bookingId, hostId, resources }: HeldBooking | Allocation) => ({
  booking: bookingId,
  host: hostId,
  ...resources,
});

const unrecorded = (booking: HeldBooking): Sighting => ({
  ...seen('booking_unrecorded', subjectOf(booking), {
    detail: 'The ledger holds room for it, and the catalogue knows of no such booking.',
    found: factsOfBooking(booking),
    scope: hostScope(booking.hostId),
    mark: booking.bookingId,
  }),
  booking,
});

const missing = (allocation: Allocation): Sighting =>
  seen('booking_missing', subjectOf(allocation), {
    detail: 'The catalogue has this booking, and the ledger does not: its room may be sold again.',
    expected: factsOfBooking(allocation),
    scope: hostScope(allocation.hostId),
    mark: allocation.bookingId,
  });

const differing = (booking: HeldBooking, allocation: Allocation): Sighting =>
  seen('booking_differs', subjectOf(allocation), {
    detail: 'Ledger and catalogue have the same booking with another host, size or group.',
    expected: factsOfBooking(allocation),
    found: factsOfBooking(booking),
    scope: hostScope(booking.hostId),
    mark: allocation.bookingId,
  });

function compareHosts(
  { catalogue, ledger }: Comparison,
  explained: ReadonlyMap<string, Resources>,
): readonly Sighting[] {
  const own = sumsByHost(ledger.bookings);
  const recorded = sumsByHost(catalogue.allocations);
  return catalogue.hosts.flatMap(({ id, name, state, mode }) => {
    const subject = { kind: 'host', id, name } as const;
    const carried = ledger.hosts.get(id);
    if (carried === undefined) {
      // One that never answered was never shown; a retired one is left out of a rebuild.
      if (state !== 'up' || mode === 'retired') return [];
      const detail = 'The host is up, and the ledger does not know it: nothing is placed there.';
      return [seen('ledger_host_missing', subject, { detail, scope: hostScope(id) })];
    }
    const sum = withoutZeros(own.get(id) ?? NO_RESOURCES);
    const expected = withoutZeros(
      addResources(recorded.get(id) ?? NO_RESOURCES, explained.get(id) ?? NO_RESOURCES),
    );
    return [
      ...unequal('ledger_sums', subject, sum, carried),
      ...unequal('ledger_drift', subject, expected, carried),
    ];
  });
}

const SUM_DETAILS = {
  ledger_sums: 'What the ledger carries for the host is not the sum of its own bookings.',
  ledger_drift: 'What the ledger carries for the host is not what the catalogue has booked there.',
} as const;

function unequal(
  code: keyof typeof SUM_DETAILS,
  subject: FindingSubject,
  expected: Resources,
  carried: Resources,
): readonly Sighting[] {
  const off = withoutZeros(subtractResources(carried, expected));
  if (Object.keys(off).length === 0) return [];
  const scope = hostScope(subject.id);
  const facts = { detail: SUM_DETAILS[code], expected, found: withoutZeros(carried), scope };
  return [seen(code, subject, { ...facts, mark: markOf(off) })];
}

/** The sums go on changing with traffic; what is off stays. */
const markOf = (off: Resources): string =>
  JSON.stringify(Object.entries(off).sort(([left], [right]) => (left < right ? -1 : 1)));

function compareGroups({ ledger }: Comparison): readonly Sighting[] {
  const counted = new GroupTable();
  const keys = new Set(ledger.groups.keys());
  for (const { groups, hostId } of ledger.bookings) {
    counted.count(groups, hostId, 1);
    for (const { key } of groups) keys.add(key);
  }
  return [...keys].flatMap((key) => {
    const expected = membersOf(counted.hostsOf(key));
    const found = membersOf(ledger.groups.get(key) ?? new Map());
    if (JSON.stringify(expected) === JSON.stringify(found)) return [];
    const detail = 'The ledger counts other members of the group than its own bookings have.';
    const facts = { detail, expected, found, scope: groupScope(key) };
    return [seen('ledger_groups', { kind: 'group', id: key }, facts)];
  });
}

/** Host → `<members>`, and how many of them nobody may join, in order of host. */
const membersOf = (
  hosts: ReadonlyMap<string, { readonly members: number; readonly exclusive: number }>,
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...hosts]
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([id, { members, exclusive }]) => [
        id,
        `${members.toString()}, ${exclusive.toString()} of them alone`,
      ]),
  );

function sumsByHost(
  bookings: readonly { readonly hostId: string; readonly resources: Resources }[],
): ReadonlyMap<string, Resources> {
  const sums = new Map<string, Record<string, number>>();
  for (const { hostId, resources } of bookings) {
    const sum = sums.get(hostId) ?? {};
    for (const [resource, amount] of Object.entries(resources)) {
      sum[resource] = (sum[resource] ?? 0) + amount;
    }
    sums.set(hostId, sum);
  }
  return sums;
}

/** @param scope judged in every look when absent */
export function seen(
  code: FindingCode,
  subject: FindingSubject,
  {
    scope = 'all',
    mark,
    ...facts
  }: Omit<VerifyFinding, 'code' | 'subject'> & {
    readonly scope?: string;
    readonly mark?: string;
  },
): Sighting {
  const { expected = {}, found = {} } = facts;
  return {
    finding: { code, subject, ...facts },
    scope,
    mark: mark ?? JSON.stringify([expected, found]),
  };
}
