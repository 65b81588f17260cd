/** The lifecycle's work: who has a VM, what was found, and what is given back. */
import { TESTER } from '../support/callers.js';
import { describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Progress } from '../../src/model/ports.js';
import {
  answeredPoll,
  expectBalanced,
  hostNow,
  itemFor,
  missedPoll,
  outcomeKinds,
  placedVm,
  recordAll,
  take,
  takeAll,
  upHost,
  saveOne,
} from './builders.js';
import type { Subject } from './catalogue-contract.js';

const found = (changes: Partial<Progress> = {}): Progress => ({
  state: 'running',
  reason: null,
  hasRun: true,
  nextInMs: null,
  ...changes,
});

export function describeWork(subject: Subject): void {
  describe('work', () => {
    it('is due from the record on, with the contact of the host', async () => {
      const host = await upHost(subject());
      const vm = await placedVm(subject(), host);
      const { address } = await hostNow(subject(), host.id);
      expect(await take(subject(), 'me', vm.id)).toEqual({
        lease: 'me',
        vm,
        contact: {
          ...{ hostId: host.id, address, ip: null, credential: `credential of ${host.id}` },
          bootId: 'boot-1',
        },
        overrides: {},
        tries: 0,
      });
    });

    it('is taken by the record as far as that asks for it, as it is taken otherwise', async () => {
      const host = await upHost(subject());
      const items = [itemFor(host), itemFor(host), itemFor(host)];
      const taking = { lease: 'recorder', leaseMs: 600_000, countMax: 2 };
      const outcomes = await recordAll(subject(), items, taking);
      const vmIds = items.map(({ spec }) => spec.id);
      const { address } = await hostNow(subject(), host.id);
      for (const [place, outcome] of outcomes.entries()) {
        const vm = await subject().vm(vmIds[place] ?? '');
        const contact = { hostId: host.id, address, ip: null };
        const credential = `credential of ${host.id}`;
        expect(outcome).toEqual({
          kind: 'recorded',
          vm,
          assignment: vm?.allocation?.assignment,
          ...(place === 2
            ? {}
            : {
                work: {
                  lease: 'recorder',
                  vm,
                  contact: { ...contact, credential, bootId: 'boot-1' },
                  overrides: {},
                  tries: 0,
                },
              }),
        });
      }
      const due = (await takeAll(subject(), 'me')).map(({ vm }) => vm.id);
      expect(vmIds.filter((id) => due.includes(id))).toEqual(vmIds.slice(2));
      const [first = ''] = vmIds;
      expect(await saveOne(subject(), 'me', first, found())).toBeNull();
      expect(await saveOne(subject(), 'recorder', first, found())).toMatchObject({
        state: 'running',
      });
    });

    it('that was taken by a record is due again when that lease is over', async () => {
      const item = itemFor(await upHost(subject()));
      await recordAll(subject(), [item], { lease: 'recorder', leaseMs: 1, countMax: 1 });
      await sleep(20);
      expect(await take(subject(), 'me', item.spec.id)).not.toBeNull();
      expect(await saveOne(subject(), 'recorder', item.spec.id, found())).toBeNull();
    });

    it('is not taken by a record that is said again, nor where one was in the way', async () => {
      const host = await upHost(subject());
      const item = itemFor(host);
      const taking = { lease: 'recorder', leaseMs: 600_000, countMax: 9 };
      await recordAll(subject(), [item]);
      const outcomes = await recordAll(subject(), [item, itemFor(host)], taking);
      expect(outcomeKinds(outcomes)).toEqual(['recorded', 'recorded']);
      for (const outcome of outcomes) expect(outcome).not.toHaveProperty('work');
      expect(await take(subject(), 'me', item.spec.id)).not.toBeNull();
    });

    it('tells what was wanted meanwhile of what a record has taken', async () => {
      const item = itemFor(await upHost(subject()));
      await recordAll(subject(), [item], { lease: 'recorder', leaseMs: 600_000, countMax: 1 });
      await subject().want(item.spec.id, 'deleted', TESTER);
      await saveOne(subject(), 'recorder', item.spec.id, found());
      expect(await take(subject(), 'me', item.spec.id)).toMatchObject({
        vm: { desiredState: 'deleted' },
      });
    });

    it('leaves alone what is on hosts that are busy', async () => {
      const [calm, busy] = [await upHost(subject()), await upHost(subject())];
      const [first, other] = [await placedVm(subject(), calm), await placedVm(subject(), busy)];
      const taken = async (hosts: readonly string[]) =>
        (await subject().takeWork('me', 10_000, 600_000, hosts)).map(({ vm }) => vm.id);
      const some = await taken([busy.id, 'nobody']);
      expect(some).toContain(first.id);
      expect(some).not.toContain(other.id);
      expect(await taken([])).toContain(other.id);
    });

    it('that was taken again can no longer be written under the older lease', async () => {
      const vm = await placedVm(subject(), await upHost(subject()));
      await subject().takeWork('first', 100, 1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(await take(subject(), 'second', vm.id)).not.toBeNull();
      expect(await saveOne(subject(), 'first', vm.id, found())).toBeNull();
      const failed = { state: 'failed' as const, reason: null };
      expect(await subject().releaseVm('first', vm.id, failed)).toBeNull();
      expect(await subject().vm(vm.id)).toMatchObject({ state: 'placed', host: vm.host });
    });

    it('keeps its count of tries while it is only postponed', async () => {
      const vm = await placedVm(subject(), await upHost(subject()));
      const next = async (progress: Partial<Progress>) => {
        await saveOne(subject(), 'me', vm.id, found({ nextInMs: 0, ...progress }));
        return (await take(subject(), 'me', vm.id))?.tries;
      };
      await take(subject(), 'me', vm.id);
      expect(await next({ state: 'creating', failedTry: true })).toBe(1);
      expect(await next({ state: 'creating', postponed: true })).toBe(1);
      expect(await next({ state: 'creating' })).toBe(0);
    });

    it('never has two owners, however many ask at once', async () => {
      const host = await upHost(subject());
      const items = Array.from({ length: 60 }, () => itemFor(host));
      await recordAll(subject(), items);
      const taken: string[] = [];
      const askAll = async (owner: string) => {
        for (;;) {
          const work = await subject().takeWork(owner, 7, 600_000);
          if (work.length === 0) return;
          taken.push(...work.map(({ vm }) => vm.id));
        }
      };
      await Promise.all(['a', 'b', 'c', 'd'].map(askAll));
      // Skipping locked rows, the last to ask may leave some; they are there for the next one.
      await askAll('e');
      expect(new Set(taken).size).toBe(taken.length);
      expect(items.every(({ spec }) => taken.includes(spec.id))).toBe(true);
    });

    it('takes no more than was asked for, the oldest first', async () => {
      await takeAll(subject(), 'before');
      const host = await upHost(subject());
      const [first, second] = [await placedVm(subject(), host), await placedVm(subject(), host)];
      const ids = async () => (await subject().takeWork('me', 1, 600_000)).map(({ vm }) => vm.id);
      expect(await ids()).toEqual([first.id]);
      expect(await ids()).toEqual([second.id]);
      expect(await ids()).toEqual([]);
    });

    it('is taken again when its lease is over; the one who lost it writes nothing', async () => {
      const vm = await placedVm(subject(), await upHost(subject()));
      await take(subject(), 'slow', vm.id, 1);
      await sleep(20);
      expect(await take(subject(), 'fast', vm.id)).not.toBeNull();
      expect(await saveOne(subject(), 'slow', vm.id, found())).toBeNull();
      expect(
        await subject().releaseVm('slow', vm.id, { state: 'failed', reason: null }),
      ).toBeNull();
      expect(await subject().vm(vm.id)).toMatchObject({ state: 'placed', allocation: {} });
      expect(await saveOne(subject(), 'fast', vm.id, found())).toMatchObject({
        state: 'running',
      });
    });

    it('leaves VMs of a host that is down, until it answers', async () => {
      const host = await upHost(subject());
      const vm = await placedVm(subject(), host);
      await subject().saveHostPolls([missedPoll(host.id, 'down', 3)]);
      expect(await take(subject(), 'me', vm.id)).toBeNull();
      await subject().saveHostPolls([answeredPoll(host)]);
      expect(await take(subject(), 'me', vm.id)).not.toBeNull();
    });

    it('comes back when the step says so, and rests when there is nothing to do', async () => {
      const vm = await placedVm(subject(), await upHost(subject()));
      await take(subject(), 'me', vm.id);
      const reason = { code: 'agent_unreachable', detail: 'no answer' };
      await saveOne(subject(), 'me', vm.id, {
        state: 'creating',
        reason,
        nextInMs: 0,
        failedTry: true,
      });
      expect(await take(subject(), 'me', vm.id)).toMatchObject({
        tries: 1,
        vm: { state: 'creating', reason, hasRun: false },
      });
      await saveOne(subject(), 'me', vm.id, found({ nextInMs: 600_000 }));
      expect(await take(subject(), 'me', vm.id)).toBeNull();
      await subject().want(vm.id, 'stopped', TESTER);
      expect(await take(subject(), 'me', vm.id)).toMatchObject({ tries: 0, vm: { hasRun: true } });
      const rested = await saveOne(
        subject(),
        'me',
        vm.id,
        found({ state: 'stopped', hasRun: false }),
      );
      expect(rested).toMatchObject({ state: 'stopped', desiredState: 'stopped', hasRun: true });
      expect(await take(subject(), 'me', vm.id)).toBeNull();
    });

    it('is saved for many in one call; those whose lease was lost are left out', async () => {
      const host = await upHost(subject());
      const [mine, lost, other] = [
        await placedVm(subject(), host),
        await placedVm(subject(), host),
        await placedVm(subject(), host),
      ];
      await take(subject(), 'me', mine.id);
      await saveOne(subject(), 'me', lost.id, found({ state: 'creating', nextInMs: 0 }));
      await takeAll(subject(), 'somebody else');
      const saved = await subject().saveProgress([
        { vmId: lost.id, lease: 'me', progress: found({ state: 'stopped' }) },
        { vmId: 'no-such-vm', lease: 'me', progress: found() },
        { vmId: other.id, lease: 'me', progress: found({ nextInMs: 0 }) },
        { vmId: mine.id, lease: 'me', progress: found() },
      ]);
      expect([...saved].toSorted()).toEqual([mine.id, other.id].toSorted());
      expect(await subject().vm(lost.id)).toMatchObject({ state: 'creating' });
      expect(await subject().vm(mine.id)).toMatchObject({ state: 'running' });
      const due = (await takeAll(subject(), 'after')).map(({ vm }) => vm.id);
      expect(due).toContain(other.id);
      expect(due).not.toContain(mine.id);
      expect((await subject().saveProgress([])).size).toBe(0);
    });

    it('counts failed tries and forgets them after a good one', async () => {
      const vm = await placedVm(subject(), await upHost(subject()));
      const triesAfter = async (failedTry: boolean) => {
        await saveOne(subject(), 'me', vm.id, found({ nextInMs: 0, failedTry }));
        return (await take(subject(), 'me', vm.id))?.tries;
      };
      await take(subject(), 'me', vm.id);
      expect(await triesAfter(true)).toBe(1);
      expect(await triesAfter(true)).toBe(2);
      expect(await triesAfter(false)).toBe(0);
    });

    it('is due at once when something else was wanted while it was under way', async () => {
      const vm = await placedVm(subject(), await upHost(subject()));
      await take(subject(), 'me', vm.id);
      await subject().want(vm.id, 'deleted', TESTER);
      expect(await take(subject(), 'other', vm.id)).toBeNull();
      await saveOne(subject(), 'me', vm.id, found({ desiredState: 'stopped' }));
      expect(await take(subject(), 'other', vm.id)).toMatchObject({
        vm: { desiredState: 'deleted', state: 'running' },
      });
    });

    it('takes over what a step found to be impossible, unless something else is wanted', async () => {
      const vm = await placedVm(subject(), await upHost(subject()));
      await take(subject(), 'me', vm.id);
      const progress = found({ state: 'stopped', desiredState: 'stopped' });
      expect(await saveOne(subject(), 'me', vm.id, progress)).toMatchObject({
        desiredState: 'stopped',
      });
      expect(await take(subject(), 'me', vm.id)).toBeNull();
    });
  });

  describe('release', () => {
    it('gives the booking back once and notes it for the ledger', async () => {
      const host = await upHost(subject());
      const vm = await placedVm(subject(), host);
      await subject().want(vm.id, 'deleted', TESTER);
      await take(subject(), 'me', vm.id);
      const result = { state: 'deleted' as const, reason: null };
      expect(await subject().releaseVm('me', vm.id, result)).toMatchObject({
        state: 'deleted',
        host: null,
        allocation: null,
      });
      expect(await subject().releaseVm('me', vm.id, result)).toBeNull();
      expect((await hostNow(subject(), host.id)).allocated).toEqual({});
      expect(await take(subject(), 'me', vm.id)).toBeNull();
      const booking = { bookingId: vm.allocation!.bookingId, vmId: vm.id, hostId: host.id };
      expect(await subject().pendingReleases(0, 1_000)).toContainEqual(booking);
      expect(await subject().pendingReleases(600_000, 1_000)).not.toContainEqual(booking);
      await subject().settleReleases([booking.bookingId, 'no-such-booking']);
      expect(await subject().pendingReleases(0, 1_000)).not.toContainEqual(booking);
    });

    it('lets parallel releases of a host each count once', async () => {
      const host = await upHost(subject());
      const items = Array.from({ length: 20 }, () => itemFor(host));
      await recordAll(subject(), items);
      await takeAll(subject(), 'me');
      const release = (id: string) =>
        subject().releaseVm('me', id, { state: 'failed', reason: null });
      const answers = await Promise.all(
        items.flatMap(({ spec }) => [release(spec.id), release(spec.id)]),
      );
      expect(answers.filter((vm) => vm !== null)).toHaveLength(items.length);
      expect((await hostNow(subject(), host.id)).allocated).toEqual({});
      await expectBalanced(subject(), [host.id]);
    });

    it('to be placed again makes it due at once, with the attempt on its list', async () => {
      const host = await upHost(subject());
      const vm = await placedVm(subject(), host);
      await take(subject(), 'me', vm.id);
      const attempt = {
        host: { id: host.id, name: host.name },
        at: new Date('2026-11-21T11:00:00Z'),
        outcome: 'refused' as const,
        detail: 'no room',
      };
      const reason = { code: 'claim_refused', detail: 'no room' };
      await subject().releaseVm('me', vm.id, { state: 'placed', reason, attempt });
      expect(await take(subject(), 'me', vm.id)).toMatchObject({
        contact: null,
        vm: { state: 'placed', host: null, reason, attempts: [{ outcome: 'placed' }, attempt] },
      });
    });

    it('of a VM without a booking works too', async () => {
      const vm = await placedVm(subject(), await upHost(subject()));
      await take(subject(), 'me', vm.id);
      await subject().releaseVm('me', vm.id, { state: 'failed', reason: null });
      const pending = (await subject().pendingReleases(0, 1_000)).length;
      await subject().want(vm.id, 'deleted', TESTER);
      expect(await take(subject(), 'me', vm.id)).toMatchObject({ vm: { state: 'failed' } });
      const result = { state: 'deleted' as const, reason: null };
      expect(await subject().releaseVm('me', vm.id, result)).toMatchObject({ state: 'deleted' });
      expect(await subject().pendingReleases(0, 1_000)).toHaveLength(pending);
    });

    it('of a VM that was wanted gone meanwhile leaves it due', async () => {
      const vm = await placedVm(subject(), await upHost(subject()));
      await take(subject(), 'me', vm.id);
      await subject().want(vm.id, 'deleted', TESTER);
      await subject().releaseVm('me', vm.id, { state: 'failed', reason: null });
      expect(await take(subject(), 'me', vm.id)).toMatchObject({
        contact: null,
        vm: { state: 'failed', desiredState: 'deleted' },
      });
    });

    it('makes room for the next', async () => {
      const host = await upHost(subject(), { cpu: 1, memory: 1, disk: 1 });
      const vm = await placedVm(subject(), host);
      expect(outcomeKinds(await recordAll(subject(), [itemFor(host)]))).toEqual(['over_limit']);
      await take(subject(), 'me', vm.id);
      await subject().releaseVm('me', vm.id, { state: 'failed', reason: null });
      expect(outcomeKinds(await recordAll(subject(), [itemFor(host)]))).toEqual(['recorded']);
    });
  });
}
