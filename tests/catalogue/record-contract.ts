/** The record: the last word on bookings. */
import { TESTER } from '../support/callers.js';
import { modePatch } from '../support/hosts.js';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { RecordItem } from '../../src/model/ports.js';
import {
  expectBalanced,
  fresh,
  hostNow,
  itemFor,
  joinRequest,
  LARGE,
  missedPoll,
  ONE,
  outcomeKinds,
  placedVm,
  recordAll,
  take,
  upHost,
} from './builders.js';
import type { Subject } from './catalogue-contract.js';

export function describeRecord(subject: Subject): void {
  describe('record', () => {
    it('makes the VM and books it', async () => {
      const host = await upHost(subject());
      const item = itemFor(host, { path: 'acme:web', resources: { cpu: 2, memory: 512 } });
      const [outcome] = await recordAll(subject(), [item]);
      if (outcome?.kind !== 'recorded') throw new Error('it was not recorded');
      expect(outcome.vm).toMatchObject({
        ...item.spec,
        desiredState: 'running',
        state: 'placed',
        host: { id: host.id, name: host.name },
        allocation: { bookingId: item.booking.bookingId, assignment: outcome.assignment },
        attempts: [item.attempt],
        reason: null,
        hasRun: false,
      });
      expect(outcome.vm.createdAt).toBeInstanceOf(Date);
      expect(await subject().vm(item.spec.id)).toEqual(outcome.vm);
      expect((await hostNow(subject(), host.id)).allocated).toEqual({ cpu: 2, memory: 512 });
      const { allocations } = await subject().snapshot();
      const { frees: _frees, set: _set, ...booking } = item.booking;
      expect(allocations).toContainEqual({ ...booking, assignment: outcome.assignment });
    });

    it('is exact at the limit under parallel callers: room for 37 of 200', async () => {
      const hosts = [
        await upHost(subject(), { cpu: 20, memory: 1_000, disk: 1_000 }),
        await upHost(subject(), { cpu: 1_000, memory: 12, disk: 1_000 }),
        await upHost(subject(), { cpu: 1_000, memory: 1_000, disk: 15 }),
      ];
      const items = Array.from({ length: 200 }, (_none, index) =>
        itemFor(hosts[index % hosts.length]!, {
          resources: { cpu: index % hosts.length === 0 ? 2 : 1, memory: 1, disk: 1 },
        }),
      );
      const outcomes = (
        await Promise.all(items.map((item) => recordAll(subject(), [item])))
      ).flat();
      const kinds = outcomeKinds(outcomes);
      expect(kinds.filter((kind) => kind === 'recorded')).toHaveLength(10 + 12 + 15);
      expect(kinds.filter((kind) => kind === 'over_limit')).toHaveLength(200 - 37);
      await expectBalanced(
        subject(),
        hosts.map(({ id }) => id),
      );
    });

    it('answers each item of a batch by itself, in order', async () => {
      const open = await upHost(subject());
      const full = await upHost(subject(), { cpu: 1, memory: 1, disk: 1 });
      const cordoned = await upHost(subject());
      await subject().patchHost(cordoned.id, modePatch('cordoned', 'test'), TESTER);
      const joining = await subject().joinHost(joinRequest(), TESTER);
      const down = await upHost(subject());
      await subject().saveHostPolls([missedPoll(down.id, 'down', 3)]);
      const known = await placedVm(subject(), open);
      const twice = fresh('vm');
      const outcomes = await recordAll(subject(), [
        itemFor(open),
        itemFor(full, { resources: { cpu: 2 } }),
        itemFor(full),
        itemFor(full),
        itemFor(full, { resources: { gpu: 1 } }),
        itemFor(full, { resources: { gpu: 0 } }),
        itemFor(cordoned),
        itemFor(joining),
        itemFor(down),
        itemFor({ id: 'nowhere', name: 'nowhere' }),
        itemFor(open, { vmId: known.id }),
        itemFor(open, { kind: 'again' }),
        itemFor(open, { vmId: twice }),
        itemFor(open, { vmId: twice }),
        itemFor(open),
      ]);
      expect(outcomeKinds(outcomes)).toEqual([
        'recorded',
        'over_limit',
        'recorded',
        'over_limit',
        'over_limit',
        'recorded',
        'closed',
        'closed',
        'closed',
        'closed',
        'taken',
        'gone',
        'recorded',
        'taken',
        'recorded',
      ]);
      await expectBalanced(subject(), [open.id, full.id, cordoned.id, joining.id, down.id]);
    });

    it('records plain VMs beside others in one batch, each in its place and for its own asker', async () => {
      const host = await upHost(subject());
      const key = `root/${fresh('group')}`;
      const set = fresh('set');
      const plainFor = (name: string): RecordItem => ({
        ...itemFor(host, { resources: { cpu: 1, memory: 2 } }),
        by: { ...TESTER, id: name, name },
      });
      const items = [
        plainFor('ann'),
        itemFor(host, { groups: [{ key, policy: 'anti-affinity' }] }),
        plainFor('bob'),
        itemFor(host, { set }),
        itemFor(host, { set, groups: [{ key, policy: 'anti-affinity' }] }),
        itemFor(host, { resources: {} }),
        { ...itemFor(host, { kind: 'reserve' }), by: { ...TESTER, id: 'cyd', name: 'cyd' } },
        plainFor('ann'),
      ];
      const outcomes = await recordAll(subject(), items);
      expect(outcomeKinds(outcomes)).toEqual([
        ...['recorded', 'recorded', 'recorded', 'set', 'group', 'recorded', 'reserved', 'recorded'],
      ]);
      expect(
        outcomes.map((outcome) => (outcome.kind === 'recorded' ? outcome.vm.id : null)),
      ).toEqual(items.map(({ spec }, place) => ([3, 4, 6].includes(place) ? null : spec.id)));
      await expectBalanced(subject(), [host.id]);
      const askers = await Promise.all(
        items.map(async ({ spec }) => {
          const page = await subject().audit({ limit: 10, cursor: null, subject: spec.id });
          return page.items.map(({ actor, action }) => `${actor.id} ${action}`);
        }),
      );
      expect(askers).toEqual([
        ['ann vm.create'],
        [],
        ['bob vm.create'],
        ...[[], [], []],
        ['cyd reservation.create'],
        ['ann vm.create'],
      ]);
    });

    it('finds out who is refused where a host has no room for all of a batch', async () => {
      const [host, other] = [await upHost(subject(), { cpu: 5 }), await upHost(subject())];
      const items = [2, 2, 2, 1].map((cpu) => itemFor(host, { resources: { cpu } }));
      const outcomes = await recordAll(subject(), [itemFor(other), ...items, itemFor(other)]);
      expect(outcomeKinds(outcomes)).toEqual([
        ...['recorded', 'recorded', 'recorded', 'over_limit', 'recorded', 'recorded'],
      ]);
      expect((await hostNow(subject(), host.id)).allocated).toEqual({ cpu: 5 });
      await expectBalanced(subject(), [host.id, other.id]);
    });

    it('answers a repeat as it did the first time, and books nothing twice', async () => {
      const host = await upHost(subject(), { cpu: 3, memory: 3, disk: 3 });
      const batch = [itemFor(host), itemFor(host), itemFor(host)];
      const first = await recordAll(subject(), batch);
      // The host is full and closed by now; that must not matter to what is recorded already.
      await subject().patchHost(host.id, modePatch('cordoned', 'test'), TESTER);
      expect(await recordAll(subject(), batch)).toEqual(first);
      expect((await hostNow(subject(), host.id)).allocated).toEqual({ cpu: 3, memory: 3, disk: 3 });
      await expectBalanced(subject(), [host.id]);
    });

    it('believes no ledger between the beginning and the end of a rebuild', async () => {
      const epoch = await subject().nextEpoch(0);
      expect(await subject().epoch()).toMatchObject({ epoch, incarnation: null });
      expect(await subject().agree(epoch, 'new')).toBe(true);
      expect(await subject().epoch()).toMatchObject({ epoch, incarnation: 'new' });
      const later = await subject().nextEpoch(epoch + 100);
      expect(later).toBe(epoch + 101);
      expect(await subject().agree(epoch, 'late')).toBe(false);
      expect(await subject().epoch()).toMatchObject({ epoch: later, incarnation: null });
    });

    it('records nothing under an epoch that is over', async () => {
      const host = await upHost(subject());
      const item = itemFor(host);
      const { epoch } = await subject().epoch();
      expect(await subject().nextEpoch(0)).toBe(epoch + 1);
      expect(await subject().record(epoch, 1, [item])).toEqual({ kind: 'stale_epoch' });
      expect(await subject().vm(item.spec.id)).toBeNull();
      expect((await hostNow(subject(), host.id)).allocated).toEqual({});
      expect(await subject().record(epoch + 1, 1, [item])).toMatchObject({ kind: 'done' });
    });

    it('keeps the highest sequence number', async () => {
      const host = await upHost(subject());
      const { epoch, highWater } = await subject().epoch();
      await subject().record(epoch, highWater + 7, [itemFor(host)]);
      await subject().record(epoch, highWater + 5, [itemFor(host)]);
      expect(await subject().epoch()).toMatchObject({ epoch, highWater: highWater + 7 });
    });

    it('answers an empty batch, and still looks at the epoch', async () => {
      const { epoch, highWater } = await subject().epoch();
      expect(await subject().record(epoch, highWater, [])).toEqual({ kind: 'done', outcomes: [] });
      expect(await subject().record(epoch - 1, highWater, [])).toEqual({ kind: 'stale_epoch' });
    });

    it('gives every placement a higher assignment than any before', async () => {
      const hosts = [await upHost(subject()), await upHost(subject())];
      const outcomes = await recordAll(
        subject(),
        [0, 1, 0, 1].map((index) => itemFor(hosts[index]!)),
      );
      const numbers = outcomes.map((outcome) =>
        outcome.kind === 'recorded' ? outcome.assignment : 0,
      );
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
      expect(new Set(numbers).size).toBe(4);
    });

    it('gives a VM that lost its host a new one, once', async () => {
      const [left, right] = [await upHost(subject()), await upHost(subject())];
      const vm = await placedVm(subject(), left);
      const again = itemFor(right, { kind: 'again', vmId: vm.id });
      expect(outcomeKinds(await recordAll(subject(), [again]))).toEqual(['gone']);

      await take(subject(), 'me', vm.id);
      const reason = { code: 'claim_refused', detail: 'no room' };
      const attempt = { ...again.attempt, outcome: 'refused' as const, detail: 'no room' };
      await subject().releaseVm('me', vm.id, { state: 'placed', reason, attempt });
      const next = itemFor(right, { kind: 'again', vmId: vm.id });
      const [first] = await recordAll(subject(), [next]);
      expect(first).toMatchObject({
        kind: 'recorded',
        vm: { state: 'placed', host: { id: right.id }, reason: null },
      });
      expect(await recordAll(subject(), [next])).toEqual([first]);
      const second = itemFor(left, { kind: 'again', vmId: vm.id });
      expect(outcomeKinds(await recordAll(subject(), [second]))).toEqual(['gone']);
      const { attempts, allocation } = (await subject().vm(vm.id))!;
      expect(attempts.map(({ outcome }) => outcome)).toEqual(['placed', 'refused', 'placed']);
      expect(allocation!.assignment).toBeGreaterThan(vm.allocation!.assignment);
      await expectBalanced(subject(), [left.id, right.id]);
    });

    it('does not bring back a booking that was released before its repeat came', async () => {
      const host = await upHost(subject());
      const item = itemFor(host);
      await recordAll(subject(), [item]);
      await take(subject(), 'me', item.spec.id);
      await subject().releaseVm('me', item.spec.id, { state: 'placed', reason: null });
      const repeats: RecordItem[] = [item, { ...item, kind: 'again' }];
      expect(outcomeKinds(await recordAll(subject(), repeats))).toEqual(['taken', 'gone']);
      expect((await hostNow(subject(), host.id)).allocated).toEqual({});
    });

    it('keeps what an agent or a caller may write: quotes, any letter, halves of letters', async () => {
      const host = await upHost(subject());
      const item = itemFor(host);
      const detail = `'; drop table vms; -- "\\ \u0000 é 🚢 \ud83d`;
      const odd: RecordItem = {
        ...item,
        spec: { ...item.spec, constraints: { labels: { required: { "a'b": 'c"d' } } } },
        attempt: { ...item.attempt, detail },
      };
      const [outcome] = await recordAll(subject(), [odd]);
      expect(outcome).toMatchObject({
        vm: {
          constraints: odd.spec.constraints,
          attempts: [{ detail: `'; drop table vms; -- "\\ \ufffd é 🚢 \ufffd` }],
        },
      });
    });

    it('keeps sums exact up to the largest amount', async () => {
      const huge = Number.MAX_SAFE_INTEGER;
      const host = await upHost(subject(), { disk: huge });
      const outcomes = await recordAll(subject(), [
        itemFor(host, { resources: { disk: huge - 1 } }),
        itemFor(host, { resources: { disk: huge } }),
        itemFor(host, { resources: { disk: 1 } }),
        itemFor(host, { resources: { disk: 1 } }),
      ]);
      expect(outcomeKinds(outcomes)).toEqual(['recorded', 'over_limit', 'recorded', 'over_limit']);
      expect((await hostNow(subject(), host.id)).allocated).toEqual({ disk: huge });
    });

    it('balances after any order of placing, releasing and repeating', async () => {
      const act = fc.record({
        what: fc.constantFrom('create', 'repeat', 'replace', 'fail', 'delete'),
        pick: fc.nat(),
        cpu: fc.nat({ max: 4 }),
        memory: fc.nat({ max: 4 }),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(act, { minLength: 5, maxLength: 25 }), async (acts) => {
          const hosts = [
            await upHost(subject(), { cpu: 8, memory: 8 }),
            await upHost(subject(), ONE),
          ];
          const items: RecordItem[] = [];
          for (const { what, pick, cpu, memory } of acts) {
            const host = hosts[pick % hosts.length]!;
            const item = items[pick % Math.max(1, items.length)];
            if (what === 'create' || item === undefined) {
              items.push(itemFor(host, { resources: { cpu, memory } }));
              await recordAll(subject(), items.slice(-1));
            } else if (what === 'repeat') {
              await recordAll(subject(), [item, item]);
            } else {
              const { id } = item.spec;
              if (what === 'delete') await subject().want(id, 'deleted', TESTER);
              await take(subject(), 'prop', id);
              const state = ({ replace: 'placed', fail: 'failed', delete: 'deleted' } as const)[
                what
              ];
              await subject().releaseVm('prop', id, { state, reason: null });
              await subject().releaseVm('prop', id, { state, reason: null });
              if (what !== 'replace') continue;
              const booking = { ...item.booking, bookingId: fresh('booking'), hostId: host.id };
              await recordAll(subject(), [{ ...item, kind: 'again', booking }]);
            }
          }
          await expectBalanced(
            subject(),
            hosts.map(({ id }) => id),
          );
        }),
        { numRuns: 12 },
      );
    }, 60_000);

    it('says which bookings are recorded', async () => {
      const host = await upHost(subject(), LARGE);
      const item = itemFor(host);
      const [outcome] = await recordAll(subject(), [item]);
      const known = await subject().recordedBookings([item.booking.bookingId, 'no-such-booking']);
      expect([...known]).toEqual([
        [item.booking.bookingId, outcome?.kind === 'recorded' ? outcome.assignment : null],
      ]);
      expect((await subject().recordedBookings([])).size).toBe(0);
    });
  });
}
