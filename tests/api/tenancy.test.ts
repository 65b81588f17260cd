/**
 * Two tenants on one fleet. What one of them hears, from every route that it may call, is the same
 * byte by byte whatever the other does: over real stores, so that no order or number shines through.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createApi, type Api } from '../../src/api/api.js';
import { createMetrics } from '../../src/api/metrics.js';
import type { VmBody } from '../../src/wire/vms.js';
import { ControlFixture, eventually, type TestReplica } from '../control/control-fixture.js';
import { tester } from '../support/callers.js';
import { silentLog } from '../support/log.js';

const ADMIN_TOKEN = 'admin-token-of-the-tenancy-test';
const SMALL = { cpu: 1, memory: 64, disk: 64 };
const TOO_LARGE = { cpu: 1_000, memory: 64, disk: 64 };

let fixture: ControlFixture;
let replica: TestReplica;
let api: Api;
let url: string;
let acme: string;
let other: string;

beforeAll(async () => {
  fixture = await ControlFixture.start();
  replica = await fixture.replica();
  api = createApi({
    control: { ...replica.control, ...replica.verify, ...replica.files },
    catalogue: replica.ports.catalogue,
    adminToken: ADMIN_TOKEN,
    limits: { ratePerTenantPerS: 100_000 },
    log: silentLog,
    metrics: createMetrics(),
    version: '0.1.0',
    port: 0,
    bind: '127.0.0.1',
  });
  ({ url } = await api.listen());
  await fixture.host(replica, 'host-1', { cpu: 16, memory: 16_384, disk: 65_536 });
  acme = await tokenOf('acme');
  other = await tokenOf('other');
});
afterAll(async () => {
  await api.close();
  await fixture.stop();
});

async function tokenOf(path: string): Promise<string> {
  const { control } = replica;
  const made = await control.createToken({ name: path, role: 'tenant', path }, tester);
  return made.secret;
}

interface Told {
  readonly status: number;
  readonly text: string;
}

async function call(token: string, method: string, path: string, body?: unknown): Promise<Told> {
  const answer = await fetch(url + path, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      // The same for all, so that answers can be compared.
      'x-request-id': 'a-request',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, text: await answer.text() };
}

async function vmOf(token: string, body: object = {}): Promise<VmBody> {
  const made = await call(token, 'POST', '/v1/vms?wait=running', { resources: SMALL, ...body });
  expect(made.status).toBe(202);
  return JSON.parse(made.text) as VmBody;
}

describe('a tenant', () => {
  it('has its own path where it says none, and may go below it', async () => {
    expect(await vmOf(acme)).toMatchObject({ path: 'acme', state: 'running' });
    expect(await vmOf(acme, { path: 'acme:web' })).toMatchObject({ path: 'acme:web' });
  });

  it.each([
    [{ path: 'other' }, 403, 'path'],
    [{ path: 'acmeother' }, 403, 'path'],
    [{ path: 'root' }, 403, 'path'],
    [{ id: 'of-my-own' }, 400, 'id'],
    [{ constraints: { host: 'host-1' } }, 400, 'constraints.host'],
    [{ constraints: { exclude: ['host-1'] } }, 400, 'constraints.exclude'],
    [{ strategy: 'cosine' }, 400, 'strategy'],
  ])('may not ask for %j', async (body, status, field) => {
    const told = await call(acme, 'POST', '/v1/vms', { resources: SMALL, ...body });
    expect(told.status).toBe(status);
    expect(JSON.parse(told.text)).toMatchObject({ errors: [{ field }] });
  });

  it('does not see where its VMs run', async () => {
    const { id } = await vmOf(acme);
    const listed = await call(acme, 'GET', '/v1/vms');
    const shown = await call(acme, 'GET', `/v1/vms/${id}`);
    expect(JSON.parse(shown.text)).toMatchObject({ host: null, allocation: null, attempts: [] });
    const events = await call(acme, 'GET', '/v1/events?since=start&follow=false');
    expect(events.text).toContain(id);
    for (const { text } of [listed, shown, events]) expect(text).not.toContain('host-1');
    expect((await call(acme, 'GET', '/v1/vms?host=host-1')).status).toBe(403);
  });

  it('does not see on which hosts an operator wants its VMs', async () => {
    const zone = 'default';
    const made = await vmOf(ADMIN_TOKEN, {
      path: 'acme',
      constraints: { zone, host: 'host-1', exclude: ['host-9'] },
    });
    expect(made.constraints).toEqual({ zone, host: 'host-1', exclude: ['host-9'] });
    const shown = await call(acme, 'GET', `/v1/vms/${made.id}`);
    expect((JSON.parse(shown.text) as VmBody).constraints).toEqual({ zone });
    const told = [
      shown,
      await call(acme, 'GET', '/v1/vms'),
      await call(acme, 'GET', `/v1/events?since=start&follow=false&vm=${made.id}`),
      await call(acme, 'POST', `/v1/vms/${made.id}/stop`),
      await call(acme, 'DELETE', `/v1/vms/${made.id}`),
    ];
    for (const { text } of told) {
      expect(text).toContain(made.id);
      expect(text).not.toMatch(/host-[19]/);
    }
  });

  it('is not told what the fleet lacks for it', async () => {
    const told = await call(acme, 'POST', '/v1/vms', { resources: TOO_LARGE });
    expect(told.status).toBe(409);
    expect(Object.keys(JSON.parse(told.text) as object).sort()).toEqual([
      ...['code', 'detail', 'requestId', 'status', 'title', 'type'],
    ]);
    const admin = await call(ADMIN_TOKEN, 'POST', '/v1/vms', { resources: TOO_LARGE });
    expect(admin.text).toContain('summary');
  });

  it('hears of the VM of another what it hears of one that never was', async () => {
    const { id } = await vmOf(other);
    for (const [method, tail] of [
      ['GET', ''],
      ['DELETE', ''],
      ['POST', '/start'],
      ['POST', '/stop'],
    ] as const) {
      const theirs = await call(acme, method, `/v1/vms/${id}${tail}`);
      const nobodys = await call(acme, method, `/v1/vms/${id.replaceAll(/[0-9a-f]/g, '0')}${tail}`);
      expect(theirs.status).toBe(404);
      expect(theirs.text.replaceAll(id, '')).toBe(
        nobodys.text.replaceAll(id.replaceAll(/[0-9a-f]/g, '0'), ''),
      );
    }
    expect((await call(ADMIN_TOKEN, 'GET', `/v1/vms/${id}`)).text).toContain('"state":"running"');
  });

  it('resumes after no event of another', async () => {
    const { id } = await vmOf(other);
    const read = (token: string, query: string) =>
      call(token, 'GET', `/v1/events?follow=false&${query}`);
    const keyIn = ({ text }: Told) => /id: (\S+)\nevent/.exec(text)?.[1] ?? '';
    const theirs = keyIn(await read(other, `since=start&vm=${id}`));
    expect((await read(other, `lastEventId=${theirs}`)).status).toBe(200);
    const nobodys = '3f8a1c52-6f5e-4f0e-9c8e-0d9f2f3b7a10';
    const told = await read(acme, `lastEventId=${theirs}`);
    expect(told).toEqual(await read(acme, `lastEventId=${nobodys}`));
    expect(told.status).toBe(410);
    const own = keyIn(await read(acme, `since=start&vm=${(await vmOf(acme)).id}`));
    expect((await read(acme, `lastEventId=${own}`)).status).toBe(200);
  });

  it('learns from no cursor which ids there are', async () => {
    const { id } = await vmOf(other);
    const cursorOf = (name: string) => Buffer.from(`v1 ${name}`).toString('base64url');
    const theirs = await call(acme, 'GET', `/v1/vms?cursor=${cursorOf(id)}`);
    const nobodys = await call(acme, 'GET', `/v1/vms?cursor=${cursorOf('nobody')}`);
    expect(theirs).toEqual(nobodys);
    expect(theirs.status).toBe(200);
    // And a cursor of its own says nothing but what the page has shown.
    const page = JSON.parse((await call(acme, 'GET', '/v1/vms?limit=1')).text) as {
      readonly items: readonly VmBody[];
      readonly nextCursor: string;
    };
    const [last] = page.items;
    expect(Buffer.from(page.nextCursor, 'base64url').toString()).toBe(
      `v${new Date(last?.createdAt ?? '').getTime().toString()} ${last?.id ?? ''}`,
    );
  });
});

/** Everything that a tenant may ask, besides what makes or changes something of its own. */
async function allThatItHears(id: string, theirs: string): Promise<Record<string, Told>> {
  const asked: Record<string, Told> = {};
  const ask = async (method: string, path: string, body?: unknown) => {
    asked[`${method} ${path} ${JSON.stringify(body ?? null)}`] = await call(
      ...([acme, method, path, body] as const),
    );
  };
  await ask('GET', '/v1/vms');
  await ask('GET', '/v1/vms?limit=1');
  const { nextCursor } = JSON.parse(asked['GET /v1/vms?limit=1 null']?.text ?? '{}') as {
    readonly nextCursor: string;
  };
  await ask('GET', `/v1/vms?limit=1&cursor=${nextCursor}`);
  await ask('GET', '/v1/vms?state=running&path=acme');
  await ask('GET', '/v1/vms?path=other');
  await ask('GET', `/v1/vms/${id}`);
  await ask('POST', `/v1/vms/${id}/start`, {});
  for (const unknown of [theirs, 'nobody']) {
    await ask('GET', `/v1/vms/${unknown}`);
    await ask('DELETE', `/v1/vms/${unknown}`);
    await ask('POST', `/v1/vms/${unknown}/start`);
    await ask('POST', `/v1/vms/${unknown}/stop`);
    await ask('GET', `/v1/events?follow=false&since=start&vm=${unknown}`);
  }
  await ask('GET', '/v1/events?follow=false&since=start');
  await ask('GET', '/v1/events?follow=false');
  await ask('GET', '/v1/events?follow=false&since=start&path=other');
  await ask('GET', '/v1/events?follow=false&lastEventId=3f8a1c52-6f5e-4f0e-9c8e-0d9f2f3b7a10');
  await ask('POST', '/v1/vms', { resources: TOO_LARGE });
  await ask('POST', '/v1/vms', { resources: SMALL, id: theirs });
  await ask('POST', '/v1/vms', { resources: SMALL, path: 'other' });
  await ask('GET', '/openapi.json');
  await ask('GET', '/docs/errors');
  for (const closed of ['hosts', 'usage', 'audit', 'tokens', 'reservations', 'ops/orphans']) {
    await ask('GET', `/v1/${closed}`);
  }
  await ask('POST', '/v1/placements', { resources: SMALL });
  await ask('GET', '/metrics');
  return asked;
}

describe('what another does', () => {
  it('changes no byte of what a tenant hears', async () => {
    const mine = await vmOf(acme, { name: 'mine' });
    const theirs = await vmOf(other, { name: 'theirs' });
    await vmOf(acme, { name: 'mine-too' });
    // Starting what runs is a change of one's own; afterwards all is quiet.
    await call(acme, 'POST', `/v1/vms/${mine.id}/start`, {});
    await quiet(mine.id);
    const before = await allThatItHears(mine.id, theirs.id);
    await quiet(mine.id);

    const more = await Promise.all([1, 2, 3].map(() => vmOf(other, { path: 'other:new' })));
    await call(other, 'POST', `/v1/vms/${theirs.id}/stop`);
    await call(other, 'DELETE', `/v1/vms/${more[0]?.id ?? ''}`);
    await call(other, 'POST', '/v1/vms', { resources: TOO_LARGE });
    await eventually('the other tenant is done', async () => {
      const { text } = await call(other, 'GET', '/v1/vms?limit=100');
      return text.includes('"state":"stopped"') && !text.includes(more[0]?.id ?? '');
    });
    await tokenOf('other:new');

    const after = await allThatItHears(mine.id, theirs.id);
    for (const [asked, told] of Object.entries(before)) {
      expect({ asked, ...changing(after[asked]) }).toEqual({ asked, ...changing(told) });
    }
  });
});

/** The start of a running VM touches it each time that it is asked for. */
const changing = (told: Told | undefined): Told | undefined =>
  told === undefined
    ? undefined
    : { ...told, text: told.text.replaceAll(/"updatedAt":"[^"]+"/g, '"updatedAt":""') };

async function quiet(id: string): Promise<void> {
  await eventually('it rests', async () => {
    const vm = await replica.ports.catalogue.vm(id);
    return vm?.state === 'running';
  });
}
