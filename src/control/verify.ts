/**
 * Verify: what is wrong within the catalogue, within the ledger, between the two, and between the
 * records and the last reports of the agents. A fleet at work always has something under way, so
 * nothing is made of one look: a finding stands when two looks in a row had it. Changes nothing;
 * repairs are repair-books.ts.
 */
import type { Catalogue, Clock, Ledger, Log, Telemetry } from '../model/ports.js';
import type { LedgerInspection, VerifyStore } from '../model/stores/verify.js';
import { FINDING_CODES, type VerifyFinding } from '../model/verify.js';
import {
  compareBooks,
  faultsOfSums,
  groupScope,
  hostScope,
  onOneSide,
  seen,
  type Sighting,
} from './compare-books.js';

/** Time for what is under way to get on before the next look. */
const PAUSE_MS = 1_000;

/** With a host that changes in every look, or a rebuild under way, more looks tell no more. */
const LOOKS_MAX = 4;

/** How much older than its lease a booking may be: the lease loop looks every second. */
const LEASE_GRACE_MS = 5_000;

/** Bookings that one question to the catalogue may name. */
const CHUNK = 5_000;

/** Without the hosts' ports, and with what only verify may ask. */
export interface VerifyPorts {
  readonly ledger: Pick<Ledger<unknown>, 'release'> & LedgerInspection;
  readonly catalogue: Pick<
    Catalogue,
    'recordedBookings' | 'orphans' | 'missingVms' | 'endReservation' | 'note'
  > &
    VerifyStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly telemetry: Telemetry;
}

/** What stands in two looks. */
export interface Survey {
  readonly sightings: readonly Sighting[];
  readonly hosts: number;
  readonly bookings: number;
  /** Hosts whose ledger could not be judged: they changed in every look, or no ledger was believed. */
  readonly unchecked: number;
}

interface Look {
  readonly sightings: readonly Sighting[];
  /** Ids of hosts that the ledger shows otherwise than the catalogue, or not: were they judged? */
  readonly hostIds: readonly string[];
  readonly bookings: number;
  /** Whether what has this scope was judged. */
  readonly judged: (scope: string) => boolean;
}

/**
 * Looks until what was found is certain.
 * @param bookingLeaseMs how long a booking may stay unrecorded
 * @throws DomainError `ledger_unavailable`, `catalogue_unavailable`
 */
export async function survey(ports: VerifyPorts, bookingLeaseMs: number): Promise<Survey> {
  const tally = new Map<string, { readonly sighting: Sighting; readonly times: number }>();
  const checked = new Set<string>();
  for (let looks = 1; ; looks += 1) {
    const look = await lookOnce(ports, bookingLeaseMs + LEASE_GRACE_MS);
    count(tally, look);
    for (const id of look.hostIds) if (look.judged(hostScope(id))) checked.add(id);
    const unchecked = look.hostIds.filter((id) => !checked.has(id)).length;
    const isCertain = [...tally.values()].every(({ times }) => times > 1) && unchecked === 0;
    if (isCertain || looks === LOOKS_MAX) {
      const standing = [...tally.values()].filter(({ times }) => times > 1);
      return {
        sightings: standing.map(({ sighting }) => sighting),
        hosts: look.hostIds.length,
        bookings: look.bookings,
        unchecked,
      };
    }
    await ports.clock.sleep(PAUSE_MS);
  }
}

/** Shows how much is wrong, by code; also what is not. */
export function observeDrift(telemetry: Telemetry, findings: readonly VerifyFinding[]): void {
  for (const kind of FINDING_CODES) {
    const found = findings.filter(({ code }) => code === kind).length;
    telemetry.observe('berth_drift', found, { kind });
  }
}

/** What was judged in this look and not seen again is forgotten. */
function count(
  tally: Map<string, { readonly sighting: Sighting; readonly times: number }>,
  { sightings, judged }: Look,
): void {
  const now = new Map(sightings.map((sighting) => [nameOf(sighting), sighting]));
  for (const [name, { sighting }] of tally) {
    if (!now.has(name) && judged(sighting.scope)) tally.delete(name);
  }
  for (const [name, sighting] of now) {
    tally.set(name, { sighting, times: (tally.get(name)?.times ?? 0) + 1 });
  }
}

const nameOf = ({ finding: { code, subject }, mark }: Sighting): string =>
  JSON.stringify([code, subject.kind, subject.id, mark]);

async function lookOnce(ports: VerifyPorts, bookingAgeMaxMs: number): Promise<Look> {
  const { ledger, catalogue } = ports;
  // The mark comes first: a host that has not changed since shows the same to both sides.
  const mark = await ledger.mark();
  const books = await catalogue.inspectBooks();
  const held = mark === null ? null : await ledger.inspect(mark);
  const sightings = [
    ...books.faults.map(ofCatalogue),
    ...faultsOfSums(books),
    ...(await faultsOfReports(ports)),
  ];
  const hostIds = books.hosts.filter(({ mode }) => mode !== 'retired').map(({ id }) => id);
  const counts = { hostIds, bookings: books.allocations.length };
  const { agreement } = books;
  if (
    mark === null ||
    held === null ||
    mark.incarnation !== agreement.incarnation ||
    mark.epoch !== agreement.epoch ||
    held.seq < agreement.highWater
  ) {
    const judged = (scope: string) => scope === 'all';
    return { ...counts, sightings: [...sightings, UNSETTLED], judged };
  }
  const recordedSince = await recordedAmong(ports, onOneSide(books, held));
  const unjudged = new Set([
    ...[...held.changedHosts].map(hostScope),
    ...[...held.changedGroups].map(groupScope),
  ]);
  const judged = (scope: string) => !unjudged.has(scope);
  const drift = compareBooks({ catalogue: books, ledger: held, recordedSince, bookingAgeMaxMs });
  return {
    ...counts,
    sightings: [...sightings, ...drift.filter(({ scope }) => judged(scope))],
    judged,
  };
}

const UNSETTLED: Sighting = seen(
  'ledger_unsettled',
  { kind: 'ledger', id: 'ledger' },
  { detail: 'The ledger is not the one that was agreed on, or was replaced while it was read.' },
);

const ofCatalogue = ({ code, subject, ...facts }: VerifyFinding): Sighting =>
  seen(code, subject, facts);

async function recordedAmong(
  { catalogue }: VerifyPorts,
  bookingIds: readonly string[],
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (let from = 0; from < bookingIds.length; from += CHUNK) {
    const recorded = await catalogue.recordedBookings(bookingIds.slice(from, from + CHUNK));
    for (const id of recorded.keys()) found.add(id);
  }
  return found;
}

/** What reconcile has made of the agents' reports: two in a row have said it already. */
async function faultsOfReports({ catalogue }: VerifyPorts): Promise<readonly Sighting[]> {
  const [orphans, missing] = await Promise.all([catalogue.orphans(), catalogue.missingVms()]);
  return [
    ...missing.map(({ vm, host }) =>
      seen(
        'vm_absent',
        { kind: 'vm', id: vm.id, name: vm.name },
        {
          detail: `It is recorded on ${host.name}, and two reports of that host in a row did not name it.`,
          expected: { host: host.id },
        },
      ),
    ),
    ...orphans.map(({ vmId, host, recordedOn, assignment }) =>
      seen(
        'vm_orphan',
        { kind: 'vm', id: vmId },
        {
          detail: `${host.name} has it, and it is not recorded there: adopt or destroy it.`,
          ...(recordedOn === null ? {} : { expected: { host: recordedOn.id } }),
          found: { host: host.id, assignment },
        },
      ),
    ),
  ];
}
