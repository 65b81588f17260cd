/**
 * The verbs of verify: look, and mend what is safe to mend. What runs is never touched: the
 * catalogue is mended where it contradicts itself, and the ledger is made what the catalogue says.
 */
import type { LedgerBooking } from '../model/ports.js';
import {
  FINDING_REPAIRS,
  type FindingCode,
  type Repair,
  type VerifyFinding,
} from '../model/verify.js';
import type { Caller } from './caller.js';
import type { Sighting } from './compare-books.js';
import type { Control } from './control.js';
import { observeDrift, survey, type Survey, type VerifyPorts } from './verify.js';

export interface ReportedFinding extends VerifyFinding {
  readonly repairable: boolean;
  /** Whether it was mended; absent where nobody tried. */
  readonly repaired?: boolean;
}

export interface VerifyReport {
  readonly dryRun: boolean;
  readonly durationMs: number;
  readonly hosts: number;
  readonly bookings: number;
  /** Hosts of which the ledger could not be judged. */
  readonly unchecked: number;
  readonly findings: readonly ReportedFinding[];
}

export interface VerifyVerbs {
  /**
   * Looks at everything. One at a time: whoever comes meanwhile gets the same report.
   * @throws DomainError `ledger_unavailable`, `catalogue_unavailable`
   */
  verify(): Promise<VerifyReport>;
  /** The same, and mends what can be mended; a dry run only tells what that would be. */
  repairBooks(options: { readonly dryRun: boolean }, by: Caller): Promise<VerifyReport>;
}

export function verifyVerbs(
  ports: VerifyPorts,
  control: Pick<Control, 'rebuild'>,
  bookingLeaseMs: number,
): VerifyVerbs {
  let underWay: Promise<VerifyReport> | null = null;
  const look = async (): Promise<Survey> => {
    const found = await survey(ports, bookingLeaseMs);
    observeDrift(ports.telemetry, found.sightings.map(findingOf));
    return found;
  };
  const verify = (): Promise<VerifyReport> => {
    underWay ??= timed(ports, async () => {
      const found = await look();
      return { ...countsOf(found), dryRun: true, findings: found.sightings.map(reported) };
    }).finally(() => {
      underWay = null;
    });
    return underWay;
  };
  return {
    verify,
    async repairBooks({ dryRun }, by) {
      if (dryRun) return verify();
      return timed(ports, async () => {
        const before = await look();
        if (!before.sightings.some(isRepairable)) {
          return { ...countsOf(before), dryRun, findings: before.sightings.map(reported) };
        }
        await mend({ ports, control, by }, before.sightings);
        const after = await look();
        return { ...countsOf(after), dryRun, findings: outcomeOf(before, after) };
      });
    },
  };
}

async function timed(
  { clock }: VerifyPorts,
  work: () => Promise<Omit<VerifyReport, 'durationMs'>>,
): Promise<VerifyReport> {
  const started = clock.monotonic();
  const report = await work();
  return { ...report, durationMs: Math.round(clock.monotonic() - started) };
}

const countsOf = ({ hosts, bookings, unchecked }: Survey) => ({ hosts, bookings, unchecked });

const findingOf = ({ finding }: Sighting): VerifyFinding => finding;

const repairFor = ({ finding }: Sighting): Repair | null => FINDING_REPAIRS[finding.code];

const isRepairable = (sighting: Sighting): boolean => repairFor(sighting) !== null;

const reported = (sighting: Sighting): ReportedFinding => ({
  ...sighting.finding,
  repairable: isRepairable(sighting),
});

/** What was found before, with what became of it, and what is found only now. */
function outcomeOf(before: Survey, after: Survey): readonly ReportedFinding[] {
  const nameOf = ({ finding: { code, subject } }: Sighting) =>
    `${code} ${subject.kind} ${subject.id}`;
  const left = new Set(after.sightings.map(nameOf));
  const known = new Set(before.sightings.map(nameOf));
  return [
    ...before.sightings.map((sighting) => ({
      ...reported(sighting),
      ...(isRepairable(sighting) ? { repaired: !left.has(nameOf(sighting)) } : {}),
    })),
    ...after.sightings.filter((sighting) => !known.has(nameOf(sighting))).map(reported),
  ];
}

interface Mending {
  readonly ports: VerifyPorts;
  readonly control: Pick<Control, 'rebuild'>;
  readonly by: Caller;
}

/** The catalogue first: the ledger is then rebuilt from what is right. */
async function mend({ ports, control, by }: Mending, found: readonly Sighting[]): Promise<void> {
  const { catalogue, ledger } = ports;
  const { actor, log } = by;
  const idsFor = (repair: Repair): readonly string[] =>
    found.filter((one) => repairFor(one) === repair).map(({ finding }) => finding.subject.id);
  log.info('books are repaired', { findings: found.length });

  const overdue = idsOf(found, 'reservation_overdue');
  for (const id of overdue) await catalogue.endReservation(id, actor);
  const leftovers = idsFor('end').filter((id) => !overdue.includes(id));
  // The ledger hears of it now or from the lease loop.
  if (leftovers.length > 0) await ledger.release(await catalogue.endLeftovers(leftovers, actor));
  if (idsFor('recount').length > 0) await catalogue.recountHosts(idsFor('recount'), actor);
  if (idsFor('regroup').length > 0) await catalogue.regroup(idsFor('regroup'), actor);
  if (idsFor('renumber').length > 0) await catalogue.renumber(actor);

  if (idsFor('rebuild').length > 0) {
    await control.rebuild({ dryRun: false }, by);
    return;
  }
  const unrecorded = found.flatMap(({ booking }) => (booking === undefined ? [] : [booking]));
  if (unrecorded.length > 0) await release(ports, unrecorded, by);
}

const idsOf = (found: readonly Sighting[], code: FindingCode): readonly string[] =>
  found.filter(({ finding }) => finding.code === code).map(({ finding }) => finding.subject.id);

/** What the catalogue knows by now is no leftover any more. */
async function release(
  { catalogue, ledger }: VerifyPorts,
  bookings: readonly LedgerBooking[],
  { actor }: Caller,
): Promise<void> {
  const recorded = await catalogue.recordedBookings(bookings.map(({ bookingId }) => bookingId));
  const leftovers = bookings.filter(({ bookingId }) => !recorded.has(bookingId));
  await ledger.release(leftovers);
  await catalogue.note(
    actor,
    'books.repair',
    { kind: 'ledger', id: 'ledger' },
    { before: { bookings: leftovers.map(({ bookingId }) => bookingId) }, after: null },
  );
}
