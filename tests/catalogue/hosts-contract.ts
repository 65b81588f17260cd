/** Hosts: how they join, what polls make of them, what the operator says. */
import { TESTER } from '../support/callers.js';
import { modePatch } from '../support/hosts.js';
import { describe, expect, it } from '@jest/globals';
import type { Host } from '../../src/model/host.js';
import { afterPoll } from '../../src/model/host-liveness.js';
import {
  answeredPoll,
  failureOf,
  fresh,
  hostNow,
  inventoryWith,
  joinRequest,
  LARGE,
  missedPoll,
  placedVm,
  reportOf,
  totalsWith,
  upHost,
} from './builders.js';
import type { Subject } from './catalogue-contract.js';

export function describeHosts(subject: Subject): void {
  describe('hosts', () => {
    it('join, and are found by id and by name', async () => {
      const request = joinRequest();
      const host = await subject().joinHost(request, TESTER);
      expect(host).toMatchObject({
        id: request.id,
        name: request.name,
        address: request.address,
        zone: 'a',
        labels: { disk: 'ssd' },
        state: 'joining',
        mode: 'enabled',
        modeReason: null,
        missedPolls: 0,
        inventory: inventoryWith(LARGE),
        overrides: {},
        used: {},
        allocated: {},
        vms: 0,
        agent: { version: '1', bootId: 'boot-1' },
        lastSeenAt: null,
      });
      expect(JSON.stringify(host)).not.toContain('credential');
      expect(await subject().host(request.id)).toEqual(host);
      expect(await subject().host(request.name)).toEqual(host);
      expect(await subject().host('no-such-host')).toBeNull();
    });

    it('are never called by the id or the name of another', async () => {
      const { id, name } = await subject().joinHost(joinRequest(), TESTER);
      for (const [changes, field] of [
        [{ id: name }, 'id'],
        [{ name: id }, 'name'],
      ] as const) {
        const failure = await failureOf(subject().joinHost(joinRequest(changes), TESTER));
        expect(failure).toMatchObject({ code: 'name_conflict', errors: [{ field }] });
      }
      expect(await subject().host(name)).toMatchObject({ id, name });
      // Its own id may be its name.
      const own = fresh('host');
      const itself = await subject().joinHost(joinRequest({ id: own, name: own }), TESTER);
      expect(itself).toMatchObject({ id: own, name: own });
    });

    it('of one of which the id is to be the name of the other do not both get in', async () => {
      const called = fresh('host');
      const outcomes = await Promise.allSettled([
        subject().joinHost(joinRequest({ id: called }), TESTER),
        subject().joinHost(joinRequest({ name: called }), TESTER),
      ]);
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    });

    it('that join again keep mode, order and bookings, and bring what is new', async () => {
      const host = await upHost(subject());
      await placedVm(subject(), host, { resources: { cpu: 3 } });
      await subject().patchHost(host.id, modePatch('cordoned', 'repair'), TESTER);
      const before = await hostNow(subject(), host.id);
      const again = await subject().joinHost(
        joinRequest({
          id: host.id,
          name: host.name,
          address: 'http://elsewhere:2',
          totals: totalsWith({ ...LARGE, cpu: 200_000 }),
          zone: 'b',
          labels: {},
          version: '2',
          bootId: 'boot-2',
        }),
        TESTER,
      );
      expect(again).toMatchObject({
        seq: before.seq,
        mode: 'cordoned',
        modeReason: 'repair',
        state: 'up',
        allocated: { cpu: 3 },
        vms: 1,
        address: 'http://elsewhere:2',
        inventory: inventoryWith({ ...LARGE, cpu: 200_000 }),
        zone: 'b',
        labels: {},
        agent: { version: '2', bootId: 'boot-2' },
      });
      expect(again.revision).toBeGreaterThan(before.revision);
    });

    it('that were down are joining when they join again', async () => {
      const host = await upHost(subject());
      await subject().saveHostPolls([missedPoll(host.id, 'down', 3)]);
      const again = await subject().joinHost(joinRequest({ id: host.id, name: host.name }), TESTER);
      expect(again.state).toBe('joining');
    });

    it('cannot take the name of another, not even at once', async () => {
      const host = await upHost(subject());
      const failure = await failureOf(subject().joinHost(joinRequest({ name: host.name }), TESTER));
      expect(failure.code).toBe('name_conflict');
      const name = joinRequest().name;
      const answers = await Promise.allSettled(
        [1, 2, 3].map(() => subject().joinHost(joinRequest({ name }), TESTER)),
      );
      expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    });

    it('are listed in order of registration, page by page', async () => {
      const joined = [await upHost(subject()), await upHost(subject()), await upHost(subject())];
      const listed: Host[] = [];
      let cursor: string | null = null;
      do {
        const page: Awaited<ReturnType<ReturnType<Subject>['hosts']>> = await subject().hosts({
          limit: 2,
          cursor,
        });
        listed.push(...page.items);
        cursor = page.nextCursor;
      } while (cursor !== null);
      expect(listed.slice(-3).map(({ id }) => id)).toEqual(joined.map(({ id }) => id));
      const order = listed.map(({ seq }) => seq);
      expect(order).toEqual(order.toSorted((a, b) => a - b));
    });

    it('have the mode that the operator gives them', async () => {
      const host = await upHost(subject());
      const drained = await subject().patchHost(host.name, modePatch('draining', 'old'), TESTER);
      expect(drained).toMatchObject({ id: host.id, mode: 'draining', modeReason: 'old' });
      expect(drained!.revision).toBe(host.revision + 1);
      expect(await subject().patchHost('no-such-host', modePatch('enabled'), TESTER)).toBeNull();
    });

    it('tell where their agents are, unless they are retired', async () => {
      const host = await upHost(subject());
      const contact = {
        hostId: host.id,
        address: host.address,
        ip: null,
        credential: `credential of ${host.id}`,
        state: 'up',
        missedPolls: 0,
        isFenced: false,
        askedAt: expect.any(Date),
      };
      expect(await subject().contacts()).toContainEqual(contact);
      expect(await subject().contacts(host.id)).toEqual([contact]);
      await subject().patchHost(host.id, modePatch('retired'), TESTER);
      expect(await subject().contacts(host.id)).toEqual([]);
      expect(await subject().contacts()).not.toContainEqual(contact);
    });
  });

  describe('polls', () => {
    it('lead a host through its states', async () => {
      const { id, inventory } = await subject().joinHost(joinRequest(), TESTER);
      const seen: string[] = [];
      for (const outcome of [
        'answered',
        'missed',
        'missed',
        'missed',
        'missed',
        'answered',
      ] as const) {
        const [contact] = await subject().contacts(id);
        const after = afterPoll(contact!, outcome);
        const poll =
          outcome === 'answered'
            ? answeredPoll({ id, inventory })
            : missedPoll(id, after.state, after.missedPolls);
        await subject().saveHostPolls([poll]);
        const host = await hostNow(subject(), id);
        seen.push(`${host.state} ${host.missedPolls}`);
      }
      expect(seen).toEqual(['up 0', 'suspect 1', 'suspect 2', 'down 3', 'down 4', 'up 0']);
    });

    it('bring what a host cannot enforce, which placement need not know', async () => {
      const host = await upHost(subject());
      expect(host.notEnforced).toEqual([]);
      const said = async (notEnforced?: readonly string[]) => {
        const status = reportOf(host, { notEnforced });
        const changed = await subject().saveHostPolls([{ ...answeredPoll(host), status }]);
        expect(changed).toEqual([]);
        return (await hostNow(subject(), host.id)).notEnforced;
      };
      const limits = ['Upload limits of VMs are not enforced (no ifb).', 'Nor are others.'];
      expect(await said(limits)).toEqual(limits);
      expect(await said(limits.slice(1))).toEqual(limits.slice(1));
      const { id, name, address, inventory } = host;
      await subject().joinHost(joinRequest({ id, name, address }), TESTER);
      expect(await hostNow(subject(), host.id)).toMatchObject({
        notEnforced: limits.slice(1),
        inventory,
      });
      // An agent of before says nothing of it.
      expect(await said()).toEqual([]);
    });

    it('are told to placement only when it must know', async () => {
      const [a, b] = [await upHost(subject()), await upHost(subject())];
      const changed = async (
        ...polls: Parameters<ReturnType<Subject>['saveHostPolls']>[0][number][]
      ) => (await subject().saveHostPolls(polls)).map(({ id }) => id);
      expect(await changed(answeredPoll(a), answeredPoll(b))).toEqual([]);
      expect(await changed(missedPoll(a.id, 'suspect', 1), answeredPoll(b))).toEqual([a.id]);
      expect(await changed(missedPoll(a.id, 'suspect', 2))).toEqual([]);
      const larger = { id: b.id, inventory: inventoryWith({ ...LARGE, gpu: 1 }) };
      expect(await changed(answeredPoll(larger))).toEqual([b.id]);
      expect(await changed(answeredPoll(larger))).toEqual([]);
      expect(await changed(missedPoll('no-such-host', 'down', 3))).toEqual([]);
      expect(await changed()).toEqual([]);
      expect((await hostNow(subject(), a.id)).revision).toBe(a.revision + 1);
      expect((await hostNow(subject(), b.id)).revision).toBe(b.revision + 1);
    });

    it('say nothing of a host that has joined from elsewhere since it was asked', async () => {
      const host = await upHost(subject());
      const stale = missedPoll(host.id, 'down', 3);
      await subject().saveHostPolls([{ ...stale, address: 'http://127.0.0.1:2' }]);
      expect(await hostNow(subject(), host.id)).toMatchObject({ state: 'up', missedPolls: 0 });
      await subject().saveHostPolls([stale]);
      expect(await hostNow(subject(), host.id)).toMatchObject({ state: 'down' });
    });

    it('that are missed leave what is known, and when it was seen', async () => {
      const host = await upHost(subject());
      await subject().saveHostPolls([missedPoll(host.id, 'suspect', 1)]);
      const after = await hostNow(subject(), host.id);
      expect(after).toMatchObject({ inventory: host.inventory, agent: host.agent });
      expect(host.lastSeenAt).toBeInstanceOf(Date);
      expect(after.lastSeenAt).toEqual(host.lastSeenAt);
      await subject().saveHostPolls([answeredPoll(host)]);
      const seenAgain = await hostNow(subject(), host.id);
      expect(seenAgain.lastSeenAt!.getTime()).toBeGreaterThanOrEqual(host.lastSeenAt!.getTime());
    });
  });
}
