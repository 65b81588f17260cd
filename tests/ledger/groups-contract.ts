/** What every ledger must keep of groups: hard rules, counts, and the mirrors' view of both. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import {
  allocationOf,
  book,
  bookedBy,
  bookingOf,
  factsWith,
  hostWith,
  inGroup,
  inTurn,
  membersIn,
  propose,
  rebuilt,
  snapshotOf,
  type TestLedger,
} from './builders.js';

const HOSTS = Array.from({ length: 8 }, (_, index) => `h${index.toString()}`);

const member = (vmId: string, hostId: string, ...groups: ReturnType<typeof inGroup>[]) =>
  bookingOf(vmId, hostId, { cpu: 1 }, `${vmId}-on-${hostId}`, { groups });

/** @param replicas two hands on one ledger */
export function describeGroups(replicas: () => readonly [TestLedger, TestLedger]): void {
  describe('groups', () => {
    let ledger: TestLedger;
    let other: TestLedger;

    beforeEach(async () => {
      [ledger, other] = replicas();
      await rebuilt(ledger, 1, 0, snapshotOf(HOSTS.map((id) => hostWith(id, { cpu: 100 }))));
    });

    it('keep one member a host when replicas book blindly and at once', async () => {
      const apart = inGroup('anti-affinity');
      const outcomes: string[] = [];
      const worker = async (replica: TestLedger, from: number) => {
        for (let index = from; index < 100; index += 4) {
          const host = HOSTS[index % HOSTS.length] ?? '';
          outcomes.push(...(await book(replica, member(`v${index.toString()}`, host, apart))));
        }
      };
      await Promise.all([0, 1, 2, 3].map((from) => worker(from % 2 ? ledger : other, from)));
      expect(outcomes.filter((kind) => kind === 'booked')).toHaveLength(8);
      expect(outcomes.filter((kind) => kind === 'group')).toHaveLength(92);
      expect(await bookedBy(ledger)).toEqual(
        Object.fromEntries(HOSTS.map((id) => [id, { cpu: 1 }])),
      );
      for (const replica of [ledger, other]) {
        expect(membersIn(await replica.view(), 'g')).toEqual({
          g: Object.fromEntries(HOSTS.map((id) => [id, [1, 1]])),
        });
      }
    });

    it('check hard rules in the order of a batch, and name the group', async () => {
      const apart = inGroup('anti-affinity');
      const soft = inGroup('soft-anti-affinity');
      const together = inGroup('affinity', 'near');
      const reply = await inTurn(ledger, (turn) =>
        turn.book([
          member('v1', 'h0', apart),
          member('v2', 'h0', soft),
          member('v3', 'h1', soft),
          member('v4', 'h1', soft),
          member('v5', 'h1', apart),
          member('v6', 'h2', together),
          member('v7', 'h3', together),
          member('v8', 'h2', together, inGroup('soft-affinity')),
          member('v9', 'h0', together, inGroup('soft-affinity')),
        ]),
      );
      expect(reply.outcomes).toEqual([
        { kind: 'booked' },
        { kind: 'group', key: 'root/g' },
        { kind: 'booked' },
        { kind: 'booked' },
        { kind: 'group', key: 'root/g' },
        { kind: 'booked' },
        { kind: 'group', key: 'root/near' },
        { kind: 'booked' },
        { kind: 'group', key: 'root/near' },
      ]);
      expect(membersIn(await other.view(), 'g', 'near')).toEqual({
        g: { h0: [1, 1], h1: [2, 0], h2: [1, 0] },
        near: { h2: [2, 0] },
      });
    });

    it('shows refused proposals undone in the mirror of the turn', async () => {
      const apart = inGroup('anti-affinity');
      await inTurn(ledger, async (turn) => {
        await propose(turn, [member('v1', 'h0', apart), member('v2', 'h0', apart)]);
        expect(membersIn(turn.fleet, 'g')).toEqual({ g: { h0: [1, 1] } });
        expect(membersIn(await ledger.view(), 'g')).toEqual({ g: { h0: [1, 1] } });
      });
    });

    it('are left when a booking is given back, once', async () => {
      const apart = inGroup('anti-affinity');
      const first = member('v1', 'h0', apart, inGroup('soft-affinity', 'near'));
      await book(ledger, first, member('v2', 'h1', inGroup('soft-affinity', 'near')));
      await ledger.commit([{ ...first, assignment: 1 }]);
      await Promise.all([ledger.release([first]), other.release([first])]);
      for (const replica of [ledger, other]) {
        expect(membersIn(await replica.view(), 'g', 'near')).toEqual({
          g: {},
          near: { h1: [1, 0] },
        });
      }
      expect(await book(other, member('v3', 'h0', apart))).toEqual(['booked']);
    });

    it('are brought by a rebuild, and those of the old ledger are gone', async () => {
      const apart = inGroup('anti-affinity');
      await book(ledger, member('v1', 'h0', apart), member('v2', 'h3', inGroup('affinity', 'old')));
      const standing = [
        allocationOf(member('v3', 'h1', apart)),
        allocationOf(member('v4', 'h2', inGroup('soft-affinity')), 2),
      ];
      const hosts = HOSTS.map((id) => hostWith(id, { cpu: 100 }));
      await rebuilt(other, 2, 0, snapshotOf(hosts, standing));
      for (const replica of [ledger, other]) {
        expect(membersIn(await replica.view(), 'g', 'old')).toEqual({
          g: { h1: [1, 1], h2: [1, 0] },
          old: {},
        });
      }
      expect(
        await book(
          ledger,
          member('v5', 'h1', inGroup('soft-affinity')),
          member('v6', 'h2', apart),
          member('v7', 'h0', apart),
          member('v8', 'h5', inGroup('affinity', 'old')),
        ),
      ).toEqual(['group', 'group', 'booked', 'booked']);
      await ledger.release(standing);
      expect(membersIn(await other.view(), 'g')).toEqual({ g: { h0: [1, 1] } });
    });

    it('still know of members on a retired host, which itself is out of the table', async () => {
      await book(ledger, member('v1', 'h0', inGroup('affinity')));
      await other.pushHosts([factsWith('h0', { cpu: 100 }, { revision: 2, mode: 'retired' })]);
      const late = await replicas()[1].view();
      for (const table of [await ledger.view(), late]) {
        expect(table.rowOf('h0')).toBe(-1);
        expect(table.size).toBe(HOSTS.length - 1);
        expect(membersIn(table, 'g')).toEqual({ g: { h0: [1, 0] } });
      }
      expect(await book(ledger, member('v2', 'h1', inGroup('affinity')))).toEqual(['group']);
      await ledger.pushHosts([factsWith('h0', { cpu: 100 }, { revision: 3 })]);
      const table = await other.view();
      expect(table.allocatedAt(table.rowOf('h0'))).toEqual({ cpu: 1 });
    });
  });
}
