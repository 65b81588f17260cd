/** Looks at the fleet as a whole: the breaker, the grace after a gap, hosts that flap. */
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Catalogue } from '../../src/model/ports.js';
import { watchRules } from '../../src/model/fleet-breaker.js';
import { flappingRule } from '../../src/model/stores/fleet-watch.js';
import { TESTER } from '../support/callers.js';
import { answeredPoll, hostNow, joinRequest, missedPoll, placedVm, upHost } from './builders.js';
import type { Subject } from './catalogue-contract.js';

/** A period that no pause of a test makes a gap. */
const RULES = watchRules(3_600, 60_000, { share: 0.3, hostsMin: 3 });
const FLAPPING = flappingRule({ changesMax: 3, windowS: 3_600, cordonS: 600 });

export function describeFleetWatch(subject: Subject): void {
  /** The fleet is a whole: hosts of other tests would count in this one. */
  async function emptied(): Promise<void> {
    for (let cursor: string | null = null; ;) {
      const page: Awaited<ReturnType<Catalogue['hosts']>> = await subject().hosts({
        limit: 500,
        cursor,
      });
      for (const { id } of page.items) {
        await subject().retireHost(id, { reason: 'a test ends' }, TESTER);
      }
      cursor = page.nextCursor;
      if (cursor === null) break;
    }
    const ids = [(await upHost(subject())).id];
    const { watch } = await look(ids, []);
    if (watch.isOpen) throw new Error('the breaker is left open');
    await subject().retireHost(ids[0] ?? '', null, TESTER);
  }

  async function fleet(size: number): Promise<string[]> {
    const ids: string[] = [];
    for (let at = 0; at < size; at += 1) ids.push((await upHost(subject())).id);
    return ids;
  }

  /** A look as the health loop makes it, in a millisecond of its own. */
  async function look(ids: readonly string[], missed: readonly string[]) {
    await sleep(2);
    const contacts = (await subject().contacts()).filter(({ hostId }) => ids.includes(hostId));
    const askedAt = contacts[0]?.askedAt ?? new Date();
    const verdict = await subject().judgeLook({ askedAt, missed }, RULES);
    const polls = await Promise.all(
      contacts.map(async ({ hostId, missedPolls }) => {
        if (!missed.includes(hostId)) return answeredPoll(await hostNow(subject(), hostId));
        const count = missedPolls + 1;
        return missedPoll(hostId, count >= 3 ? 'down' : 'suspect', count);
      }),
    );
    await subject().saveHostPolls(polls.map((poll) => ({ ...poll, askedAt })));
    return verdict;
  }

  /** Puts everything in order that is committed. @returns the newest position */
  async function newest(): Promise<number> {
    for (;;) {
      const { head, more } = await subject().sequenceEvents();
      if (!more) return head.position;
    }
  }

  const states = async (ids: readonly string[]) =>
    Promise.all(ids.map(async (id) => (await hostNow(subject(), id)).state));

  describe('the fleet as a whole', () => {
    beforeEach(emptied);

    it('opens when many go missing at once, makes none more than suspect, and closes', async () => {
      const ids = await fleet(10);
      const missed = ids.slice(0, 6);
      await look(ids, []);
      const before = await subject().fleetWatch();
      expect(before).toMatchObject({ isOpen: false, hosts: 10, missing: 0 });
      const opened = await look(ids, missed);
      expect(opened).toMatchObject({ kind: 'judged', held: true, change: 'opened' });
      expect(opened.watch).toMatchObject({ isOpen: true, hosts: 10, missing: 6 });
      for (let looks = 0; looks < 4; looks += 1) {
        expect((await look(ids, missed)).change).toBeNull();
      }
      expect(await states(missed)).toEqual(missed.map(() => 'suspect'));
      const closed = await look(ids, missed.slice(0, 2));
      expect(closed).toMatchObject({ held: true, change: 'closed' });
      expect(await states(missed.slice(0, 3))).toEqual(['suspect', 'suspect', 'up']);
      // They begin anew: three misses from now on.
      for (const state of ['suspect', 'suspect', 'down']) {
        await look(ids, missed.slice(0, 2));
        expect(await states(missed.slice(0, 2))).toEqual([state, state]);
      }
    });

    it('takes three lost hosts of thirty, and two of two, for lost', async () => {
      const ids = await fleet(2);
      for (const state of ['suspect', 'suspect', 'down']) {
        expect((await look(ids, ids)).change).toBeNull();
        expect(await states(ids)).toEqual([state, state]);
      }
    });

    it('closes by the word of an operator, and what is missing is lost from then on', async () => {
      const ids = await fleet(4);
      await expect(subject().closeBreaker('no reason', TESTER)).rejects.toMatchObject({
        code: 'state_conflict',
      });
      await look(ids, ids);
      const watch = await subject().closeBreaker('the rack burnt', TESTER);
      expect(watch).toMatchObject({ isOpen: false, reason: 'the rack burnt' });
      for (const state of ['suspect', 'suspect', 'down']) {
        expect((await look(ids, ids)).change).toBeNull();
        expect(await states(ids)).toEqual(ids.map(() => state));
      }
      const { items } = await subject().audit({ limit: 2, cursor: null, subject: 'fleet' });
      expect(items.map(({ action, actor }) => [action, actor.kind])).toEqual([
        ['breaker.close', TESTER.kind],
        ['breaker.open', 'system'],
      ]);
      expect(items[0]).toMatchObject({
        before: { breaker: 'open', missing: 4 },
        after: { breaker: 'closed', reason: 'the rack burnt' },
      });
    });

    it('tells of the breaker in events', async () => {
      const ids = await fleet(4);
      const before = await newest();
      await look(ids, ids);
      await look(ids, []);
      const kinds = ['fleet.breaker_opened', 'fleet.breaker_closed'] as const;
      const upTo = await newest();
      const events = await subject().events({ after: before, upTo, filter: { kinds }, limit: 10 });
      expect(events.map(({ kind, facts }) => [kind, facts.breaker, facts.missing])).toEqual([
        ['fleet.breaker_opened', 'open', 4],
        ['fleet.breaker_closed', 'closed', 0],
      ]);
    });

    it('makes no VM unknown while it is open', async () => {
      const ids = await fleet(4);
      const host = await hostNow(subject(), ids[0] ?? '');
      const vm = await placedVm(subject(), host);
      await subject().saveHostPolls([missedPoll(host.id, 'down', 3)]);
      expect((await look(ids, ids)).change).toBe('opened');
      expect(await subject().loseVms(host.id)).toBe(0);
      expect((await subject().vm(vm.id))?.state).toBe('placed');
      expect((await look(ids, [host.id])).change).toBe('closed');
      expect(await subject().loseVms(host.id)).toBe(1);
    });

    it('drops what an overtaken look says, as a whole and of each host', async () => {
      const ids = await fleet(3);
      const [stale] = await subject().contacts();
      const askedAt = new Date((stale?.askedAt.getTime() ?? 0) - 5);
      await look(ids, []);
      const verdict = await subject().judgeLook({ askedAt, missed: ids }, RULES);
      expect(verdict).toMatchObject({ kind: 'stale', change: null });
      await subject().saveHostPolls(
        ids.map((id) => ({ ...missedPoll(id, 'suspect', 1), askedAt })),
      );
      expect(await states(ids)).toEqual(['up', 'up', 'up']);
    });

    it('goes on at once when the clock has gone back', async () => {
      const ids = await fleet(3);
      const now = (await subject().contacts())[0]?.askedAt.getTime() ?? 0;
      const askedAt = new Date(now + 3_600_000);
      await subject().judgeLook({ askedAt, missed: [] }, RULES);
      await subject().saveHostPolls(
        await Promise.all(
          ids.map(async (id) => ({ ...answeredPoll(await hostNow(subject(), id)), askedAt })),
        ),
      );
      const verdict = await look(ids, ids.slice(0, 1));
      expect(verdict).toMatchObject({ kind: 'judged', held: true });
      expect(await states(ids)).toEqual(['suspect', 'up', 'up']);
      const { graceUntil } = await subject().fleetWatch();
      expect(graceUntil).not.toBeNull();
      // The grace is over for the tests that come after.
      const ended = { ...RULES, lookMsMax: -1, graceMs: -1 };
      const again = (await subject().contacts())[0]?.askedAt ?? new Date();
      await subject().judgeLook({ askedAt: again, missed: [] }, ended);
    });

    it('spares every host after a look that was held up', async () => {
      const ids = await fleet(2);
      await look(ids, ids);
      await look(ids, ids);
      const { askedAt = new Date() } = (await subject().contacts())[0] ?? {};
      const rules = { ...RULES, lookMsMax: -1, graceMs: 3_600_000 };
      const late = await subject().judgeLook({ askedAt, missed: ids }, rules);
      expect(late).toMatchObject({ kind: 'late', held: true });
      expect(late.watch.graceUntil).not.toBeNull();
      await look(ids, ids);
      await look(ids, ids);
      expect(await states(ids)).toEqual(['suspect', 'suspect']);
      const again = (await subject().contacts())[0]?.askedAt ?? new Date();
      const ended = { ...rules, graceMs: -1 };
      await subject().judgeLook({ askedAt: again, missed: ids }, ended);
      await look(ids, ids);
      expect(await states(ids)).toEqual(['down', 'down']);
    });

    async function flap(id: string, times: number): Promise<void> {
      for (let at = 0; at < times; at += 1) {
        await subject().saveHostPolls([missedPoll(id, 'suspect', 1)]);
        await subject().saveHostPolls([answeredPoll(await hostNow(subject(), id))]);
      }
    }

    it('cordons a host that flaps for a while, and counts anew when it is opened', async () => {
      const [id = '', ...others] = await fleet(3);
      await flap(id, 1);
      expect(await subject().cordonFlapping(FLAPPING)).toEqual({ cordoned: [], heldBack: 0 });
      await flap(id, 1);
      const { cordoned } = await subject().cordonFlapping(FLAPPING);
      expect(cordoned.map((host) => host.id)).toEqual([id]);
      const host = await hostNow(subject(), id);
      expect(host).toMatchObject({
        mode: 'cordoned',
        modeOwner: 'berth',
        modeReason: 'flapping: 4 changes in the last hour',
      });
      expect(host.modeUntil).not.toBeNull();
      const { items } = await subject().audit({ limit: 1, cursor: null, subject: id });
      expect(items[0]).toMatchObject({ action: 'host.cordon', actor: { kind: 'system' } });
      // Of three hosts automation may have one.
      await flap(others[0] ?? '', 2);
      expect(await subject().cordonFlapping(FLAPPING)).toEqual({ cordoned: [], heldBack: 1 });
      const enabled = { mode: 'enabled', reason: null, owner: null, endsInMs: null } as const;
      await subject().patchHost(id, { mode: enabled }, TESTER);
      // Open again, but within the minute: still one.
      expect(await subject().cordonFlapping(FLAPPING)).toEqual({ cordoned: [], heldBack: 1 });
      await subject().patchHost(others[0] ?? '', { mode: enabled }, TESTER);
      expect(await subject().cordonFlapping(FLAPPING)).toEqual({ cordoned: [], heldBack: 0 });
    });

    it('cordons nobody while the breaker is open, and counts no changes meanwhile', async () => {
      const ids = await fleet(3);
      const joined = await subject().joinHost(joinRequest(), TESTER);
      await look(ids, ids);
      await flap(ids[0] ?? '', 5);
      expect(await subject().cordonFlapping(FLAPPING)).toEqual({ cordoned: [], heldBack: 0 });
      await look(ids, []);
      await flap(joined.id, 1);
      expect(await subject().cordonFlapping(FLAPPING)).toEqual({ cordoned: [], heldBack: 0 });
    });
  });
}
