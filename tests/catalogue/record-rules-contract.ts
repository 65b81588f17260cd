/** The record: rules of groups, sets that are recorded as a whole, and hosts that are over-full. */
import { describe, expect, it } from '@jest/globals';
import type { GroupPolicy } from '../../src/model/groups.js';
import type { RecordItem } from '../../src/model/ports.js';
import {
  answeredPoll,
  expectBalanced,
  fresh,
  hostNow,
  itemFor,
  outcomeKinds,
  placedVm,
  recordAll,
  reportOf,
  take,
  totalsWith,
  upHost,
} from './builders.js';
import type { Subject } from './catalogue-contract.js';

const member = (key: string, policy: GroupPolicy) => ({ groups: [{ key, policy }] });

export function describeRecordRules(subject: Subject): void {
  describe('hard rules of groups', () => {
    const kindsOf = async (items: readonly RecordItem[]) =>
      outcomeKinds(await recordAll(subject(), items));

    it('keeps members of an anti-affinity apart, under parallel callers', async () => {
      const hosts = [await upHost(subject()), await upHost(subject()), await upHost(subject())];
      const key = `root/${fresh('group')}`;
      const items = Array.from({ length: 12 }, (_none, index) =>
        itemFor(hosts[index % 3]!, member(key, 'anti-affinity')),
      );
      const kinds = (await Promise.all(items.map((item) => kindsOf([item])))).flat();
      expect(kinds.filter((kind) => kind === 'recorded')).toHaveLength(3);
      expect(kinds.filter((kind) => kind === 'group')).toHaveLength(9);
      for (const { id } of hosts) expect((await hostNow(subject(), id)).vms).toBe(1);
    });

    it('lets nobody of the group join one that wants to be alone, whatever his own rule', async () => {
      const host = await upHost(subject());
      const key = `root/${fresh('group')}`;
      expect(
        await kindsOf([
          itemFor(host, member(key, 'soft-affinity')),
          itemFor(host, member(key, 'soft-anti-affinity')),
          // There are members already.
          itemFor(host, member(key, 'anti-affinity')),
        ]),
      ).toEqual(['recorded', 'recorded', 'group']);
      const other = await upHost(subject());
      expect(
        await kindsOf([
          itemFor(other, member(key, 'anti-affinity')),
          itemFor(other, member(key, 'soft-affinity')),
          itemFor(other, member(`${key}-2`, 'affinity')),
        ]),
      ).toEqual(['recorded', 'group', 'recorded']);
    });

    it('keeps members of an affinity together, once there is one', async () => {
      const [left, right] = [await upHost(subject()), await upHost(subject())];
      const key = `root/${fresh('group')}`;
      expect(
        await kindsOf([
          itemFor(left, member(key, 'affinity')),
          itemFor(right, member(key, 'affinity')),
          itemFor(left, member(key, 'affinity')),
          itemFor(right, member(key, 'soft-affinity')),
          // Now there is one on either.
          itemFor(right, member(key, 'affinity')),
        ]),
      ).toEqual(['recorded', 'group', 'recorded', 'recorded', 'recorded']);
    });

    it('forgets a member with its booking, and tells who is left in the snapshot', async () => {
      const host = await upHost(subject());
      const key = `root/${fresh('group')}`;
      const vm = await placedVm(subject(), host, member(key, 'anti-affinity'));
      const own = async () =>
        (await subject().snapshot()).allocations.filter(({ hostId }) => hostId === host.id);
      expect((await own()).map(({ groups }) => groups)).toEqual([
        [{ key, policy: 'anti-affinity' }],
      ]);
      await take(subject(), 'me', vm.id);
      await subject().releaseVm('me', vm.id, { state: 'failed', reason: null });
      expect(await kindsOf([itemFor(host, member(key, 'anti-affinity'))])).toEqual(['recorded']);
    });

    it('keeps which wishes a place breaks, and with which strategy it was chosen', async () => {
      const host = await upHost(subject());
      const violations = [{ name: 'web', policy: 'soft-anti-affinity' as const }];
      const item: RecordItem = { ...itemFor(host), violations, strategy: 'best-fit' };
      await recordAll(subject(), [item]);
      expect(await subject().vm(item.spec.id)).toMatchObject({ violations, strategy: 'best-fit' });
    });
  });

  describe('sets', () => {
    it('records all of a set, or nothing and says who is to blame', async () => {
      const host = await upHost(subject(), { cpu: 3, memory: 100, disk: 100 });
      const inSet = (set: string, count: number) =>
        Array.from({ length: count }, () => itemFor(host, { set, resources: { cpu: 1 } }));
      const [large, small, last] = [inSet('large', 4), inSet('small', 2), inSet('last', 2)];
      const outcomes = await recordAll(subject(), [...large, ...small, ...last]);
      expect(outcomeKinds(outcomes)).toEqual([
        ...['set', 'set', 'set', 'over_limit'],
        ...['recorded', 'recorded'],
        ...['set', 'over_limit'],
      ]);
      expect((await hostNow(subject(), host.id)).allocated).toEqual({ cpu: 2 });
      expect(await subject().vm(large[0]!.spec.id)).toBeNull();
      await expectBalanced(subject(), [host.id]);
    });

    it('stands beside single ones in one batch, in order', async () => {
      const host = await upHost(subject());
      const known = await placedVm(subject(), host);
      const outcomes = await recordAll(subject(), [
        itemFor(host),
        itemFor(host, { set: 'bad' }),
        itemFor(host, { set: 'bad', vmId: known.id }),
        itemFor(host, { set: 'bad' }),
        itemFor(host),
        itemFor(host, { set: 'good' }),
      ]);
      expect(outcomeKinds(outcomes)).toEqual([
        'recorded',
        'set',
        'taken',
        'set',
        'recorded',
        'recorded',
      ]);
      await expectBalanced(subject(), [host.id]);
    });

    it('answers a repeat of a set as it did, even if one of it has ended since', async () => {
      const host = await upHost(subject());
      const items = [itemFor(host, { set: 'twice' }), itemFor(host, { set: 'twice' })];
      const first = await recordAll(subject(), items);
      expect(outcomeKinds(first)).toEqual(['recorded', 'recorded']);
      expect(await recordAll(subject(), items)).toEqual(first);
      await take(subject(), 'me', items[0]!.spec.id);
      await subject().releaseVm('me', items[0]!.spec.id, { state: 'failed', reason: null });
      expect(outcomeKinds(await recordAll(subject(), items))).toEqual(['taken', 'recorded']);
      await expectBalanced(subject(), [host.id]);
    });
  });

  it('takes nothing on a host that is over-full in any class', async () => {
    const host = await upHost(subject(), { cpu: 10, memory: 10, disk: 10 });
    await placedVm(subject(), host, { resources: { disk: 10 } });
    const totals = totalsWith({ cpu: 10, memory: 10, disk: 4 });
    // A shrink counts when it is said twice.
    for (let said = 0; said < 2; said += 1) {
      await subject().saveHostPolls([
        { ...answeredPoll(host), status: reportOf(host, { totals }) },
      ]);
    }
    const kinds = outcomeKinds(
      await recordAll(subject(), [
        itemFor(host, { resources: { cpu: 5 } }),
        itemFor(host, { resources: { disk: 1 } }),
      ]),
    );
    expect(kinds).toEqual(['closed', 'closed']);
  });
}
