/** Events: what is told of each change, in which order, and how readers find their place again. */
import { describe, expect, it } from '@jest/globals';
import type { EventFilter, FleetEvent } from '../../src/model/events.js';
import type { Catalogue } from '../../src/model/ports.js';
import { TESTER } from '../support/callers.js';
import {
  answeredPoll,
  fresh,
  hostNow,
  joinRequest,
  placedVm,
  saveOne,
  take,
  upHost,
} from './builders.js';
import type { Subject } from './catalogue-contract.js';

/** Puts everything in order that is committed. @returns the newest place */
export async function sequenced(catalogue: Catalogue) {
  for (;;) {
    const { head, more } = await catalogue.sequenceEvents();
    if (!more) return head;
  }
}

/** Every event that is kept and passes. */
export async function eventsWith(
  catalogue: Catalogue,
  filter: EventFilter,
): Promise<readonly FleetEvent[]> {
  const { position: upTo } = await sequenced(catalogue);
  return catalogue.events({ after: 0, upTo, filter, limit: 100_000 });
}

const told = (events: readonly FleetEvent[]) =>
  events.map(({ kind, facts }) => [kind, facts.state, facts.desiredState]);

export function describeEvents(subject: Subject): void {
  describe('events', () => {
    it('tell of a VM from its record to its end, with the facts after each change', async () => {
      const catalogue = subject();
      const host = await upHost(catalogue);
      const { id } = await placedVm(catalogue, host, { path: 'acme:web' });
      await take(catalogue, 'a', id);
      await saveOne(catalogue, 'a', id, { state: 'running', reason: null, nextInMs: null });
      await catalogue.want(id, 'deleted', TESTER);
      await take(catalogue, 'b', id);
      await catalogue.releaseVm('b', id, { state: 'deleted', reason: null });

      const events = await eventsWith(catalogue, { vmId: id });
      expect(told(events)).toEqual([
        ['vm.created', 'placed', 'running'],
        ['vm.changed', 'running', 'running'],
        ['vm.changed', 'running', 'deleted'],
        ['vm.deleted', 'deleted', 'deleted'],
      ]);
      expect(events.map(({ hostId }) => hostId)).toEqual(Array(4).fill(host.id));
      expect(events[0]).toMatchObject({
        subjectId: id,
        path: 'acme:web',
        facts: {
          id,
          path: 'acme:web',
          host: { id: host.id, name: host.name },
          resources: { cpu: 1, memory: 1, disk: 1 },
          reason: null,
          waitUntil: null,
        },
      });
      expect(events[3]?.facts.host).toBeNull();
      const [first] = events;
      expect(new Date(String(first?.facts.createdAt)).toISOString()).toBe(first?.facts.createdAt);
    });

    it('say nothing of work that changes nothing', async () => {
      const catalogue = subject();
      const host = await upHost(catalogue);
      const { id } = await placedVm(catalogue, host);
      await take(catalogue, 'a', id);
      await saveOne(catalogue, 'a', id, {
        state: 'placed',
        reason: null,
        failedTry: true,
        nextInMs: 0,
      });
      await catalogue.saveHostPolls([{ ...answeredPoll(host) }]);
      expect(told(await eventsWith(catalogue, { vmId: id }))).toHaveLength(1);
      const ofHost = await eventsWith(catalogue, { hostId: host.id });
      expect(ofHost.map(({ kind }) => kind)).toEqual([
        'host.joined',
        'host.changed', // It has answered, and is up.
        'vm.created',
      ]);
    });

    it('show no credential of a host', async () => {
      const catalogue = subject();
      const request = joinRequest({
        credential: 'a-secret-1',
        tokenHash: fresh('a-secret'),
      });
      await catalogue.joinHost(request, TESTER);
      const events = await eventsWith(catalogue, { hostId: request.id });
      const { items } = await catalogue.audit({ limit: 10, cursor: null, subject: request.id });
      expect(events).toHaveLength(1);
      expect(items).toHaveLength(1);
      const text = JSON.stringify([events, items]);
      expect(text).toContain(request.name);
      expect(text).not.toMatch(/a-secret|credential|tokenHash|token_hash/i);
    });

    it('are found by host, path and kind, and by a path that only begins alike not at all', async () => {
      const catalogue = subject();
      const host = await upHost(catalogue);
      const path = fresh('tenant');
      const own = await placedVm(catalogue, host, { path });
      const below = await placedVm(catalogue, host, { path: `${path}:web` });
      const beside = await placedVm(catalogue, host, { path: `${path}0` });
      const ids = async (filter: EventFilter) =>
        (await eventsWith(catalogue, filter)).map(({ subjectId }) => subjectId);
      expect(await ids({ path })).toEqual([own.id, below.id]);
      expect(await ids({ hostId: host.id, kinds: ['vm.created'] })).toEqual([
        own.id,
        below.id,
        beside.id,
      ]);
      expect(await ids({ path, kinds: ['vm.deleted'] })).toEqual([]);
      expect(await ids({ path, kinds: [] })).toEqual([]);

      const head = await sequenced(catalogue);
      const [last] = (await eventsWith(catalogue, { vmId: below.id })).slice(-1);
      expect(await catalogue.newestBelow(path, head.position)).toEqual({
        position: last?.position,
        key: last?.key,
      });
      const before = (last?.position ?? 0) - 1;
      expect(await catalogue.newestBelow(`${path}:web`, before)).toMatchObject({ position: 0 });
    });

    it('are read in pages that join without a gap', async () => {
      const catalogue = subject();
      const host = await upHost(catalogue);
      const path = fresh('paged');
      for (let count = 0; count < 5; count += 1) await placedVm(catalogue, host, { path });
      const all = await eventsWith(catalogue, { path });
      const { position: upTo } = await sequenced(catalogue);
      const pages: FleetEvent[] = [];
      for (let after = 0; ; after = pages.at(-1)?.position ?? 0) {
        const page = await catalogue.events({ after, upTo, filter: { path }, limit: 2 });
        if (page.length === 0) break;
        pages.push(...page);
      }
      expect(pages).toEqual(all);
      expect(all).toHaveLength(5);
    });

    it('are found again by key, and not by what was never a key', async () => {
      const catalogue = subject();
      const host = await upHost(catalogue);
      const [event] = await eventsWith(catalogue, { hostId: host.id });
      expect(await catalogue.positionOf(event!.key)).toBe(event!.position);
      const head = await sequenced(catalogue);
      expect(await catalogue.positionOf(head.key)).toBe(head.position);
      const beginning = await catalogue.newestBelow(fresh('nobody'), head.position);
      expect(await catalogue.positionOf(beginning.key)).toBe(0);
      for (const key of ['', '1', "'; --", '00000000-0000-0000-0000-000000000000']) {
        expect(await catalogue.positionOf(key)).toBeNull();
      }
    });

    it('are not found again by who may not know of them', async () => {
      const catalogue = subject();
      const path = fresh('acme');
      const vm = await placedVm(catalogue, await upHost(catalogue), { path: `${path}:web` });
      const { key } = await sequenced(catalogue);
      const [event] = await eventsWith(catalogue, { path });
      for (const within of [path, `${path}:web`]) {
        expect(await catalogue.positionOf(event!.key, within)).toBe(event!.position);
      }
      for (const within of [`${path}x`, `${path}:we`, `${path}:web:x`, 'a%', fresh('nobody')]) {
        expect(await catalogue.positionOf(event!.key, within)).toBeNull();
        expect(await catalogue.positionOf(key, within)).toBeNull();
        const beginning = await catalogue.newestBelow(within, event!.position);
        expect(await catalogue.positionOf(beginning.key, within)).toBe(0);
      }
      expect(event!.subjectId).toBe(vm.id);
    });

    it('are forgotten from the oldest on; a reader that has seen the newest still finds its place', async () => {
      const catalogue = subject();
      await upHost(catalogue);
      const head = await sequenced(catalogue);
      expect(await catalogue.purgeEvents(600_000)).toBe(0);
      expect(await catalogue.purgeEvents(-600_000)).toBeGreaterThan(0);
      expect(await eventsWith(catalogue, {})).toEqual([]);
      expect(await catalogue.positionOf(head.key)).toBe(head.position);
      // Whether it is still the newest of all is nothing that a tenant may find out.
      expect(await catalogue.positionOf(head.key, 'acme')).toBeNull();
      await upHost(catalogue);
      const after = await eventsWith(catalogue, {});
      expect(after[0]?.position).toBe(head.position + 1);
    });
  });

  describe('the audit log', () => {
    const entriesOf = async (subjectId: string) => {
      const { items } = await subject().audit({ limit: 100, cursor: null, subject: subjectId });
      return items;
    };

    it('has what somebody did, before and after, and not what Berth did by itself', async () => {
      const catalogue = subject();
      const host = await upHost(catalogue);
      const { id } = await placedVm(catalogue, host);
      await take(catalogue, 'a', id);
      await saveOne(catalogue, 'a', id, { state: 'running', reason: null, nextInMs: null });
      const by = { ...TESTER, requestId: 'request-7' };
      await catalogue.want(id, 'stopped', by);
      await catalogue.want(id, 'deleted', TESTER);
      const [deleted, stopped] = await entriesOf(id);
      expect(stopped).toMatchObject({
        actor: by,
        action: 'vm.stop',
        subject: { kind: 'vm', id },
        before: { state: 'running', desiredState: 'running' },
        after: { state: 'running', desiredState: 'stopped' },
      });
      expect(deleted).toMatchObject({
        action: 'vm.delete',
        before: { desiredState: 'stopped' },
        after: { desiredState: 'deleted' },
      });
      expect((await entriesOf(host.id)).map(({ action }) => action)).toEqual(['host.join']);
      expect((await entriesOf(host.id))[0]).toMatchObject({ before: null, actor: TESTER });
    });

    it('has nothing of what was refused', async () => {
      const catalogue = subject();
      const host = await upHost(catalogue);
      const { id } = await placedVm(catalogue, host);
      await catalogue.want(id, 'deleted', TESTER);
      const before = await entriesOf(id);
      await expect(catalogue.want(id, 'running', TESTER)).rejects.toMatchObject({
        code: 'state_conflict',
      });
      expect(await catalogue.want(fresh('nobody'), 'running', TESTER)).toBeNull();
      expect(await entriesOf(id)).toEqual(before);
    });

    it('does not blame who came before for what Berth does next', async () => {
      const catalogue = subject();
      const host = await upHost(catalogue);
      const { id } = await placedVm(catalogue, host);
      await catalogue.want(id, 'deleted', TESTER);
      await take(catalogue, 'a', id);
      await catalogue.releaseVm('a', id, { state: 'deleted', reason: null });
      expect((await entriesOf(id)).map(({ action }) => action)).not.toContain('vm.create');
      expect((await entriesOf(id)).filter(({ action }) => action === 'vm.delete')).toHaveLength(1);
    });

    it('is paged from the newest on, and filtered', async () => {
      const catalogue = subject();
      const id = fresh('token');
      const by = { ...TESTER, id: fresh('somebody'), name: fresh('name') };
      for (const action of ['token.create', 'token.revoke', 'token.revoke'] as const) {
        await catalogue.note(by, action, { kind: 'token', id }, { before: null, after: { id } });
      }
      const first = await catalogue.audit({ limit: 2, cursor: null, actor: by.id });
      expect(first.items.map(({ action }) => action)).toEqual(['token.revoke', 'token.revoke']);
      const next = await catalogue.audit({ limit: 2, cursor: first.nextCursor, actor: by.id });
      expect(next.items.map(({ action }) => action)).toEqual(['token.create']);
      expect(next.nextCursor).toBeNull();
      const count = async (query: Partial<Parameters<Catalogue['audit']>[0]>) =>
        (await catalogue.audit({ limit: 10, cursor: null, ...query })).items.length;
      expect(await count({ actor: by.name })).toBe(3);
      expect(await count({ subject: id, action: 'token.create' })).toBe(1);
      const at = first.items[0]!.at;
      expect(await count({ subject: id, since: new Date(at.getTime() + 1) })).toBe(0);
      expect(await count({ subject: id, since: new Date(at.getTime() - 600_000) })).toBe(3);
    });

    it('forgets what is old', async () => {
      const id = fresh('host');
      await subject().note(TESTER, 'host.patch', { kind: 'host', id });
      expect(await subject().purgeAudit(600_000)).toBe(0);
      expect(await entriesOf(id)).toHaveLength(1);
      expect(await subject().purgeAudit(-600_000)).toBeGreaterThan(0);
      expect(await entriesOf(id)).toEqual([]);
      expect((await hostNow(subject(), (await upHost(subject())).id)).state).toBe('up');
    });
  });
}
