/** Taking hosts out: drains, the moves of VMs, and retirement. */
import { describe, expect, it } from '@jest/globals';
import type { DrainMove } from '../../src/model/drain.js';
import type { Host } from '../../src/model/host.js';
import type { Reservation } from '../../src/model/reservation.js';
import type { Vm } from '../../src/model/vm.js';
import { TESTER } from '../support/callers.js';
import { modelVm } from '../support/control-double.js';
import {
  expectBalanced,
  failureOf,
  fresh,
  hostNow,
  itemFor,
  joinRequest,
  ONE,
  outcomeKinds,
  placedVm,
  recordAll,
  reportOf,
  saveOne,
  take,
  upHost,
} from './builders.js';
import type { Subject } from './catalogue-contract.js';

const ref = ({ id, name }: Pick<Host | Vm, 'id' | 'name'>) => ({ id, name });

const planned = (vm: Vm, target: Host): DrainMove => ({
  vm: ref(vm),
  state: 'planned',
  planned: ref(target),
  target: null,
  detail: null,
  summary: null,
});

export function describeDrains(subject: Subject): void {
  async function room(target: Host): Promise<Reservation> {
    const item = itemFor(target, { kind: 'reserve' });
    const reservation = { purpose: 'move' as const, endsInMs: null };
    const [outcome] = await recordAll(subject(), [{ ...item, reservation }]);
    if (outcome?.kind !== 'reserved') throw new Error(`no room: ${outcome?.kind ?? 'nothing'}`);
    return outcome.reservation;
  }

  /** A VM that has run, on a host that is being drained. */
  async function draining() {
    const [from, to] = [await upHost(subject()), await upHost(subject())];
    const vm = await placedVm(subject(), from);
    await take(subject(), 'first', vm.id);
    await saveOne(subject(), 'first', vm.id, {
      state: 'running',
      reason: null,
      hasRun: true,
      nextInMs: null,
    });
    const plan = { reason: 'disks', owner: 'jo', moves: [planned(vm, to)] };
    await subject().startDrain(from.id, plan, TESTER);
    return { from, to, vm };
  }

  const begin = (vm: Vm, from: Host, to: Host, reservationId: string) =>
    subject().beginMove({
      vmId: vm.id,
      from: from.id,
      target: ref(to),
      reservationId,
      detail: null,
    });

  /** The same, with the VM sent off and leased to `owner`. */
  async function moving(owner: string) {
    const stage = await draining();
    const reservation = await room(stage.to);
    expect(await begin(stage.vm, stage.from, stage.to, reservation.id)).toBe(true);
    expect(await take(subject(), owner, stage.vm.id)).not.toBeNull();
    return { ...stage, reservation };
  }

  const vmNow = async ({ id }: Vm): Promise<Vm> => {
    const vm = await subject().vm(id);
    if (vm === null) throw new Error(`there is no VM ${id}`);
    return vm;
  };

  const letGo = { state: 'placed', reason: null, movesOn: true } as const;

  describe('drains', () => {
    it('close the host and keep the plan, in order', async () => {
      const { from, to, vm } = await draining();
      expect(await hostNow(subject(), from.id)).toMatchObject({
        mode: 'draining',
        modeReason: 'disks',
        modeOwner: 'jo',
        revision: from.revision + 1,
      });
      expect(outcomeKinds(await recordAll(subject(), [itemFor(from)]))).toEqual(['closed']);
      const late = { ...planned(vm, to), vm: { id: 'late', name: 'late' } };
      await subject().saveMoves(from.id, [{ ...planned(vm, to), state: 'blocked' }, late]);
      const drain = await subject().drain(from.id);
      expect(drain).toMatchObject({ state: 'draining', host: ref(from), endedAt: null });
      expect(drain?.moves.map(({ vm: { id }, state }) => [id, state])).toEqual([
        [vm.id, 'blocked'],
        ['late', 'planned'],
      ]);
    });

    it('keep their plan when they are asked for again', async () => {
      const { from, vm } = await draining();
      const again = { reason: 'other', owner: null, moves: [] };
      const drain = await subject().startDrain(from.id, again, TESTER);
      expect(drain).toMatchObject({ reason: 'disks', moves: [{ vm: { id: vm.id } }] });
    });

    it('are over when the host has no VM, and not before', async () => {
      const { from, vm } = await draining();
      expect(await subject().finishDrain(from.id)).toBe(false);
      await subject().want(vm.id, 'deleted', TESTER);
      await take(subject(), 'remover', vm.id);
      await subject().releaseVm('remover', vm.id, { state: 'deleted', reason: null });
      expect(await subject().finishDrain(from.id)).toBe(true);
      expect(await subject().finishDrain(from.id)).toBe(false);
      expect(await subject().drain(from.id)).toMatchObject({
        state: 'done',
        endedAt: expect.any(Date),
      });
      expect((await hostNow(subject(), from.id)).mode).toBe('draining');
    });

    it('are open while they have something to do', async () => {
      const { from } = await draining();
      const open = async () =>
        (await subject().openDrains()).find(({ drain }) => drain.host.id === from.id);
      expect(await open()).toMatchObject({ triedAtSeq: null });
      await subject().noteTried(from.id, 7);
      expect(await open()).toMatchObject({ triedAtSeq: 7 });
      await subject().cancelDrain(from.id, TESTER);
      expect(await open()).toBeUndefined();
    });

    it('give a host back its mode when they are cancelled, once', async () => {
      const host = await upHost(subject());
      const mode = { mode: 'cordoned' as const, reason: 'noise', owner: 'sam', endsInMs: null };
      await subject().patchHost(host.id, { mode }, TESTER);
      await subject().startDrain(host.id, { reason: null, owner: null, moves: [] }, TESTER);
      expect((await subject().cancelDrain(host.id, TESTER))?.drain.state).toBe('cancelled');
      const now = await hostNow(subject(), host.id);
      expect(now).toMatchObject({ mode: 'cordoned', modeReason: 'noise', modeOwner: 'sam' });
      const late = { id: 'late', name: 'late' };
      const stay = { ...planned(modelVm(late), host), state: 'cancelled' as const };
      await subject().saveMoves(host.id, [stay]);
      await subject().saveMoves(host.id, [{ ...stay, state: 'blocked' }]);
      expect((await subject().drain(host.id))?.moves).toMatchObject([{ state: 'cancelled' }]);
      const again = await subject().cancelDrain(host.id, TESTER);
      expect(again).toMatchObject({ drain: { state: 'cancelled' }, reservations: [] });
      expect((await hostNow(subject(), host.id)).revision).toBe(now.revision);
    });

    it('cannot be cancelled where there was none', async () => {
      const host = await upHost(subject());
      expect(await subject().cancelDrain(host.id, TESTER)).toBeNull();
      expect(await subject().drain(host.id)).toBeNull();
    });
  });

  describe('moves', () => {
    it('begin once, with room elsewhere, while the host drains', async () => {
      const { from, to, vm } = await draining();
      expect(await begin(vm, from, to, 'rsv-nowhere')).toBe(false);
      const reservation = await room(to);
      expect(await begin(vm, to, from, reservation.id)).toBe(false);
      expect(await begin(vm, from, to, reservation.id)).toBe(true);
      expect(await begin(vm, from, to, reservation.id)).toBe(false);
      expect((await vmNow(vm)).movingTo).toBe(reservation.id);
      const drain = await subject().drain(from.id);
      expect(drain?.moves).toMatchObject([{ state: 'moving', target: ref(to) }]);
    });

    it('do not begin for a VM that is to be deleted, nor after a cancel', async () => {
      const deleted = await draining();
      await subject().want(deleted.vm.id, 'deleted', TESTER);
      expect(await begin(deleted.vm, deleted.from, deleted.to, (await room(deleted.to)).id)).toBe(
        false,
      );
      const cancelled = await draining();
      await subject().cancelDrain(cancelled.from.id, TESTER);
      expect(
        await begin(cancelled.vm, cancelled.from, cancelled.to, (await room(cancelled.to)).id),
      ).toBe(false);
    });

    it('are heard of by a step that is under way: its finding makes the VM due again', async () => {
      const { from, to, vm } = await draining();
      await subject().want(vm.id, 'stopped', TESTER);
      await take(subject(), 'stopper', vm.id);
      await begin(vm, from, to, (await room(to)).id);
      await saveOne(subject(), 'stopper', vm.id, {
        state: 'stopped',
        reason: null,
        nextInMs: null,
      });
      expect(await take(subject(), 'mover', vm.id)).toMatchObject({ vm: { state: 'stopped' } });
    });

    it('go from host to host: let go, nowhere, booked anew', async () => {
      const { from, to, vm, reservation } = await moving('mover');
      expect(await subject().leaveHost('somebody', vm.id)).toBe(false);
      expect((await vmNow(vm)).hasRun).toBe(true);
      expect(await subject().leaveHost('mover', vm.id)).toBe(true);
      expect(await vmNow(vm)).toMatchObject({ hasRun: false, host: ref(from) });
      const gone = await subject().releaseVm('mover', vm.id, letGo);
      expect(gone).toMatchObject({ state: 'placed', host: null, movingTo: reservation.id });
      await expectBalanced(subject(), [from.id, to.id]);

      const frees = [{ bookingId: reservation.bookingId, vmId: reservation.id, hostId: to.id }];
      const item = itemFor(to, { kind: 'move', vmId: vm.id, frees });
      expect(outcomeKinds(await recordAll(subject(), [item]))).toEqual(['recorded']);
      const moved = await vmNow(vm);
      expect(moved).toMatchObject({
        state: 'placed',
        host: ref(to),
        movingTo: null,
        hasRun: false,
      });
      expect(moved.allocation?.assignment).toBeGreaterThan(vm.allocation?.assignment ?? 0);
      expect(await subject().reservation(reservation.id)).toBeNull();
      await expectBalanced(subject(), [from.id, to.id]);
    });

    it('go on without the room that was held, once the VM is nowhere', async () => {
      const { to, vm, reservation } = await moving('mover');
      await subject().leaveHost('mover', vm.id);
      await subject().releaseVm('mover', vm.id, letGo);
      await subject().endReservation(reservation.id, null);
      const item = itemFor(to, { kind: 'move', vmId: vm.id });
      expect(outcomeKinds(await recordAll(subject(), [item]))).toEqual(['recorded']);
      expect(await vmNow(vm)).toMatchObject({ host: ref(to), movingTo: null });
    });

    it('end before the point of no return when the room is gone: the VM stays', async () => {
      const { from, vm, reservation } = await moving('mover');
      await subject().endReservation(reservation.id, null);
      expect(await subject().leaveHost('mover', vm.id)).toBe(false);
      expect(await vmNow(vm)).toMatchObject({ movingTo: null, hasRun: true, host: ref(from) });
      await saveOne(subject(), 'mover', vm.id, { state: 'stopped', reason: null, nextInMs: null });
      expect(await take(subject(), 'starter', vm.id)).not.toBeNull();
    });

    it('are taken back by a cancel only where the VM still holds its data', async () => {
      const stays = await moving('a');
      const cancelled = await subject().cancelDrain(stays.from.id, TESTER);
      expect(cancelled?.reservations).toEqual([stays.reservation.id]);
      expect(cancelled?.drain.moves).toMatchObject([{ state: 'cancelled', target: null }]);
      expect((await vmNow(stays.vm)).movingTo).toBeNull();

      const goes = await moving('b');
      await subject().leaveHost('b', goes.vm.id);
      const late = await subject().cancelDrain(goes.from.id, TESTER);
      expect(late).toMatchObject({ reservations: [], drain: { moves: [{ state: 'moving' }] } });
      expect((await vmNow(goes.vm)).movingTo).toBe(goes.reservation.id);
      const open = (await subject().openDrains()).map(({ drain }) => drain.host.id);
      expect(open).toContain(goes.from.id);
    });

    it('end with every other release of the VM', async () => {
      const { vm } = await moving('mover');
      await subject().releaseVm('mover', vm.id, { state: 'failed', reason: null });
      expect(await vmNow(vm)).toMatchObject({ state: 'failed', movingTo: null });
    });

    it('are not disturbed by what the host reports', async () => {
      const { from, vm } = await moving('mover');
      await saveOne(subject(), 'mover', vm.id, {
        state: 'stopped',
        reason: null,
        nextInMs: 600_000,
      });
      const report = reportOf(from);
      await subject().saveHostReport(from.id, report);
      const said = { id: vm.id, state: 'running' as const, resources: ONE, reason: null };
      const assignment = vm.allocation?.assignment ?? 0;
      await subject().reportVms(from.id, report, [{ ...said, assignment }]);
      expect((await vmNow(vm)).state).toBe('stopped');
    });
  });

  describe('retirement', () => {
    const retire = (host: Host, reason: string | null = null) =>
      subject().retireHost(host.id, reason === null ? null : { reason }, TESTER);

    it('is for empty hosts', async () => {
      const host = await upHost(subject());
      await placedVm(subject(), host);
      await room(host);
      const failure = await failureOf(retire(host));
      expect(failure).toMatchObject({ code: 'host_not_empty', extra: { vms: 1, reservations: 1 } });
      expect((await hostNow(subject(), host.id)).mode).toBe('enabled');
    });

    it('takes a host out of every list; its id still finds it', async () => {
      const host = await upHost(subject());
      const retired = await retire(host);
      expect(retired).toMatchObject({
        host: { mode: 'retired', revision: host.revision + 1 },
        released: [],
      });
      expect((await hostNow(subject(), host.id)).mode).toBe('retired');
      const { items } = await subject().hosts({ limit: 1_000, cursor: null });
      expect(items.map(({ id }) => id)).not.toContain(host.id);
      const { hosts } = await subject().snapshot();
      expect(hosts.map(({ id }) => id)).not.toContain(host.id);
      expect(await subject().contacts(host.id)).toEqual([]);
      expect((await retire(host))?.host.revision).toBe(host.revision + 1);
      expect(await subject().retireHost(fresh('nobody'), null, TESTER)).toBeNull();
    });

    it('keeps the id and gives the name back', async () => {
      const host = await upHost(subject());
      await retire(host);
      const back = joinRequest({ id: host.id, name: fresh('new') });
      expect((await failureOf(subject().joinHost(back, TESTER))).code).toBe('state_conflict');
      expect((await hostNow(subject(), host.id)).mode).toBe('retired');
      const heir = await subject().joinHost(joinRequest({ name: host.name }), TESTER);
      expect((await subject().host(host.name))?.id).toBe(heir.id);
    });

    it('by force fails its VMs and gives back what they held', async () => {
      const { from, vm, to } = await draining();
      const leaving = await placedVm(subject(), to);
      const held = await room(to);
      await subject().want(leaving.id, 'deleted', TESTER);
      const reason = 'burnt down';
      const lost = await retire(from, reason);
      expect(lost?.released).toEqual([
        { bookingId: vm.allocation?.bookingId, vmId: vm.id, hostId: from.id },
      ]);
      expect(await vmNow(vm)).toMatchObject({
        state: 'failed',
        host: null,
        allocation: null,
        reason: { code: 'host_retired', detail: 'Its host was retired: burnt down' },
      });
      expect(await subject().drain(from.id)).toMatchObject({ state: 'done' });
      expect((await retire(to, reason))?.released).toHaveLength(2);
      expect(await subject().vm(leaving.id)).toBeNull();
      expect(await subject().reservation(held.id)).toBeNull();
      const ids = [...(lost?.released ?? [])].map(({ bookingId }) => bookingId);
      const pending = await subject().pendingReleases(0, 1_000);
      expect(pending.map(({ bookingId }) => bookingId)).toEqual(expect.arrayContaining(ids));
      expect((await hostNow(subject(), to.id)).allocated).toEqual({});
    });

    it('cannot be followed by a drain', async () => {
      const host = await upHost(subject());
      await retire(host);
      const plan = { reason: null, owner: null, moves: [] };
      const failure = await failureOf(subject().startDrain(host.id, plan, TESTER));
      expect(failure.code).toBe('state_conflict');
    });
  });
}
