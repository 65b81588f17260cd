/** What every ledger must keep of sets: bookings that are made all or none. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Resources } from '../../src/model/resources.js';
import {
  book,
  bookedBy,
  bookedIn,
  bookingOf,
  hostWith,
  inGroup,
  inTurn,
  membersIn,
  propose,
  rebuilt,
  snapshotOf,
  type TestLedger,
} from './builders.js';

const inSet = (set: string | null, vmId: string, hostId: string, resources: Resources) =>
  bookingOf(vmId, hostId, resources, `${vmId}-first`, { set });

export function describeSets(hand: () => TestLedger): void {
  describe('sets', () => {
    let ledger: TestLedger;

    beforeEach(async () => {
      ledger = hand();
      await rebuilt(
        ledger,
        1,
        0,
        snapshotOf([hostWith('a', { cpu: 10 }), hostWith('b', { cpu: 10 })]),
      );
    });

    it('are booked whole when all fit', async () => {
      expect(
        await book(ledger, inSet('s', 'v1', 'a', { cpu: 4 }), inSet('s', 'v2', 'b', { cpu: 10 })),
      ).toEqual(['booked', 'booked']);
    });

    it('are refused whole; the others of the batch find the room that they would have taken', async () => {
      const bookings = [
        inSet('s', 'v1', 'a', { cpu: 8 }),
        inSet(null, 'v2', 'a', { cpu: 6 }),
        inSet('s', 'v3', 'b', { cpu: 11 }),
        inSet('t', 'v4', 'b', { cpu: 5 }),
        inSet('t', 'v5', 'b', { cpu: 5 }),
      ];
      await inTurn(ledger, async (turn) => {
        const { outcomes } = await propose(turn, bookings);
        expect(outcomes.map(({ kind }) => kind)).toEqual([
          'set',
          'booked',
          'insufficient',
          'booked',
          'booked',
        ]);
        expect(bookedIn(turn.fleet)).toEqual({ a: { cpu: 6 }, b: { cpu: 10 } });
      });
      expect(await bookedBy(ledger)).toEqual({ a: { cpu: 6 }, b: { cpu: 10 } });
      const names = (await ledger.overdueBookings(-60_000, 10)).map(({ vmId }) => vmId);
      expect(names.sort()).toEqual(['v2', 'v4', 'v5']);
    });

    it('leave no trace of groups and of places that they would have taken', async () => {
      const reservation = bookingOf('rsv-1', 'a', { cpu: 5 });
      await book(ledger, reservation);
      const { seq } = await ledger.state();
      const heir = {
        ...inSet('s', 'v1', 'a', { cpu: 5 }),
        frees: [reservation],
        groups: [inGroup('anti-affinity')],
      };
      const twin = { ...inSet('s', 'v2', 'a', { cpu: 1 }), groups: [inGroup('anti-affinity')] };
      expect(await book(ledger, heir, twin)).toEqual(['set', 'group']);
      expect((await ledger.state()).seq).toBe(seq);
      expect(await bookedBy(ledger)).toEqual({ a: { cpu: 5 }, b: {} });
      expect(membersIn(await ledger.view(), 'g')).toEqual({ g: {} });
      expect(await book(ledger, heir)).toEqual(['booked']);
    });

    it('tell of each what is wrong with it', async () => {
      await book(ledger, bookingOf('v2', 'b', { cpu: 1 }));
      expect(
        await book(
          ledger,
          inSet('s', 'v1', 'no', { cpu: 1 }),
          { ...inSet('s', 'v2', 'a', { cpu: 1 }), bookingId: 'another' },
          inSet('s', 'v3', 'a', { cpu: 11 }),
          inSet('s', 'v4', 'a', { cpu: 1 }),
        ),
      ).toEqual(['closed', 'taken', 'insufficient', 'set']);
    });
  });
}
