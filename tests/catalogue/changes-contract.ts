/** What a rebuild reads: bookings page by page beside live traffic, and what has changed since. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import type { CatalogueMark } from '../../src/model/ports.js';
import type { Host } from '../../src/model/host.js';
import { addResources } from '../../src/model/resources.js';
import type { Allocation } from '../../src/model/vm.js';
import { TESTER } from '../support/callers.js';
import { fresh, itemFor, placedVm, recordAll, take, upHost } from './builders.js';
import type { Subject } from './catalogue-contract.js';

const NOTHING_KNOWN: ReadonlyMap<string, number> = new Map();
const PAGE = 3;
const MARK_LIMIT_MS = 30_000;

/** Bookings as a reader knows them, by VM or reservation. */
type Known = Map<string, Allocation>;

export function describeChanges(subject: Subject): void {
  async function readPages(known: Known): Promise<void> {
    let cursor: string | null = null;
    do {
      const page: { items: readonly Allocation[]; nextCursor: string | null } =
        await subject().bookings({ limit: PAGE, cursor });
      for (const one of page.items) known.set(one.vmId, one);
      cursor = page.nextCursor;
    } while (cursor !== null);
  }

  async function catchUp(known: Known, mark: CatalogueMark): Promise<CatalogueMark> {
    const changes = await subject().changesSince(mark, NOTHING_KNOWN);
    for (const { vmId, bookingId } of changes.gone) {
      if (known.get(vmId)?.bookingId === bookingId) known.delete(vmId);
    }
    for (const one of changes.allocations) known.set(one.vmId, one);
    return changes.mark;
  }

  const inOrder = (all: Iterable<Allocation>) =>
    [...all].sort((left, right) => (left.bookingId < right.bookingId ? -1 : 1));

  async function remove(vmId: string): Promise<void> {
    const lease = fresh('remover');
    await subject().want(vmId, 'deleted', TESTER);
    await take(subject(), lease, vmId);
    const vm = await subject().releaseVm(lease, vmId, { state: 'deleted', reason: null });
    expect(vm?.state).toBe('deleted');
  }

  async function vmsComeAndGo(host: Host, times: number): Promise<void> {
    for (let time = 0; time < times; time += 1) {
      const vm = await placedVm(subject(), host);
      if (time % 2 === 0) await remove(vm.id);
    }
  }

  async function roomsComeAndGo(host: Host, times: number): Promise<void> {
    for (let time = 0; time < times; time += 1) {
      const room = {
        ...itemFor(host, { kind: 'reserve' }),
        reservation: { purpose: 'held' as const, endsInMs: 60_000 },
      };
      await recordAll(subject(), [room]);
      if (time % 2 === 0) await subject().endReservation(room.spec.id, TESTER);
    }
  }

  /**
   * A mark behind which nothing is told of these any more. Work of others that is under way at the
   * server, if on another database, holds a mark back: then more is told than is new.
   */
  async function markBehind(vmIds: readonly string[]): Promise<CatalogueMark> {
    const untilMs = performance.now() + MARK_LIMIT_MS;
    for (;;) {
      const mark = await subject().mark();
      const { allocations, gone } = await subject().changesSince(mark, NOTHING_KNOWN);
      const told = new Set([...allocations, ...gone].map(({ vmId }) => vmId));
      const left = vmIds.filter((vmId) => told.has(vmId));
      if (left.length === 0) return mark;
      if (performance.now() > untilMs) throw new Error(`always told again: ${left.join(', ')}`);
      await sleep(100);
    }
  }

  describe('changes', () => {
    it('over pages that were read beside live traffic give what there is', async () => {
      const [one, other] = [await upHost(subject()), await upHost(subject())];
      await vmsComeAndGo(one, 8);
      const known: Known = new Map();
      let mark = await subject().mark();
      const traffic = { isOver: false };
      const comings = Promise.all([vmsComeAndGo(other, 10), roomsComeAndGo(one, 10)]).finally(
        () => {
          traffic.isOver = true;
        },
      );
      await readPages(known);
      while (!traffic.isOver) mark = await catchUp(known, mark);
      await comings;
      await catchUp(known, mark);
      const { allocations } = await subject().snapshot();
      expect(inOrder(known.values())).toEqual(inOrder(allocations));
    });

    it('tell of what has begun and ended since, and not of what was so before', async () => {
      const host = await upHost(subject());
      const [before, kept] = [await placedVm(subject(), host), await placedVm(subject(), host)];
      await remove(before.id);
      const mark = await markBehind([before.id, kept.id]);
      const [come, gone] = [await placedVm(subject(), host), await placedVm(subject(), host)];
      await remove(gone.id);
      const changes = await subject().changesSince(mark, NOTHING_KNOWN);
      const began = changes.allocations.map(({ vmId }) => vmId);
      const ended = changes.gone.map(({ vmId }) => vmId);
      expect(began).toContain(come.id);
      expect(began).not.toContain(kept.id);
      expect(ended).toContain(gone.id);
      expect(ended).not.toContain(before.id);
      await markBehind([come.id, gone.id]);
    });

    it('tell of hosts that are of another revision, new or retired', async () => {
      const [known, changed] = [await upHost(subject()), await upHost(subject())];
      const revisions = new Map([known, changed].map(({ id, revision }) => [id, revision]));
      const mark = await subject().mark();
      const mode = { mode: 'cordoned', reason: null, owner: null, endsInMs: null } as const;
      await subject().patchHost(changed.id, { mode }, TESTER);
      const added = await upHost(subject());
      const { hosts } = await subject().changesSince(mark, revisions);
      expect(await subject().changedHosts(revisions, 10_000)).toEqual(hosts);
      expect(await subject().changedHosts(revisions, 2)).toEqual(hosts.slice(0, 2));
      const ids = hosts.map(({ id }) => id);
      expect(ids).toEqual(expect.arrayContaining([changed.id, added.id]));
      expect(ids).not.toContain(known.id);
      expect(hosts.find(({ id }) => id === changed.id)?.mode).toBe('cordoned');
    });

    it('are summed up by host, of those that are not retired', async () => {
      const [busy, idle, retired] = [
        await upHost(subject()),
        await upHost(subject()),
        await upHost(subject()),
      ];
      const [first, second] = [await placedVm(subject(), busy), await placedVm(subject(), busy)];
      await subject().retireHost(retired.id, { reason: 'sold' }, TESTER);
      const sums = await subject().bookedSums();
      expect(sums.get(busy.id)).toEqual(addResources(first.resources, second.resources));
      expect(sums.get(idle.id)).toEqual({});
      expect(sums.has(retired.id)).toBe(false);
      expect(sums.get(busy.id)).toEqual((await subject().host(busy.id))?.allocated);
    });

    it('are forgotten when nobody can ask for them any more', async () => {
      const host = await upHost(subject());
      const mark = await subject().mark();
      const vm = await placedVm(subject(), host);
      await remove(vm.id);
      await subject().purgeEnded(3_600_000);
      const kept = await subject().changesSince(mark, NOTHING_KNOWN);
      expect(kept.gone.map(({ vmId }) => vmId)).toContain(vm.id);
      expect(await subject().purgeEnded(-60_000)).toBeGreaterThan(0);
      const { gone } = await subject().changesSince(mark, NOTHING_KNOWN);
      expect(gone.map(({ vmId }) => vmId)).not.toContain(vm.id);
    });
  });
}
