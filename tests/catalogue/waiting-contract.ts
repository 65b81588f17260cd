/** The line of VMs that wait for room. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Arrival } from '../../src/model/stores/waiting.js';
import { TESTER } from '../support/callers.js';
import {
  failureOf,
  fresh,
  itemFor,
  ONE,
  outcomeKinds,
  recordAll,
  take,
  upHost,
} from './builders.js';
import type { Subject } from './catalogue-contract.js';

const LONG_MS = 600_000;

export function describeWaiting(subject: Subject): void {
  const arrival = (changes: Partial<Arrival> = {}): Arrival => {
    const id = fresh('waiting');
    return {
      spec: {
        id,
        name: `${id}-name`,
        path: 'acme:web',
        resources: ONE,
        image: 'debian-12',
        users: [{ name: 'jo', sshKeys: ['ssh-ed25519 AAAA'] }],
        constraints: { zone: 'a' },
        onHostLoss: 'restart',
      },
      requestHash: `hash of ${id}`,
      strategy: null,
      waitMs: LONG_MS,
      by: TESTER,
      ...changes,
    };
  };
  const enter = async (changes: Partial<Arrival> = {}) => {
    const entered = arrival(changes);
    await subject().enqueueVm(entered);
    return entered.spec.id;
  };
  const line = async () => (await subject().waitingVms(0, 1_000)).map(({ spec }) => spec.id);
  const end = async (id: string) => {
    await subject().want(id, 'deleted', TESTER);
    await take(subject(), 'me', id);
    return subject().releaseVm('me', id, { state: 'deleted', reason: null });
  };

  describe('the line of those who wait', () => {
    // It is one line for all of them.
    afterEach(async () => {
      for (const id of await line()) await end(id);
    });

    it('is in order of arrival, with all that placing needs', async () => {
      const first = arrival({ strategy: 'best-fit' });
      await subject().enqueueVm(first);
      const others = [await enter(), await enter()];
      expect(await line()).toEqual([first.spec.id, ...others]);
      const [front] = await subject().waitingVms(0, 1);
      expect(front).toMatchObject({ spec: first.spec, strategy: 'best-fit' });
      expect((await subject().waitingVms(front?.seq ?? 0, 9)).map(({ spec }) => spec.id)).toEqual(
        others,
      );
      const { items } = await subject().vms({ limit: 9, cursor: null, state: 'waiting' });
      expect(items.map(({ id }) => id)).toEqual([first.spec.id, ...others]);
    });

    it('shows who waits, until when, and that nothing is booked', async () => {
      const before = Date.now();
      const { vm, requestHash } = await subject().enqueueVm(arrival());
      expect(vm).toMatchObject({
        state: 'waiting',
        desiredState: 'running',
        host: null,
        allocation: null,
        attempts: [],
      });
      expect(requestHash).toBe(`hash of ${vm.id}`);
      expect(vm.waitUntil?.getTime()).toBeGreaterThan(before + LONG_MS / 2);
      expect(await subject().vm(vm.id)).toEqual(vm);
    });

    it('counts, and changes its number with every arrival', async () => {
      expect(await subject().waitingLine()).toEqual({ count: 0, newest: 0 });
      await enter();
      const one = await subject().waitingLine();
      await enter();
      const two = await subject().waitingLine();
      expect([one.count, two.count]).toEqual([1, 2]);
      expect(two.newest).toBeGreaterThan(one.newest);
    });

    it('takes the same request once, and tells whose an id is', async () => {
      const entered = arrival();
      const { vm } = await subject().enqueueVm(entered);
      const repeated = await subject().enqueueVm({ ...entered, waitMs: 1, requestHash: 'other' });
      expect(repeated).toEqual({ vm, requestHash: entered.requestHash });
      expect(await line()).toEqual([vm.id]);
      await end(vm.id);
      expect(await subject().enqueueVm(entered)).toMatchObject({ vm: { state: 'deleted' } });
      expect(await line()).toEqual([]);
    });

    it('is left with a host', async () => {
      const host = await upHost(subject());
      const id = await enter();
      const item = itemFor(host, { kind: 'again', vmId: id });
      expect(await recordAll(subject(), [item])).toMatchObject([
        {
          kind: 'recorded',
          vm: { id, state: 'placed', host: { id: host.id }, waitUntil: null, path: 'acme:web' },
        },
      ]);
      expect(await line()).toEqual([]);
      // The lifecycle goes on with it.
      expect(await take(subject(), 'me', id)).not.toBeNull();
      expect(outcomeKinds(await recordAll(subject(), [item]))).toEqual(['recorded']);
      const second = itemFor(host, { kind: 'again', vmId: id });
      expect(outcomeKinds(await recordAll(subject(), [second]))).toEqual(['gone']);
    });

    it('is left by a delete, after which nobody places it any more', async () => {
      const host = await upHost(subject());
      const id = await enter();
      expect(await take(subject(), 'me', id)).toBeNull();
      await subject().want(id, 'deleted', TESTER);
      expect(await line()).toEqual([]);
      expect(await subject().waitingLine()).toMatchObject({ count: 0 });
      const item = itemFor(host, { kind: 'again', vmId: id });
      expect(outcomeKinds(await recordAll(subject(), [item]))).toEqual(['gone']);
      expect(await take(subject(), 'me', id)).toMatchObject({ contact: null });
      expect(await subject().releaseVm('me', id, { state: 'deleted', reason: null })).toMatchObject(
        { state: 'deleted', waitUntil: null },
      );
    });

    it('is no place to be started or stopped', async () => {
      const id = await enter();
      for (const desired of ['running', 'stopped'] as const) {
        const failure = await failureOf(subject().want(id, desired, TESTER));
        expect(failure.code).toBe('state_conflict');
        expect(failure.extra).toMatchObject({ state: 'waiting' });
      }
      expect(await line()).toEqual([id]);
    });

    it('is over at the deadline, and not before', async () => {
      const patient = await enter();
      const late = [await enter({ waitMs: 1 }), await enter({ waitMs: 1 })];
      await sleep(20);
      expect(await line()).toEqual([patient]);
      expect(await subject().expireWaiting(1)).toEqual([late[0]]);
      expect(await subject().expireWaiting(9)).toEqual([late[1]]);
      expect(await subject().expireWaiting(9)).toEqual([]);
      expect(await subject().vm(late[0] ?? '')).toMatchObject({
        state: 'failed',
        waitUntil: null,
        reason: { code: 'wait_deadline' },
      });
      expect(await subject().vm(patient)).toMatchObject({ state: 'waiting' });
      const host = await upHost(subject());
      const item = itemFor(host, { kind: 'again', vmId: late[0] ?? '' });
      expect(outcomeKinds(await recordAll(subject(), [item]))).toEqual(['gone']);
    });
  });
}
