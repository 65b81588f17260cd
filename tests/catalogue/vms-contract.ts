/** VMs for readers and for those who want something of them. */
import { TESTER } from '../support/callers.js';
import { describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { VmQuery } from '../../src/model/ports.js';
import {
  failureOf,
  fresh,
  itemFor,
  outcomeKinds,
  placedVm,
  recordAll,
  take,
  upHost,
} from './builders.js';
import type { Subject } from './catalogue-contract.js';

export function describeVms(subject: Subject): void {
  const deletedVm = async () => {
    const vm = await placedVm(subject(), await upHost(subject()));
    await subject().want(vm.id, 'deleted', TESTER);
    await take(subject(), 'me', vm.id);
    await subject().releaseVm('me', vm.id, { state: 'deleted', reason: null });
    return vm;
  };

  describe('VMs', () => {
    it('that are deleted are not shown, and keep their id until they are purged', async () => {
      const vm = await deletedVm();
      const host = await upHost(subject());
      expect(await subject().vm(vm.id)).toBeNull();
      expect(await subject().want(vm.id, 'running', TESTER)).toBeNull();
      expect(await subject().want(vm.id, 'deleted', TESTER)).toBeNull();
      expect(await subject().vmByRequest(vm.id)).toMatchObject({
        vm: { id: vm.id, state: 'deleted' },
        requestHash: `hash of ${vm.id}`,
      });
      const again = itemFor(host, { vmId: vm.id });
      expect(outcomeKinds(await recordAll(subject(), [again]))).toEqual(['taken']);

      await subject().purgeDeleted(600_000);
      expect(await subject().vmByRequest(vm.id)).not.toBeNull();
      await sleep(5);
      expect(await subject().purgeDeleted(1)).toBeGreaterThan(0);
      expect(await subject().vmByRequest(vm.id)).toBeNull();
      expect(outcomeKinds(await recordAll(subject(), [again]))).toEqual(['recorded']);
    });

    it('keep who may log in to their guests, however they are recorded', async () => {
      const host = await upHost(subject());
      const users = [{ name: 'jo', sshKeys: ['ssh-ed25519 AAAA "jo"', 'ssh-rsa BBBB'] }];
      const groups = [{ key: fresh('group'), policy: 'anti-affinity' as const }];
      const none = itemFor(host);
      const items = [itemFor(host, { users }), none, itemFor(host, { users, groups })];
      const outcomes = await recordAll(subject(), items);
      const recorded = outcomes.map((one) => (one.kind === 'recorded' ? one.vm.users : one.kind));
      expect(recorded).toEqual([users, [], users]);
      for (const [index, { spec }] of items.entries()) {
        expect((await subject().vm(spec.id))?.users).toEqual(recorded[index]);
      }
      const alone = itemFor(host, { users });
      await recordAll(subject(), [alone]);
      expect((await subject().vm(alone.spec.id))?.users).toEqual(users);
      const after = itemFor(host);
      await recordAll(subject(), [after]);
      expect((await subject().vm(after.spec.id))?.users).toEqual([]);
    });

    it('that nobody made are not there', async () => {
      expect(await subject().vm('no-such-vm')).toBeNull();
      expect(await subject().vmByRequest('no-such-vm')).toBeNull();
      expect(await subject().want('no-such-vm', 'deleted', TESTER)).toBeNull();
    });

    it('are purged when deleted, never otherwise', async () => {
      const vm = await placedVm(subject(), await upHost(subject()));
      await subject().purgeDeleted(0);
      expect(await subject().vm(vm.id)).toEqual(vm);
    });

    it('may be wanted gone at any time, and nothing else from then on', async () => {
      const vm = await placedVm(subject(), await upHost(subject()));
      expect(await subject().want(vm.id, 'stopped', TESTER)).toMatchObject({
        desiredState: 'stopped',
      });
      expect(await subject().want(vm.id, 'running', TESTER)).toMatchObject({
        desiredState: 'running',
      });
      expect(await subject().want(vm.id, 'deleted', TESTER)).toMatchObject({
        desiredState: 'deleted',
      });
      expect(await subject().want(vm.id, 'deleted', TESTER)).toMatchObject({
        desiredState: 'deleted',
      });
      expect((await failureOf(subject().want(vm.id, 'running', TESTER))).code).toBe(
        'state_conflict',
      );
      expect((await failureOf(subject().want(vm.id, 'stopped', TESTER))).code).toBe(
        'state_conflict',
      );
    });

    it('that have failed can only be wanted gone', async () => {
      const vm = await placedVm(subject(), await upHost(subject()));
      await take(subject(), 'me', vm.id);
      await subject().releaseVm('me', vm.id, { state: 'failed', reason: null });
      expect((await failureOf(subject().want(vm.id, 'running', TESTER))).code).toBe(
        'state_conflict',
      );
      expect(await subject().want(vm.id, 'deleted', TESTER)).toMatchObject({ state: 'failed' });
    });
  });

  describe('lists of VMs', () => {
    const idsOf = async (query: Omit<VmQuery, 'cursor' | 'limit'>, limit: number) => {
      const ids: string[] = [];
      let cursor: string | null = null;
      do {
        const page: Awaited<ReturnType<ReturnType<Subject>['vms']>> = await subject().vms({
          ...query,
          limit,
          cursor,
        });
        expect(page.items.length).toBeLessThanOrEqual(limit);
        ids.push(...page.items.map(({ id }) => id));
        cursor = page.nextCursor;
      } while (cursor !== null);
      return ids;
    };

    it('come in order of creation, whole whatever the size of a page', async () => {
      const host = await upHost(subject());
      const items = Array.from({ length: 7 }, () => itemFor(host));
      await recordAll(subject(), items);
      const ids = items.map(({ spec }) => spec.id);
      for (const limit of [1, 3, 7, 100]) {
        expect(await idsOf({ hostId: host.id }, limit)).toEqual(ids);
      }
      expect(await idsOf({ hostId: host.name }, 3)).toEqual(ids);
    });

    it('skip and repeat nothing when VMs come and go between pages', async () => {
      const host = await upHost(subject());
      const [a, b, c, d] = [
        await placedVm(subject(), host),
        await placedVm(subject(), host),
        await placedVm(subject(), host),
        await placedVm(subject(), host),
      ];
      const first = await subject().vms({ limit: 2, cursor: null, hostId: host.id });
      await subject().want(b.id, 'deleted', TESTER);
      await take(subject(), 'me', b.id);
      await subject().releaseVm('me', b.id, { state: 'deleted', reason: null });
      const e = await placedVm(subject(), host);
      const rest = await subject().vms({ limit: 9, cursor: first.nextCursor, hostId: host.id });
      expect(first.items.map(({ id }) => id)).toEqual([a.id, b.id]);
      expect(rest.items.map(({ id }) => id)).toEqual([c.id, d.id, e.id]);
      expect(rest.nextCursor).toBeNull();
    });

    it('can be narrowed by path, with what is below it, and by state', async () => {
      const host = await upHost(subject());
      const tenant = fresh('tenant');
      const [at, below] = [
        await placedVm(subject(), host, { path: tenant }),
        await placedVm(subject(), host, { path: `${tenant}:web` }),
      ];
      await placedVm(subject(), host, { path: `${tenant}2` });
      expect(await idsOf({ path: tenant }, 9)).toEqual([at.id, below.id]);
      expect(await idsOf({ path: `${tenant}:web` }, 9)).toEqual([below.id]);
      expect(await idsOf({ path: tenant, state: 'running' }, 9)).toEqual([]);
      expect(await idsOf({ path: tenant, state: 'placed' }, 9)).toEqual([at.id, below.id]);
    });

    it('refuse a cursor that is not theirs', async () => {
      for (const cursor of [
        '',
        'x',
        'cA',
        'MTI',
        '%00',
        Buffer.from('p-1').toString('base64url'),
      ]) {
        for (const list of [
          subject().vms({ limit: 1, cursor }),
          subject().hosts({ limit: 1, cursor }),
        ]) {
          const failure = await failureOf(list);
          expect(failure.code).toBe('invalid_request');
          expect(failure.errors).toMatchObject([{ field: 'cursor' }]);
        }
      }
    });
  });
}
