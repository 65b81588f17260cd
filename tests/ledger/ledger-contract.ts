/**
 * What every ledger must do, whatever it is made of. Holds nothing that only Redis has; see
 * ledger.test.ts for that.
 */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  allocationOf,
  book,
  bookedBy,
  bookedIn,
  bookingOf,
  factsWith,
  hostWith,
  inTurn,
  propose,
  rebuilt,
  snapshotOf,
  type TestLedger,
} from './builders.js';
import { describeFrees } from './frees-contract.js';
import { describeGroups } from './groups-contract.js';
import { describeInspection, type InspectedLedger } from './inspection-contract.js';
import { checkAgainstModel } from './ledger-model.js';
import { describeSets } from './sets-contract.js';

export interface LedgerFixture {
  /** Another replica's hand on the same ledger. */
  open(): Promise<InspectedLedger>;
  /** Forgets everything and closes what was opened. */
  reset(): Promise<void>;
}

const EVERYTHING_MS = -60_000;

export function describeLedgerContract(name: string, fixture: () => LedgerFixture): void {
  describe(`${name}: contract`, () => {
    let ledger: InspectedLedger;
    let other: TestLedger;

    beforeEach(async () => {
      ledger = await fixture().open();
      other = await fixture().open();
    });
    afterEach(() => fixture().reset());

    describe('before any rebuild', () => {
      it('has no incarnation and decides nothing', async () => {
        expect(await ledger.state()).toEqual({ incarnation: null, epoch: 0, seq: 0 });
        const refusal = { code: 'ledger_rebuilding', retryAfterS: 1 };
        await expect(ledger.openTurn()).rejects.toMatchObject(refusal);
        await expect(ledger.view()).rejects.toMatchObject(refusal);
        expect(await ledger.totals()).toEqual(new Map());
      });

      it('takes no hosts and gives nothing back', async () => {
        await ledger.pushHosts([factsWith('a', { cpu: 4 })]);
        await ledger.release([bookingOf('vm', 'a', { cpu: 1 })]);
        await rebuilt(ledger, 1, 0, snapshotOf([]));
        expect(await ledger.totals()).toEqual(new Map());
      });
    });

    describe('replace', () => {
      it('brings hosts and allocations, and goes on after the high-water mark', async () => {
        const standing = allocationOf(bookingOf('vm', 'a', { cpu: 3, memory: 10 }));
        const hosts = [hostWith('a', { cpu: 4, memory: 20 }), hostWith('b', { cpu: 4 })];
        expect(await rebuilt(ledger, 7, 41, snapshotOf(hosts, [standing]))).toEqual(
          expect.any(String),
        );
        const state = await other.state();
        expect(state).toMatchObject({ epoch: 7, seq: 42 });
        expect(state.incarnation).toEqual(expect.any(String));
        expect(bookedIn(await other.view())).toEqual({ a: { cpu: 3, memory: 10 }, b: {} });
        expect(await other.overdueBookings(EVERYTHING_MS, 10)).toEqual([]);
        expect(await book(other, bookingOf('vm', 'b', { cpu: 1 }, 'another'))).toEqual(['taken']);
      });

      it('refuses an epoch that is not newer', async () => {
        expect(await rebuilt(ledger, 2, 0, snapshotOf([hostWith('a', { cpu: 1 })]))).toEqual(
          expect.any(String),
        );
        const before = await ledger.state();
        expect(await rebuilt(other, 2, 0, snapshotOf([]))).toBeNull();
        expect(await rebuilt(other, 1, 0, snapshotOf([]))).toBeNull();
        expect(await other.state()).toEqual(before);
        expect(await bookedBy(other)).toEqual({ a: {} });
      });

      it('shuts out a turn that was opened on the old ledger', async () => {
        await rebuilt(ledger, 1, 0, snapshotOf([hostWith('a', { cpu: 9 })]));
        await inTurn(ledger, async (turn) => {
          await rebuilt(other, 2, 0, snapshotOf([hostWith('a', { cpu: 9 })]));
          await expect(propose(turn, [bookingOf('vm', 'a', { cpu: 1 })])).rejects.toMatchObject({
            code: 'ledger_rebuilding',
          });
          await turn.catchUp();
          expect(turn.epoch).toBe(2);
          expect(bookedIn(turn.fleet)).toEqual({ a: {} });
        });
        expect(await bookedBy(ledger)).toEqual({ a: {} });
      });
    });

    describe('booking', () => {
      beforeEach(async () => {
        await rebuilt(
          ledger,
          1,
          0,
          snapshotOf([
            hostWith('a', { cpu: 50, memory: 1_000 }),
            hostWith('b', { cpu: 50, memory: 1_000 }),
            hostWith('shut', { cpu: 50 }, { mode: 'cordoned' }),
          ]),
        );
      });

      it('is exact at the limit when two replicas ask for twice as much as there is', async () => {
        // Nobody looks at the mirror first: what is refused, the script has refused.
        const request = (index: number) =>
          bookingOf(`vm-${index.toString()}`, index % 4 < 2 ? 'a' : 'b', { cpu: 1, memory: 7 });
        const outcomes: string[] = [];
        const worker = async (replica: TestLedger, from: number) => {
          for (let index = from; index < 200; index += 8) {
            outcomes.push(...(await book(replica, request(index), request(index + 4))));
          }
        };
        await Promise.all([0, 1, 2, 3].map((from) => worker(from % 2 ? ledger : other, from)));
        expect(outcomes).toHaveLength(200);
        expect(outcomes.filter((kind) => kind === 'booked')).toHaveLength(100);
        expect(outcomes.filter((kind) => kind === 'insufficient')).toHaveLength(100);
        const full = { cpu: 50, memory: 350 };
        expect(await bookedBy(ledger)).toEqual({ a: full, b: full, shut: {} });
        for (const replica of [ledger, other]) {
          expect(bookedIn(await replica.view())).toEqual({ a: full, b: full, shut: {} });
        }
      });

      it('counts a repeat once and refuses a second booking of the VM', async () => {
        const first = bookingOf('vm', 'a', { cpu: 2 });
        const second = bookingOf('vm', 'b', { cpu: 2 }, 'second');
        expect(await book(ledger, first, first, second)).toEqual(['booked', 'booked', 'taken']);
        expect(await book(other, first)).toEqual(['booked']);
        expect(await book(other, second)).toEqual(['taken']);
        expect(await bookedBy(ledger)).toEqual({ a: { cpu: 2 }, b: {}, shut: {} });
      });

      it('books wholly or not at all and says what is short', async () => {
        await book(ledger, bookingOf('big', 'a', { cpu: 48, memory: 1 }));
        const reply = await inTurn(other, (turn) =>
          propose(turn, [
            bookingOf('v1', 'a', { memory: 100, cpu: 3 }),
            bookingOf('v2', 'a', { memory: 100, cpu: 2 }),
            bookingOf('v3', 'a', { gpu: 1 }),
            bookingOf('v4', 'a', { gpu: 0, memory: 1 }),
          ]),
        );
        expect(reply.outcomes).toEqual([
          { kind: 'insufficient', resource: 'cpu', requested: 3, used: 48, limit: 50 },
          { kind: 'booked' },
          { kind: 'insufficient', resource: 'gpu', requested: 1, used: 0, limit: 0 },
          { kind: 'booked' },
        ]);
        const booked = { a: { cpu: 50, memory: 102 }, b: {}, shut: {} };
        expect(await bookedBy(ledger)).toEqual(booked);
        expect(reply.seq).toBe((await ledger.state()).seq);
      });

      it('refuses hosts that are closed or not known', async () => {
        expect(
          await book(
            ledger,
            bookingOf('v1', 'shut', { cpu: 1 }),
            bookingOf('v2', 'no', { cpu: 1 }),
          ),
        ).toEqual(['closed', 'closed']);
        expect(await bookedBy(ledger)).toEqual({ a: {}, b: {}, shut: {} });
      });

      it('shows refusals undone in the mirror of the turn', async () => {
        await inTurn(ledger, async (turn) => {
          await propose(turn, [
            bookingOf('v1', 'a', { cpu: 40 }),
            bookingOf('v2', 'a', { cpu: 40 }),
            bookingOf('v3', 'shut', { cpu: 1 }),
          ]);
          expect(bookedIn(turn.fleet)).toEqual({ a: { cpu: 40 }, b: {}, shut: {} });
        });
      });

      it('keeps proposals of a turn out of the view, and the view out of the turn', async () => {
        await inTurn(ledger, async (turn) => {
          turn.fleet.book(turn.fleet.rowOf('a'), { cpu: 5 });
          expect(bookedIn(await ledger.view())).toEqual({ a: {}, b: {}, shut: {} });
          expect(bookedIn(turn.fleet)).toMatchObject({ a: { cpu: 5 } });
          await turn.book([bookingOf('vm', 'a', { cpu: 5 })]);
          expect(bookedIn(await ledger.view())).toMatchObject({ a: { cpu: 5 } });
        });
      });

      it('hands the lock from one replica to the other', async () => {
        const order: string[] = [];
        const turn = await ledger.openTurn();
        const waiting = other.openTurn().then((later) => {
          order.push('other');
          return later.end();
        });
        await turn.book([bookingOf('vm', 'a', { cpu: 1 })]);
        order.push('first');
        await turn.end();
        await waiting;
        expect(order).toEqual(['first', 'other']);
      });

      it('tells the holder of the lock that another replica wants it', async () => {
        const turn = await ledger.openTurn();
        expect(turn.isWanted).toBe(false);
        await turn.catchUp();
        expect(turn.isWanted).toBe(false);
        const waiting = other.openTurn();
        const end = Date.now() + 20_000;
        while (!turn.isWanted && Date.now() < end) await turn.catchUp();
        expect(turn.isWanted).toBe(true);
        await turn.end();
        await (await waiting).end();
      });

      it('refuses to book after the end of the turn', async () => {
        const turn = await ledger.openTurn();
        await turn.end();
        await turn.end();
        await expect(turn.book([bookingOf('vm', 'a', { cpu: 1 })])).rejects.toMatchObject({
          code: 'ledger_unavailable',
        });
        expect(await bookedBy(ledger)).toMatchObject({ a: {} });
      });

      it('keeps amounts up to the largest safe integer exact', async () => {
        const most = Number.MAX_SAFE_INTEGER;
        await ledger.pushHosts([factsWith('wide', { disk_io: most })]);
        await book(ledger, bookingOf('v1', 'wide', { disk_io: most - 1 }));
        const reply = await inTurn(other, (turn) =>
          propose(turn, [bookingOf('v2', 'wide', { disk_io: 2 })]),
        );
        expect(reply.outcomes).toEqual([
          {
            kind: 'insufficient',
            resource: 'disk_io',
            requested: 2,
            used: most - 1,
            limit: most,
          },
        ]);
        expect(bookedIn(await other.view())).toMatchObject({ wide: { disk_io: most - 1 } });
        await ledger.release([bookingOf('v1', 'wide', { disk_io: most - 1 })]);
        expect(await bookedBy(ledger)).toMatchObject({ wide: {} });
      });
    });

    describe('release and commit', () => {
      beforeEach(() => rebuilt(ledger, 1, 0, snapshotOf([hostWith('a', { cpu: 10, memory: 10 })])));

      it('gives back once', async () => {
        const gone = bookingOf('v1', 'a', { cpu: 2, memory: 3 });
        const stays = bookingOf('v2', 'a', { cpu: 1 });
        await book(ledger, gone, stays);
        await ledger.release([gone]);
        const { seq } = await ledger.state();
        await Promise.all([ledger.release([gone, gone]), other.release([gone])]);
        expect(await bookedBy(ledger)).toEqual({ a: { cpu: 1 } });
        expect((await ledger.state()).seq).toBe(seq);
        expect(await book(other, bookingOf('v1', 'a', { cpu: 9 }, 'again'))).toEqual(['booked']);
      });

      it('leaves a later booking of the same VM alone', async () => {
        const older = bookingOf('vm', 'a', { cpu: 2 });
        const newer = bookingOf('vm', 'a', { cpu: 5 }, 'newer');
        await book(ledger, older);
        await ledger.release([older]);
        await book(ledger, newer);
        await other.release([older]);
        expect(await bookedBy(ledger)).toEqual({ a: { cpu: 5 } });
      });

      it('gives back what was committed', async () => {
        const booking = bookingOf('vm', 'a', { cpu: 2 });
        await book(ledger, booking);
        await ledger.commit([{ ...booking, assignment: 5 }]);
        await ledger.release([booking]);
        expect(await bookedBy(ledger)).toEqual({ a: {} });
      });

      it('lists what was never committed, oldest first, up to the limit', async () => {
        const [first, second, third] = ['v1', 'v2', 'v3'].map((id) =>
          bookingOf(id, 'a', { cpu: 1 }),
        );
        if (!first || !second || !third) throw new Error('three bookings');
        await book(ledger, first, second, third);
        await ledger.commit([
          { ...second, assignment: 1 },
          { ...third, bookingId: 'unknown', assignment: 2 },
        ]);
        const name = ({ bookingId, vmId, hostId }: typeof first) => ({ bookingId, vmId, hostId });
        expect(await other.overdueBookings(EVERYTHING_MS, 10)).toEqual([name(first), name(third)]);
        expect(await other.overdueBookings(EVERYTHING_MS, 1)).toEqual([name(first)]);
        expect(await other.overdueBookings(60_000, 10)).toEqual([]);
        await ledger.release([first]);
        expect(await other.overdueBookings(EVERYTHING_MS, 10)).toEqual([name(third)]);
      });
    });

    describe('hosts', () => {
      beforeEach(() => rebuilt(ledger, 1, 0, snapshotOf([hostWith('a', { cpu: 10, gpu: 2 })])));

      it('shows new and changed hosts to views and to a turn that is open', async () => {
        await ledger.view();
        await inTurn(ledger, async (turn) => {
          await other.pushHosts([
            factsWith('b', { cpu: 3 }, { zone: 'north' }),
            factsWith('a', { cpu: 10, gpu: 2 }, { revision: 2, state: 'suspect' }),
          ]);
          await turn.catchUp();
          for (const table of [turn.fleet, await ledger.view()]) {
            expect(table.size).toBe(2);
            expect(table.factsAt(table.rowOf('b'))).toMatchObject({ zone: 'north' });
            expect(table.open[table.rowOf('a')]).toBe(0);
          }
        });
        const [closed] = await book(ledger, bookingOf('vm', 'a', { cpu: 1 }));
        expect(closed).toBe('closed');
      });

      it('never lets an older revision replace a newer one', async () => {
        await ledger.pushHosts([factsWith('a', { cpu: 4 }, { revision: 5 })]);
        const { seq } = await ledger.state();
        await other.pushHosts([
          factsWith('a', { cpu: 8 }, { revision: 4 }),
          factsWith('a', { cpu: 8 }, { revision: 5 }),
        ]);
        expect((await ledger.state()).seq).toBe(seq);
        const table = await other.view();
        expect(table.factsAt(table.rowOf('a'))).toMatchObject({ revision: 5, limits: { cpu: 4 } });
      });

      it('takes nothing new where a limit shrank or a class vanished', async () => {
        await book(ledger, bookingOf('v1', 'a', { cpu: 8, gpu: 1 }));
        await ledger.pushHosts([factsWith('a', { cpu: 5 }, { revision: 2 })]);
        const [v2, v3] = [bookingOf('v2', 'a', { cpu: 1 }), bookingOf('v3', 'a', { memory: 1 })];
        expect(await book(ledger, v2, v3)).toEqual(['closed', 'closed']);
        expect(await bookedBy(ledger)).toEqual({ a: { cpu: 8, gpu: 1 } });
        for (const replica of [ledger, other]) expect((await replica.view()).open[0]).toBe(0);
        // It recovers by itself: what was booked goes, or the limit grows again.
        await other.release([bookingOf('v1', 'a', { cpu: 8, gpu: 1 })]);
        expect((await ledger.view()).open[0]).toBe(1);
        expect(await book(ledger, v2)).toEqual(['booked']);
      });
    });

    describeGroups(() => [ledger, other]);
    describeSets(() => ledger);
    describeFrees(() => ledger);
    describeInspection(() => ledger);

    it('agrees with a naive model after any sequence of operations', async () => {
      await checkAgainstModel([ledger, other]);
    });
  });
}
