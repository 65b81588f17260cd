/** Reservations: how they are made, listed, consumed by a VM or a move, and how they end. */
import { describe, expect, it } from '@jest/globals';
import type { LedgerBooking, RecordItem } from '../../src/model/ports.js';
import type { Reservation } from '../../src/model/reservation.js';
import type { Host } from '../../src/model/host.js';
import { TESTER } from '../support/callers.js';
import {
  expectBalanced,
  fresh,
  hostNow,
  itemFor,
  outcomeKinds,
  placedVm,
  recordAll,
  take,
  upHost,
} from './builders.js';
import type { Subject } from './catalogue-contract.js';

const HOUR_MS = 3_600_000;

const bookingOf = ({ id, bookingId, host }: Reservation): LedgerBooking => ({
  bookingId,
  vmId: id,
  hostId: host.id,
});

export function describeReservations(subject: Subject): void {
  async function reserved(
    host: Host,
    changes: Parameters<typeof itemFor>[1] = {},
    reservation: RecordItem['reservation'] = {
      purpose: 'held',
      endsInMs: HOUR_MS,
    },
  ): Promise<Reservation> {
    const item = { ...itemFor(host, { ...changes, kind: 'reserve' }), reservation };
    const [outcome] = await recordAll(subject(), [item]);
    if (outcome?.kind !== 'reserved') throw new Error(`not reserved: ${outcome?.kind ?? ''}`);
    return outcome.reservation;
  }

  const kindsOf = async (items: readonly RecordItem[]) =>
    outcomeKinds(await recordAll(subject(), items));

  describe('reservations', () => {
    it('holds room without a VM until it ends, once', async () => {
      const host = await upHost(subject(), { cpu: 2, memory: 2, disk: 2 });
      const groups = [{ key: `root/${fresh('group')}`, policy: 'anti-affinity' as const }];
      const held = await reserved(host, { resources: { cpu: 2 }, groups });
      expect(await subject().reservation(held.id)).toEqual(held);
      expect(held).toMatchObject({ purpose: 'held', host: { id: host.id, name: host.name } });
      expect(await kindsOf([itemFor(host, { resources: { cpu: 1 } })])).toEqual(['over_limit']);
      expect(await kindsOf([itemFor(host, { resources: { disk: 1 }, groups })])).toEqual(['group']);
      const { allocations } = await subject().snapshot();
      expect(allocations).toContainEqual(
        expect.objectContaining({
          bookingId: held.bookingId,
          vmId: held.id,
          assignment: 0,
          groups,
        }),
      );
      expect((await subject().recordedBookings([held.bookingId])).get(held.bookingId)).toBe(0);

      expect(await subject().endReservation(held.id, TESTER)).toEqual(bookingOf(held));
      expect(await subject().endReservation(held.id, TESTER)).toBeNull();
      expect(await subject().reservation(held.id)).toBeNull();
      expect(await subject().pendingReleases(0, 1_000)).toContainEqual(bookingOf(held));
      expect((await hostNow(subject(), host.id)).allocated).toEqual({});
      await expectBalanced(subject(), [host.id]);
    });

    it('answers a repeat as it did, and gives an id once', async () => {
      const host = await upHost(subject());
      const item = itemFor(host, { kind: 'reserve' });
      const first = await recordAll(subject(), [item]);
      expect(await recordAll(subject(), [item])).toEqual(first);
      expect(await kindsOf([itemFor(host, { kind: 'reserve', vmId: item.spec.id })])).toEqual([
        'taken',
      ]);
    });

    it('lists what somebody asked for, page by page, and no moves', async () => {
      const host = await upHost(subject());
      const made = [await reserved(host), await reserved(host), await reserved(host)];
      const move = await reserved(host, {}, { purpose: 'move', endsInMs: null });
      const seen: string[] = [];
      let cursor: string | null = null;
      do {
        const page: Awaited<ReturnType<ReturnType<Subject>['reservations']>> =
          await subject().reservations({ limit: 2, cursor });
        expect(page.items.length).toBeLessThanOrEqual(2);
        seen.push(...page.items.map(({ id }) => id));
        cursor = page.nextCursor;
      } while (cursor !== null);
      expect(seen.filter((id) => made.some((one) => one.id === id))).toEqual(
        made.map(({ id }) => id),
      );
      expect(seen).not.toContain(move.id);
      expect(await subject().reservation(move.id)).toEqual(move);
    });

    it('names those whose time is over, and moves that no VM is on', async () => {
      const host = await upHost(subject());
      const over = await reserved(host, {}, { purpose: 'held', endsInMs: -1_000 });
      const lasting = await reserved(host);
      const move = await reserved(host, {}, { purpose: 'move', endsInMs: null });
      const soon = await subject().expiredReservations(HOUR_MS, 1_000);
      expect(soon).toContain(over.id);
      expect(soon).not.toContain(lasting.id);
      expect(soon).not.toContain(move.id);
      expect(await subject().expiredReservations(0, 1_000)).toContain(move.id);
      expect(await subject().expiredReservations(0, 1)).toHaveLength(1);
    });
  });

  describe('a booking that takes the place of others', () => {
    it('gives a VM the room of a reservation, which ends with it', async () => {
      const host = await upHost(subject(), { cpu: 4, memory: 4, disk: 4 });
      const groups = [{ key: `root/${fresh('group')}`, policy: 'anti-affinity' as const }];
      const held = await reserved(host, { resources: { cpu: 4 }, groups });
      const frees = [bookingOf(held)];
      const item = itemFor(host, { resources: { cpu: 3 }, groups, frees });
      const first = await recordAll(subject(), [item]);
      expect(outcomeKinds(first)).toEqual(['recorded']);
      expect(await subject().reservation(held.id)).toBeNull();
      expect((await hostNow(subject(), host.id)).allocated).toEqual({ cpu: 3 });
      expect(await recordAll(subject(), [item])).toEqual(first);
      expect(await kindsOf([itemFor(host, { frees })])).toEqual(['gone']);
      // The ledger has given it back in the step in which it booked the VM.
      const pending = await subject().pendingReleases(0, 1_000);
      expect(pending.map(({ bookingId }) => bookingId)).not.toContain(held.bookingId);
      await expectBalanced(subject(), [host.id]);
    });

    it('leaves the reservation as it is when the VM is refused', async () => {
      const host = await upHost(subject(), { cpu: 4, memory: 4, disk: 4 });
      const held = await reserved(host, { resources: { cpu: 4 } });
      const frees = [bookingOf(held)];
      const unknown = { bookingId: 'unknown', vmId: 'unknown', hostId: host.id };
      expect(
        await kindsOf([
          itemFor(host, { resources: { cpu: 5 }, frees }),
          itemFor(host, { resources: { cpu: 4 }, frees: [...frees, unknown] }),
          itemFor(host, { resources: { cpu: 4 }, frees, set: 'bad' }),
          itemFor(host, { resources: { cpu: 1 }, set: 'bad' }),
        ]),
      ).toEqual(['over_limit', 'gone', 'set', 'over_limit']);
      expect(await subject().reservation(held.id)).toEqual(held);
      expect((await hostNow(subject(), host.id)).allocated).toEqual({ cpu: 4 });
      await expectBalanced(subject(), [host.id]);
    });

    it('moves a VM to the room that is held for it, and to no other', async () => {
      const [from, to] = [await upHost(subject()), await upHost(subject())];
      const vm = await placedVm(subject(), from);
      const other = await placedVm(subject(), from);
      const move = await reserved(to, {}, { purpose: 'move', endsInMs: null });
      const old = (one: typeof vm): LedgerBooking => ({
        bookingId: one.allocation!.bookingId,
        vmId: one.id,
        hostId: from.id,
      });
      const frees = [old(vm), bookingOf(move)];
      const item = itemFor(to, { kind: 'move', vmId: vm.id, frees });
      // Nobody has said that it moves.
      expect(await kindsOf([item])).toEqual(['gone']);
      expect(await kindsOf([itemFor(to, { frees: [old(other)] })])).toEqual(['gone']);
      expect((await subject().vm(vm.id))?.allocation).toEqual(vm.allocation);
      await expectBalanced(subject(), [from.id, to.id]);
    });
  });

  it('gives room to a VM that waits for it', async () => {
    const host = await upHost(subject());
    const vmId = fresh('vm');
    const { spec, requestHash } = itemFor(host, { vmId });
    await subject().enqueueVm({
      spec,
      requestHash,
      strategy: 'worst-fit',
      waitMs: HOUR_MS,
      by: TESTER,
    });
    const [outcome] = await recordAll(subject(), [itemFor(host, { kind: 'again', vmId })]);
    expect(outcome).toMatchObject({
      kind: 'recorded',
      vm: { state: 'placed', waitUntil: null, strategy: 'worst-fit', host: { id: host.id } },
    });
    expect((await take(subject(), 'me', vmId))?.vm.id).toBe(vmId);
  });
}
