/** How the answers of two catalogues are compared: all that can be seen, less what is each one's own. */
import { DomainError } from '../../src/model/errors.js';
import type { Catalogue, LedgerBooking } from '../../src/model/ports.js';
import type { VerifyStore } from '../../src/model/stores/verify.js';
import { byText } from '../../src/sim/catalogue/views.js';

export type Either = Catalogue & VerifyStore;

export interface Act {
  readonly name: string;
  readonly on: (catalogue: Either) => Promise<unknown>;
}

const HOUR_MS = 3_600_000;

/** Also within a sentence. */
const TIME = /\d{4}-\d{2}-\d{2}T[\d:.]+Z/g;

/** Numbers that a failed statement may burn in one of the two, and what is random. */
const OWN = new Set(['seq', 'newest', 'seed']);

/** An answer without what the two may differ in: times, keys, what is opaque. */
export function comparable(value: unknown): unknown {
  if (value instanceof Date) return 'a time';
  if (typeof value === 'string') return value.replaceAll(TIME, 'a time');
  if (value instanceof Set) return comparable([...value].sort());
  if (value instanceof Map) return comparable([...value].sort());
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, member]) => !OWN.has(key) && member !== undefined)
      .map(([key, member]) => [
        key,
        key === 'nextCursor' && member !== null ? 'a cursor' : comparable(member),
      ]),
  );
}

/** The answer, or how it failed. What is no DomainError is a refusal of the tables themselves. */
export const answerOf = async (act: Act, catalogue: Either): Promise<unknown> =>
  act
    .on(catalogue)
    .then(comparable, (error: unknown) =>
      error instanceof DomainError
        ? { code: error.code, message: error.message, extra: error.extra }
        : 'refused by the tables',
    );

const sorted = <Row>(rows: readonly Row[], keyOf: (row: Row) => string): readonly Row[] =>
  [...rows].sort((left, right) => byText(keyOf(left), keyOf(right)));

export const byBooking = (rows: readonly LedgerBooking[]): readonly LedgerBooking[] =>
  sorted(rows, ({ bookingId }) => bookingId);

/** All that can be seen of a catalogue; `after` is the last position of the look before. */
export async function lookAt(catalogue: Either, after: number): Promise<unknown> {
  let head = await catalogue.sequenceEvents();
  while (head.more) head = await catalogue.sequenceEvents();
  const { hosts, allocations } = await catalogue.snapshot();
  const range = { after, upTo: head.head.position, filter: {}, limit: 10_000 };
  const { items: audit } = await catalogue.audit({ limit: 40, cursor: null });
  const books = await catalogue.inspectBooks();
  return comparable({
    agreement: await catalogue.epoch(),
    hosts,
    allocations: byBooking(allocations),
    vms: await catalogue.vms({ limit: 10_000, cursor: null }),
    waiting: await catalogue.waitingVms(0, 1_000),
    line: await catalogue.waitingLine(),
    reservations: await catalogue.reservations({ limit: 1_000, cursor: null }),
    pending: byBooking(await catalogue.pendingReleases(0, 100_000)),
    orphans: await catalogue.orphans(),
    missing: await catalogue.missingVms(),
    drains: sorted(await catalogue.openDrains(), ({ drain }) => drain.host.id),
    // Of one statement that changes many, the order is nobody's promise; that of one thing is.
    events: sorted(await catalogue.events(range), ({ subjectId }) => subjectId).map(
      ({ position: _position, key: _key, ...event }) => event,
    ),
    audit: sorted(audit, ({ subject }) => subject.id).map(({ id: _id, ...entry }) => entry),
    books: { ...books, allocations: byBooking(books.allocations) },
    usage: await catalogue.usage(),
    amounts: (await catalogue.fleetCounts()).amounts,
    contacts: await catalogue.contacts(),
    expired: await catalogue.expiredReservations(HOUR_MS, 1_000),
  });
}
