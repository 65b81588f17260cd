/** Reads all that the double's ledger holds, for `verify`: the part beside its port. */
import type { GroupCount } from '../model/groups.js';
import type { Clock } from '../model/ports.js';
import type { HeldBooking, LedgerInspection } from '../model/stores/verify.js';
import type { LedgerBooks } from './ledger-books.js';
import type { Link } from './link.js';

export const inspectionOf = (books: LedgerBooks, link: Link, clock: Clock): LedgerInspection => ({
  mark: () =>
    link('mark', () => {
      const { incarnation, epoch, seq } = books.state;
      if (incarnation === null) return null;
      return { incarnation, epoch, seq, entryId: books.readAll().stamp.toString() };
    }),
  inspect: (since) =>
    link('inspect', () => {
      const { incarnation, seq, entries } = books.read(Number(since.entryId), false);
      if (incarnation !== since.incarnation || entries?.length !== seq - since.seq) return null;
      const all = books.readAll();
      return {
        seq,
        hosts: new Map(all.used),
        bookings: bookingsIn(books, clock.now()),
        groups: byGroup(all.groups),
        changedHosts: new Set(entries.flatMap(({ used }) => used.map(([id]) => id))),
        changedGroups: new Set(entries.flatMap(({ groups }) => groups.map(([key]) => key))),
      };
    }),
});

const bookingsIn = (books: LedgerBooks, nowMs: number): readonly HeldBooking[] =>
  [...books.held.values()].map(({ displaced, atMs, ...held }) => ({
    ...held,
    ageMs: Math.max(0, nowMs - atMs),
    frees: displaced,
  }));

function byGroup(
  entries: readonly (readonly [key: string, hostId: string, count: GroupCount])[],
): ReadonlyMap<string, ReadonlyMap<string, GroupCount>> {
  const groups = new Map<string, Map<string, GroupCount>>();
  for (const [key, hostId, count] of entries) {
    const where = groups.get(key) ?? new Map<string, GroupCount>();
    groups.set(key, where.set(hostId, count));
  }
  return groups;
}
