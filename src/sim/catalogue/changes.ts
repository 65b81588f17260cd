/** What a rebuild reads of the double: bookings page by page, and what has changed since an instant. */
import type { Host } from '../../model/host.js';
import type { Catalogue } from '../../model/ports.js';
import type { AllocationRow } from './rows.js';
import { answered, pairKey, type Tables } from './tables.js';
import { allocationOf, byText, hostOf } from './views.js';

type ChangesPart = Pick<
  Catalogue,
  'mark' | 'bookings' | 'changesSince' | 'changedHosts' | 'bookedSums' | 'purgeEnded'
>;

export const changesOf = (tables: Tables): ChangesPart => ({
  mark: () => answered(tables, () => tables.changeCount.toString()),

  bookings: ({ limit, cursor }) =>
    answered(tables, () => {
      const rows = [...tables.allocations.rows()]
        .filter((row) => cursor === null || byText(placeOf(row), cursor) > 0)
        .sort((left, right) => byText(placeOf(left), placeOf(right)))
        .slice(0, limit);
      const last = rows.length < limit ? undefined : rows.at(-1);
      return {
        items: rows.map(allocationOf),
        nextCursor: last === undefined ? null : placeOf(last),
      };
    }),

  changesSince: (mark, revisions) =>
    answered(tables, () => {
      const changed = [...tables.bookingChanges.values()].filter(
        ({ count }) => count > Number(mark),
      );
      return {
        mark: tables.changeCount.toString(),
        hosts: changedHosts(tables, revisions),
        gone: changed
          .map(({ booking }) => booking)
          .filter(({ bookingId }) => !tables.allocations.has(bookingId)),
        allocations: changed.flatMap(({ booking }) => {
          const row = tables.allocations.get(booking.bookingId);
          return row === undefined ? [] : [allocationOf(row)];
        }),
      };
    }),

  changedHosts: (revisions, limit) =>
    answered(tables, () => changedHosts(tables, revisions, limit)),

  bookedSums: () =>
    answered(tables, () => {
      const hosts = [...tables.hosts.rows()].filter(({ mode }) => mode !== 'retired');
      return new Map(hosts.map(({ id, allocated }) => [id, allocated]));
    }),

  purgeEnded: (olderThanMs) =>
    answered(tables, () => {
      const before = tables.now() - olderThanMs;
      let purged = 0;
      for (const [bookingId, { atMs }] of tables.bookingChanges) {
        if (atMs >= before || tables.allocations.has(bookingId)) continue;
        tables.bookingChanges.delete(bookingId);
        purged += 1;
      }
      return purged;
    }),
});

const changedHosts = (
  tables: Tables,
  revisions: ReadonlyMap<string, number>,
  limit = Infinity,
): readonly Host[] =>
  [...tables.hosts.rows()]
    .filter(({ id, mode }) => mode !== 'retired' || revisions.has(id))
    .filter(({ id, revision }) => revisions.get(id) !== revision)
    .sort((left, right) => left.seq - right.seq)
    .slice(0, limit)
    .map((row) => hostOf(tables, row));

const placeOf = ({ hostId, bookingId }: AllocationRow): string => pairKey(hostId, bookingId);
