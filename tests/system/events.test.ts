/** Followers of events on two replicas, cut again and again; and who did what, from end to end. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { AuditPageBody } from '../../src/wire/audit.js';
import type { EventBody } from '../../src/wire/events.js';
import type { ServerSentEvent } from '../../src/wire/server-sent-events.js';
import type { VmBody } from '../../src/wire/vms.js';
import { ADMIN_TOKEN, call, Cluster, until, type Replica } from '../support/cluster.js';
import { readEvents } from '../support/event-reader.js';

const SIZE = { cpu: 1, memory: 10, disk: 10 };
const TOTALS = { cpu: 1_000, memory: 100_000, disk: 100_000 };
const VMS = 220;
const CUTS = 20;
/** Changes that a VM goes through at the least: made, seen running, unwanted, gone. */
const CHANGES_MIN = 4;

const bodyOf = ({ data }: ServerSentEvent): EventBody => JSON.parse(data) as EventBody;
const vmOf = (event: ServerSentEvent) => bodyOf(event).vm;

describe('followers of events', () => {
  let cluster: Cluster;
  beforeEach(async () => {
    cluster = await Cluster.start();
  });
  afterEach(() => cluster.stop());

  const everything = async ({ url }: Replica, query = '') => {
    const reader = await readEvents({
      url,
      token: ADMIN_TOKEN,
      query: `since=start&follow=false${query}`,
    });
    expect(await reader.over).toBe(true);
    return reader.events;
  };

  it('hear of each change exactly once, and of each VM in order, though they are cut 20 times', async () => {
    const replicas = [await cluster.replica(), await cluster.replica()];
    const at = (index: number): Replica => replicas[index % 2]!;
    await cluster.host(at(0).url, 'oak', TOTALS);
    await cluster.host(at(0).url, 'elm', TOTALS);

    const first = await readEvents({
      url: at(0).url,
      token: ADMIN_TOKEN,
      query: 'kind=vm.created,vm.changed,vm.deleted',
    });
    await first.until(() => first.lastEventId() !== '');
    const heard: ServerSentEvent[] = [];
    const isDone = () => heard.filter(({ event }) => event === 'vm.deleted').length === VMS;
    const follow = async () => {
      let reader = first;
      for (let cuts = 0; ; cuts += 1) {
        // Some each time, so that the cuts are spread; half of all, since they come in bursts.
        const share = cuts < CUTS ? Math.floor((VMS * CHANGES_MIN) / (CUTS + 1) / 2) : Infinity;
        const { events } = reader;
        await reader.until(() => {
          const gone = [...heard, ...events].filter(({ event }) => event === 'vm.deleted').length;
          return events.length >= share || gone === VMS;
        });
        reader.cut();
        await reader.over;
        heard.push(...events);
        if (isDone()) return cuts;
        reader = await readEvents({
          url: at(cuts + 1).url,
          token: ADMIN_TOKEN,
          query: 'kind=vm.created,vm.changed,vm.deleted',
          lastEventId: reader.lastEventId(),
        });
        expect(reader.status).toBe(200);
      }
    };
    const live = async (index: number) => {
      const { url } = at(index);
      const id = `vm-${index.toString()}`;
      await until(`${id} placed`, async () => {
        const { status } = await call(url, 'POST', '/v1/vms', { id, resources: SIZE });
        return status === 202;
      });
      await until(
        `${id} running`,
        async () => {
          const { body } = await call<VmBody>(at(index + 1).url, 'GET', `/v1/vms/${id}`);
          return body.state === 'running';
        },
        150_000,
      );
      expect((await call(url, 'DELETE', `/v1/vms/${id}`)).status).toBe(202);
    };
    const lives = async (lane: number, lanes: number) => {
      for (let index = lane; index < VMS; index += lanes) await live(index);
    };
    const following = follow();
    await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map((lane) => lives(lane, 8)));
    expect(await following).toBeGreaterThanOrEqual(CUTS);

    expect(heard.length).toBeGreaterThan(VMS * CHANGES_MIN);
    const kept = await everything(at(1), '&kind=vm.created,vm.changed,vm.deleted');
    expect(heard.map(({ id }) => id)).toEqual(kept.map(({ id }) => id));
    expect(new Set(heard.map(({ id }) => id)).size).toBe(heard.length);
    for (let index = 0; index < VMS; index += 1) {
      const own = heard.filter((event) => vmOf(event)?.id === `vm-${index.toString()}`);
      const kinds = own.map(({ event }) => event);
      expect([kinds[0], kinds.at(-1)]).toEqual(['vm.created', 'vm.deleted']);
      expect(kinds.slice(1, -1).every((kind) => kind === 'vm.changed')).toBe(true);
      const wanted = own.map((event) => vmOf(event)?.desiredState);
      expect(wanted).toEqual(
        [...wanted].sort((a, b) => Number(a === 'deleted') - Number(b === 'deleted')),
      );
      const times = own.map((event) => vmOf(event)?.updatedAt ?? '');
      expect(times).toEqual([...times].sort());
      expect(own.some((event) => vmOf(event)?.state === 'running')).toBe(true);
    }
  }, 300_000);

  it('hear what they ask for, and the audit log says who did it', async () => {
    const replica = await cluster.replica({ EVENTS_HEARTBEAT_S: '1' });
    const host = await cluster.host(replica.url, 'oak', TOTALS);
    const reader = await readEvents({
      url: replica.url,
      token: ADMIN_TOKEN,
      query: 'kind=host.changed',
    });
    const create = await call<VmBody>(replica.url, 'POST', '/v1/vms?wait=running', {
      name: 'web',
      path: 'acme:web',
      resources: SIZE,
    });
    expect(create.body.state).toBe('running');
    const { id } = create.body;
    // It begins with its time: what is made at one time lies side by side in the database.
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    const madeMs = Number.parseInt(id.replace('-', '').slice(0, 12), 16);
    expect(Math.abs(madeMs - Date.parse(create.body.createdAt))).toBeLessThan(60_000);
    await call(replica.url, 'PATCH', '/v1/hosts/oak', { mode: 'cordoned', reason: 'new disks' });
    await call(replica.url, 'DELETE', `/v1/vms/${id}`);
    await until(
      'the end of the VM',
      async () => (await call(replica.url, 'GET', `/v1/vms/${id}`)).status === 404,
    );
    await reader.until(() =>
      reader.events.some((event) => bodyOf(event).host?.mode === 'cordoned'),
    );
    expect(reader.events.every(({ event }) => event === 'host.changed')).toBe(true);
    await reader.until(() => reader.text().includes(': alive'));
    reader.cut();

    const ofVm = await everything(replica, `&vm=${id}`);
    expect(ofVm[0]?.event).toBe('vm.created');
    expect(ofVm.at(-1)?.event).toBe('vm.deleted');
    expect(await everything(replica, '&path=acme')).toEqual(ofVm);
    expect(await everything(replica, '&path=acm')).toEqual([]);

    const done = async (subject: string) =>
      (await call<AuditPageBody>(replica.url, 'GET', `/v1/audit?subject=${subject}`)).body.items;
    const [deleted, created, ...others] = await done(id);
    expect(others).toEqual([]);
    expect(created).toMatchObject({
      action: 'vm.create',
      actor: { kind: 'token', id: 'admin' },
      requestId: create.headers.get('x-request-id'),
      before: null,
      after: { id, state: 'placed', host: { name: 'oak' } },
    });
    expect(deleted).toMatchObject({
      action: 'vm.delete',
      before: { desiredState: 'running' },
      after: { desiredState: 'deleted' },
    });
    const [cordoned, joined] = await done(host.hostId);
    expect(cordoned).toMatchObject({
      action: 'host.patch',
      before: { mode: 'enabled', modeReason: null },
      after: { mode: 'cordoned', modeReason: 'new disks' },
    });
    expect(joined).toMatchObject({ action: 'host.join', before: null });
  }, 300_000);
});
