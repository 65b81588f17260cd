/** Fences: what an operator's word that a host is off means, and how it ends. */
import { describe, expect, it } from '@jest/globals';
import { BERTH } from '../../src/model/actor.js';
import type { Host } from '../../src/model/host.js';
import type { OnHostLoss, Vm } from '../../src/model/vm.js';
import { TESTER } from '../support/callers.js';
import {
  answeredPoll,
  expectBalanced,
  failureOf,
  hostNow,
  itemFor,
  joinRequest,
  missedPoll,
  outcomeKinds,
  placedVm,
  recordAll,
  saveOne,
  take,
  upHost,
} from './builders.js';
import type { Subject } from './catalogue-contract.js';
import { saysOf, tell } from './reporting.js';

const WHY = 'its power supply burnt out';

export function describeFences(subject: Subject): void {
  const vmNow = async ({ id }: Pick<Vm, 'id'>): Promise<Vm> => {
    const known = await subject().vmByRequest(id);
    if (known === null) throw new Error(`there is no VM ${id}`);
    return known.vm;
  };

  const runningVm = async (host: Host, onHostLoss: OnHostLoss): Promise<Vm> => {
    const vm = await placedVm(subject(), host, { onHostLoss });
    await take(subject(), 'me', vm.id);
    const running = { state: 'running' as const, reason: null, hasRun: true, nextInMs: null };
    return (await saveOne(subject(), 'me', vm.id, running))!;
  };

  const goesDown = async ({ id }: Host): Promise<void> => {
    await subject().saveHostPolls([missedPoll(id, 'down', 3)]);
    await subject().loseVms(id);
  };

  const fence = async ({ id }: Host) => (await subject().fenceHost(id, WHY, TESTER))!;

  /** A lost host with a VM of each kind, and its fence. */
  async function fenced() {
    const host = await upHost(subject());
    const keep = await runningVm(host, 'keep');
    const restart = await runningVm(host, 'restart');
    await goesDown(host);
    const { released } = await fence(host);
    return { host, keep, restart, released };
  }

  const actionsOn = async (id: string): Promise<readonly string[]> => {
    const { items } = await subject().audit({ limit: 20, cursor: null, subject: id });
    return items.map(({ actor, action }) => `${actor.name} ${action}`).reverse();
  };

  async function roomForMove(target: Host) {
    const item = itemFor(target, { kind: 'reserve' });
    const reservation = { purpose: 'move' as const, endsInMs: null };
    const [outcome] = await recordAll(subject(), [{ ...item, reservation }]);
    if (outcome?.kind !== 'reserved') throw new Error(`no room: ${outcome?.kind ?? 'nothing'}`);
    return outcome.reservation;
  }

  /** A running VM on its way from one host to another that holds room for it. */
  async function moving(onHostLoss: OnHostLoss) {
    const [from, to] = [await upHost(subject()), await upHost(subject())];
    const vm = await runningVm(from, onHostLoss);
    await subject().startDrain(from.id, { reason: null, owner: null, moves: [] }, TESTER);
    const { id: reservationId } = await roomForMove(to);
    const target = { id: to.id, name: to.name };
    const move = { vmId: vm.id, from: from.id, target, reservationId, detail: null };
    expect(await subject().beginMove(move)).toBe(true);
    return { from, to, vm, reservationId };
  }

  describe('a fence', () => {
    it('is refused while the host is up, for a retired one, and unknown for none', async () => {
      const host = await upHost(subject());
      const up = await failureOf(subject().fenceHost(host.name, WHY, TESTER));
      expect([up.code, up.message]).toEqual(['state_conflict', expect.stringContaining('cordon')]);
      await subject().retireHost(host.id, null, TESTER);
      const retired = await failureOf(subject().fenceHost(host.id, WHY, TESTER));
      expect([retired.code, retired.message]).toEqual([
        'state_conflict',
        expect.stringContaining('retired'),
      ]);
      expect(await subject().fenceHost('nobody', WHY, TESTER)).toBeNull();
    });

    it('may be set on a host that is joining or suspect', async () => {
      const joining = await subject().joinHost(joinRequest(), TESTER);
      expect((await fence(joining)).host.fence).toMatchObject({ reason: WHY, by: TESTER.name });
      const suspect = await upHost(subject());
      await subject().saveHostPolls([missedPoll(suspect.id, 'suspect', 1)]);
      expect((await fence(suspect)).host).toMatchObject({
        state: 'suspect',
        fence: { reason: WHY },
      });
    });

    it('takes away what may restart elsewhere, and keeps the rest, in one go', async () => {
      const { host, keep, restart, released } = await fenced();
      expect(released).toEqual([
        { bookingId: restart.allocation?.bookingId, vmId: restart.id, hostId: host.id },
      ]);
      expect(await vmNow(restart)).toMatchObject({
        state: 'placed',
        desiredState: 'running',
        host: null,
        allocation: null,
        hasRun: false,
        reason: { code: 'host_fenced' },
        attempts: [{ outcome: 'placed' }, { outcome: 'fenced', host: { id: host.id } }],
      });
      expect(await vmNow(keep)).toMatchObject({
        state: 'unknown',
        host: { id: host.id },
        allocation: keep.allocation,
        reason: { code: 'host_fenced' },
      });
      await expectBalanced(subject(), [host.id]);
      const pending = await subject().pendingReleases(0, 1_000);
      expect(pending).toEqual(expect.arrayContaining([...released]));
      expect(await actionsOn(host.id)).toEqual([
        `${TESTER.name} host.join`,
        `${TESTER.name} host.fence`,
      ]);
      expect(await actionsOn(restart.id)).toContain(`${TESTER.name} host.fence`);
      expect(await actionsOn(keep.id)).toContain(`${TESTER.name} host.fence`);
    });

    it('takes a VM that never ran, and one that is to be stopped, as any other', async () => {
      const host = await upHost(subject());
      const never = await placedVm(subject(), host, { onHostLoss: 'restart' });
      const stopped = await runningVm(host, 'restart');
      await subject().want(stopped.id, 'stopped', TESTER);
      await goesDown(host);
      await fence(host);
      expect(await vmNow(never)).toMatchObject({ state: 'placed', host: null });
      expect(await vmNow(stopped)).toMatchObject({ state: 'placed', desiredState: 'stopped' });
    });

    it('ends what was to be deleted: it is off, so it is gone', async () => {
      const host = await upHost(subject());
      const vm = await runningVm(host, 'keep');
      await subject().want(vm.id, 'deleted', TESTER);
      await goesDown(host);
      const { released } = await fence(host);
      expect(released.map(({ vmId }) => vmId)).toEqual([vm.id]);
      expect(await vmNow(vm)).toMatchObject({ state: 'deleted', host: null, reason: null });
      expect(await subject().fencedVms(host.id)).toEqual([
        { vmId: vm.id, assignment: vm.allocation?.assignment },
      ]);
    });

    it('changes nothing when it is said again, also at the same time', async () => {
      const host = await upHost(subject());
      const vm = await runningVm(host, 'restart');
      await goesDown(host);
      const all = await Promise.all([1, 2, 3].map(() => fence(host)));
      expect(all.flatMap(({ released }) => released).map(({ vmId }) => vmId)).toEqual([vm.id]);
      const again = (await subject().fenceHost(host.id, 'another reason', TESTER))!;
      expect(again.released).toEqual([]);
      expect(again.host).toEqual(all.find(({ released }) => released.length > 0)?.host);
      expect(await actionsOn(host.id)).toHaveLength(2);
    });

    it('lets nothing that was asked before be written down any more', async () => {
      const host = await upHost(subject());
      const restart = await placedVm(subject(), host, { onHostLoss: 'restart' });
      const keep = await placedVm(subject(), host, { onHostLoss: 'keep' });
      await take(subject(), 'late', restart.id);
      await subject().saveHostPolls([missedPoll(host.id, 'suspect', 1)]);
      await fence(host);
      const running = { state: 'running' as const, reason: null, hasRun: true, nextInMs: null };
      expect(await saveOne(subject(), 'late', restart.id, running)).toBeNull();
      expect(await saveOne(subject(), 'late', keep.id, running)).toBeNull();
      const result = { state: 'deleted' as const, reason: null };
      expect(await subject().releaseVm('late', keep.id, result)).toBeNull();
    });

    it('lets a VM be placed elsewhere under a higher number, and not on the host', async () => {
      const { host, restart } = await fenced();
      const other = await upHost(subject());
      const again = { kind: 'again' as const, vmId: restart.id };
      expect(outcomeKinds(await recordAll(subject(), [itemFor(host, again)]))).toEqual(['closed']);
      const [outcome] = await recordAll(subject(), [itemFor(other, again)]);
      expect(outcome).toMatchObject({ kind: 'recorded', vm: { host: { id: other.id } } });
      const assignment = outcome?.kind === 'recorded' ? outcome.assignment : 0;
      expect(assignment).toBeGreaterThan(restart.allocation?.assignment ?? Infinity);
    });
  });

  describe('a fence beside moves', () => {
    it('sends a VM that was on its way to the room that is held for it', async () => {
      const { from, to, vm, reservationId } = await moving('restart');
      await goesDown(from);
      await fence(from);
      expect(await vmNow(vm)).toMatchObject({
        state: 'placed',
        host: null,
        movingTo: reservationId,
      });
      const room = (await subject().reservation(reservationId))!;
      const frees = [{ bookingId: room.bookingId, vmId: room.id, hostId: to.id }];
      const [outcome] = await recordAll(subject(), [
        itemFor(to, { kind: 'move', vmId: vm.id, frees }),
      ]);
      expect(outcome).toMatchObject({ kind: 'recorded', vm: { movingTo: null } });
      await expectBalanced(subject(), [from.id, to.id]);
    });

    it('keeps a VM with its disk, but sends on one whose data was given up', async () => {
      const kept = await moving('keep');
      await goesDown(kept.from);
      await fence(kept.from);
      expect(await vmNow(kept.vm)).toMatchObject({ state: 'unknown', host: { id: kept.from.id } });
      const gone = await moving('keep');
      await take(subject(), 'me', gone.vm.id);
      expect(await subject().leaveHost('me', gone.vm.id)).toBe(true);
      await goesDown(gone.from);
      await fence(gone.from);
      expect(await vmNow(gone.vm)).toMatchObject({
        host: null,
        state: 'placed',
        movingTo: gone.reservationId,
      });
    });

    it('gives back room for moves to the host; who has not left stays where it is', async () => {
      const { from, to, vm, reservationId } = await moving('keep');
      await goesDown(to);
      const { released } = await fence(to);
      expect(released.map(({ vmId }) => vmId)).toEqual([reservationId]);
      expect(await subject().reservation(reservationId)).toBeNull();
      expect(await vmNow(vm)).toMatchObject({ host: { id: from.id }, movingTo: null });
      await expectBalanced(subject(), [from.id, to.id]);
    });

    it('leaves room that somebody holds there, until it ends', async () => {
      const host = await upHost(subject());
      const [outcome] = await recordAll(subject(), [itemFor(host, { kind: 'reserve' })]);
      if (outcome?.kind !== 'reserved') throw new Error('no room');
      await goesDown(host);
      await fence(host);
      expect(await subject().reservation(outcome.reservation.id)).not.toBeNull();
    });
  });

  describe('a fenced host that is back', () => {
    it('is not up, whatever it answers, until it was told all', async () => {
      const { host, restart } = await fenced();
      expect(await subject().contacts(host.id)).toMatchObject([{ isFenced: true }]);
      const { at } = (await hostNow(subject(), host.id)).fence!;
      // It is down still: whoever told it something is late.
      expect(await subject().liftFence(host.id, at, BERTH)).toBe(false);
      await subject().saveHostPolls([answeredPoll(host)]);
      expect(await hostNow(subject(), host.id)).toMatchObject({ state: 'joining' });
      expect(await subject().liftFence(host.id, at, BERTH)).toBe(false);
      const lost = await subject().fencedVms(host.id);
      expect(lost).toEqual([{ vmId: restart.id, assignment: restart.allocation?.assignment }]);
      await subject().forgetFencedVms(host.id, [{ vmId: restart.id, assignment: 0 }]);
      expect(await subject().fencedVms(host.id)).toEqual(lost);
      await subject().forgetFencedVms(host.id, lost);
      expect(await subject().liftFence(host.id, new Date(at.getTime() - 1), BERTH)).toBe(false);
      expect(await subject().liftFence(host.id, at, BERTH)).toBe(true);
      expect(await subject().liftFence(host.id, at, BERTH)).toBe(false);
      await subject().saveHostPolls([answeredPoll(host)]);
      expect(await hostNow(subject(), host.id)).toMatchObject({ state: 'up', fence: null });
      expect(await actionsOn(host.id)).toEqual([
        `${TESTER.name} host.join`,
        `${TESTER.name} host.fence`,
        'berth host.unfence',
      ]);
    });

    it('stays fenced when it joins again', async () => {
      const { host } = await fenced();
      const { id, name, address } = host;
      await subject().joinHost(
        joinRequest({ id, name, address, credential: `credential of ${id}` }),
        TESTER,
      );
      expect(await hostNow(subject(), id)).toMatchObject({
        state: 'joining',
        fence: { reason: WHY },
      });
    });

    it('says of the VMs it kept what they are; what was taken from it is no stranger', async () => {
      const { host, keep, restart } = await fenced();
      await subject().saveHostPolls([answeredPoll(host)]);
      const says = [saysOf(keep, 'stopped'), saysOf(restart, 'running')];
      await tell(subject(), host, says);
      const { host: changed, leaving } = await tell(subject(), host, says);
      expect({ changed, leaving }).toEqual({ changed: null, leaving: [] });
      expect((await subject().orphans()).filter((each) => each.host.id === host.id)).toEqual([]);
      expect(await vmNow(keep)).toMatchObject({ state: 'stopped', reason: null });
      expect(await vmNow(restart)).toMatchObject({ state: 'placed', host: null });
      // Under a newer number it is nothing that the fence knows of.
      const newer = { ...saysOf(restart, 'running'), assignment: 1_000_000 };
      await tell(subject(), host, [newer]);
      await tell(subject(), host, [newer]);
      expect((await subject().orphans()).filter((each) => each.host.id === host.id)).toHaveLength(
        1,
      );
    });

    it('may be fenced again, and then has lost what it has by then', async () => {
      const { host, restart } = await fenced();
      await subject().saveHostPolls([answeredPoll(host)]);
      const lost = await subject().fencedVms(host.id);
      await subject().forgetFencedVms(host.id, lost);
      const { at } = (await hostNow(subject(), host.id)).fence!;
      await subject().liftFence(host.id, at, BERTH);
      await subject().saveHostPolls([answeredPoll(host)]);
      const again = itemFor(host, { kind: 'again', vmId: restart.id });
      expect(outcomeKinds(await recordAll(subject(), [again]))).toEqual(['recorded']);
      await goesDown(host);
      await fence(host);
      const [second] = await subject().fencedVms(host.id);
      expect(second?.vmId).toBe(restart.id);
      expect(second?.assignment).toBeGreaterThan(lost[0]?.assignment ?? Infinity);
      // Whoever tells of the first fence still, takes nothing from the second.
      await subject().forgetFencedVms(host.id, lost);
      expect(await subject().fencedVms(host.id)).toEqual([second]);
      expect(await subject().liftFence(host.id, at, BERTH)).toBe(false);
    });

    it('may be retired instead: it is off', async () => {
      const { host, keep } = await fenced();
      const failure = await failureOf(subject().retireHost(host.id, null, TESTER));
      expect(failure.code).toBe('host_not_empty');
      await subject().retireHost(host.id, { reason: 'scrapped' }, TESTER);
      expect(await vmNow(keep)).toMatchObject({ state: 'failed' });
      expect(await subject().fencedVms(host.id)).toEqual([]);
      const { fence: stays } = await hostNow(subject(), host.id);
      expect(await subject().liftFence(host.id, stays!.at, BERTH)).toBe(false);
    });
  });

  describe('what becomes of a VM when its host is lost', () => {
    it('is kept as it was asked, and told in its facts', async () => {
      const host = await upHost(subject());
      const vm = await placedVm(subject(), host, { onHostLoss: 'restart' });
      expect((await vmNow(vm)).onHostLoss).toBe('restart');
      expect((await vmNow(await placedVm(subject(), host))).onHostLoss).toBe('keep');
      const grouped = { groups: [{ key: `g ${vm.id}`, policy: 'soft-affinity' as const }] };
      const apart = await placedVm(subject(), host, { onHostLoss: 'restart', ...grouped });
      expect((await vmNow(apart)).onHostLoss).toBe('restart');
    });
  });
}
