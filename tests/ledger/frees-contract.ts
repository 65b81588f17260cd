/**
 * What every ledger must keep of bookings that take the place of others: a VM that consumes a
 * reservation, a VM that moves. They happen in one step, and can be undone until they are recorded.
 */
import { beforeEach, describe, expect, it } from '@jest/globals';
import {
  book,
  bookedBy,
  bookedIn,
  bookingOf,
  factsWith,
  hostWith,
  inGroup,
  inTurn,
  membersIn,
  rebuilt,
  snapshotOf,
  type TestLedger,
} from './builders.js';

const EVERYTHING_MS = -60_000;

export function describeFrees(hand: () => TestLedger): void {
  describe('frees', () => {
    let ledger: TestLedger;
    const held = bookingOf('rsv-1', 'a', { cpu: 8 });
    const old = bookingOf('vm', 'a', { cpu: 8 }, 'old', { groups: [inGroup('anti-affinity')] });
    const room = bookingOf('rsv-2', 'b', { cpu: 8 });
    const moved = bookingOf('vm', 'b', { cpu: 8 }, 'new', {
      groups: [inGroup('anti-affinity')],
      frees: [old, room],
    });

    beforeEach(async () => {
      ledger = hand();
      await rebuilt(
        ledger,
        1,
        0,
        snapshotOf([hostWith('a', { cpu: 10 }), hostWith('b', { cpu: 10 })]),
      );
    });

    const overdue = async () =>
      (await ledger.overdueBookings(EVERYTHING_MS, 10)).map(({ bookingId }) => bookingId).sort();

    it('count as given back before it is looked whether the booking fits', async () => {
      await book(ledger, held);
      const heir = bookingOf('vm', 'a', { cpu: 9 }, 'heir', { frees: [held] });
      expect(await book(ledger, bookingOf('vm', 'a', { cpu: 9 }, 'heir'))).toEqual([
        'insufficient',
      ]);
      expect(await book(ledger, heir)).toEqual(['booked']);
      expect(await bookedBy(ledger)).toEqual({ a: { cpu: 9 }, b: {} });
      expect(await overdue()).toEqual(['heir']);
      await ledger.release([held]);
      expect(await bookedBy(ledger)).toEqual({ a: { cpu: 9 }, b: {} });
    });

    it('are taken by one booking only, and refuse the booking when they are gone', async () => {
      await book(ledger, held);
      const heir = (vmId: string) => bookingOf(vmId, 'a', { cpu: 1 }, vmId, { frees: [held] });
      expect(await book(ledger, heir('v1'), heir('v2'))).toEqual(['booked', 'freed']);
      expect(await book(ledger, heir('v3'))).toEqual(['freed']);
      const misled = { ...heir('v4'), frees: [{ ...heir('v1'), hostId: 'b' }] };
      expect(await book(ledger, misled)).toEqual(['freed']);
      await inTurn(ledger, async (turn) => {
        await turn.catchUp();
        expect(bookedIn(turn.fleet)).toEqual({ a: { cpu: 1 }, b: {} });
      });
    });

    it('stay when the booking is refused', async () => {
      await book(ledger, held);
      const tooBig = bookingOf('vm', 'a', { cpu: 11 }, 'big', { frees: [held] });
      expect(await book(ledger, tooBig)).toEqual(['insufficient']);
      expect(await bookedBy(ledger)).toEqual({ a: { cpu: 8 }, b: {} });
      expect(await overdue()).toEqual([held.bookingId]);
    });

    it('do not open a host that is closed', async () => {
      await book(ledger, held);
      const heir = bookingOf('vm', 'a', { cpu: 1 }, 'heir', { frees: [held] });
      await ledger.pushHosts([factsWith('a', { cpu: 10 }, { revision: 2, mode: 'cordoned' })]);
      expect(await book(ledger, heir)).toEqual(['closed']);
    });

    it('move a VM: its old booking goes, its id and its groups are free for the new one', async () => {
      await book(ledger, old, room);
      await ledger.commit([{ ...old, assignment: 1 }]);
      await inTurn(ledger, async (turn) => {
        const { outcomes } = await turn.book([moved]);
        expect(outcomes).toEqual([{ kind: 'booked' }]);
        expect(bookedIn(turn.fleet)).toEqual({ a: {}, b: { cpu: 8 } });
        expect(membersIn(turn.fleet, 'g')).toEqual({ g: { b: [1, 1] } });
      });
      expect(membersIn(await ledger.view(), 'g')).toEqual({ g: { b: [1, 1] } });
      expect(await overdue()).toEqual(['new']);
      expect(await book(ledger, moved)).toEqual(['booked']);
      await ledger.release([old]);
      expect(await bookedBy(ledger)).toEqual({ a: {}, b: { cpu: 8 } });
    });

    it('are not asked for by a second booking of a VM that names another place', async () => {
      await book(ledger, old, room);
      const other = bookingOf('vm', 'b', { cpu: 1 }, 'other', { frees: [room] });
      expect(await book(ledger, other)).toEqual(['taken']);
      expect(await bookedBy(ledger)).toEqual({ a: { cpu: 8 }, b: { cpu: 8 } });
    });

    it('come back, uncommitted, when the booking was never recorded', async () => {
      await book(ledger, old, room);
      await ledger.commit([
        { ...old, assignment: 1 },
        { ...room, assignment: 0 },
      ]);
      await book(ledger, moved);
      await ledger.release([moved]);
      expect(await bookedBy(ledger)).toEqual({ a: { cpu: 8 }, b: { cpu: 8 } });
      expect(membersIn(await ledger.view(), 'g')).toEqual({ g: { a: [1, 1] } });
      // Whether they still are, the catalogue knows: they are listed for whoever asks it.
      expect(await overdue()).toEqual(['old', room.bookingId].sort());
      expect(await ledger.commit([{ ...old, assignment: 1 }])).toEqual([]);
      expect(await book(ledger, moved)).toEqual(['booked']);
    });

    it('are gone for good once the booking is committed', async () => {
      await book(ledger, old, room);
      await book(ledger, moved);
      await ledger.commit([{ ...moved, assignment: 2 }]);
      await ledger.release([moved]);
      expect(await bookedBy(ledger)).toEqual({ a: {}, b: {} });
      expect(membersIn(await ledger.view(), 'g')).toEqual({ g: {} });
      expect(await overdue()).toEqual([]);
    });

    it('come back through two steps that were never recorded', async () => {
      await book(ledger, held);
      const first = bookingOf('v1', 'a', { cpu: 5 }, 'first', { frees: [held] });
      const second = bookingOf('v2', 'b', { cpu: 5 }, 'second', { frees: [first] });
      expect(await book(ledger, first)).toEqual(['booked']);
      expect(await book(ledger, second)).toEqual(['booked']);
      expect(await bookedBy(ledger)).toEqual({ a: {}, b: { cpu: 5 } });
      await ledger.release([second]);
      expect(await bookedBy(ledger)).toEqual({ a: { cpu: 5 }, b: {} });
      await ledger.release([first]);
      expect(await bookedBy(ledger)).toEqual({ a: { cpu: 8 }, b: {} });
    });
  });
}
