/** What every ledger must tell `verify`: all that it holds, and what has changed since a mark. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { LedgerInspection, LedgerMark } from '../../src/model/stores/verify.js';
import {
  book,
  bookingOf,
  factsWith,
  hostWith,
  inGroup,
  rebuilt,
  snapshotOf,
  type TestLedger,
} from './builders.js';

export type InspectedLedger = TestLedger & LedgerInspection;

export function describeInspection(hand: () => InspectedLedger): void {
  describe('inspection', () => {
    let ledger: InspectedLedger;
    let mark: LedgerMark;

    beforeEach(async () => {
      ledger = hand();
      const hosts = [hostWith('a', { cpu: 10 }), hostWith('b', { cpu: 10 })];
      await rebuilt(ledger, 1, 0, snapshotOf(hosts));
      const found = await ledger.mark();
      if (found === null) throw new Error('there is a ledger');
      mark = found;
    });

    it('marks the ledger that is there', async () => {
      expect(mark).toMatchObject(await ledger.state());
    });

    it('shows bookings, sums and groups, and which of them have changed', async () => {
      const groups = [inGroup('affinity')];
      await book(ledger, bookingOf('v1', 'a', { cpu: 3 }, 'v1-first', { groups }));
      const books = await ledger.inspect(mark);
      expect(books?.hosts).toEqual(new Map(Object.entries({ a: { cpu: 3 }, b: {} })));
      expect(books?.bookings).toMatchObject([
        { vmId: 'v1', hostId: 'a', resources: { cpu: 3 }, committed: false, frees: [] },
      ]);
      expect(books?.changedHosts).toEqual(new Set(['a']));
      expect([...(books?.groups.values() ?? [])]).toEqual([
        new Map([['a', { members: 1, exclusive: 0 }]]),
      ]);
      expect(books?.changedGroups).toEqual(new Set(books?.groups.keys()));
      expect(books?.seq).toBe((await ledger.state()).seq);
    });

    it('names a host that has new facts', async () => {
      await ledger.pushHosts([{ ...factsWith('b', { cpu: 20 }), revision: 99 }]);
      expect((await ledger.inspect(mark))?.changedHosts.has('b')).toBe(true);
    });

    it('tells nothing of a ledger that was replaced since', async () => {
      await rebuilt(ledger, 2, 0, snapshotOf([]));
      expect(await ledger.inspect(mark)).toBeNull();
    });
  });
}
