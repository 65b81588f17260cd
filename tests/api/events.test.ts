/** `/v1/events` and `/v1/audit` over the double: what a reader is sent, and when it is cut. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { createServer } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { ApiOptions } from '../../src/api/api.js';
import { eventBody } from '../../src/api/event-view.js';
import { sendStream } from '../../src/api/stream.js';
import { ADMIN_TOKEN, startApi, type ApiServer } from '../support/api-server.js';
import { modelHost } from '../support/control-double.js';
import { readEvents, type EventReader } from '../support/event-reader.js';

let server: ApiServer | undefined;
const readers: EventReader[] = [];
afterEach(async () => {
  for (const reader of readers.splice(0)) reader.cut();
  await server?.api.close();
});

async function start(changes: Partial<ApiOptions> = {}): Promise<ApiServer> {
  server = await startApi(changes);
  return server;
}

async function read(query = '', lastEventId?: string, token = ADMIN_TOKEN): Promise<EventReader> {
  const url = server?.url ?? '';
  const reader = await readEvents({
    url,
    token,
    query,
    ...(lastEventId === undefined ? {} : { lastEventId }),
  });
  readers.push(reader);
  return reader;
}

const ids = (reader: EventReader) => reader.events.map(({ id }) => id);

describe('a reader', () => {
  it('hears at once that the line is open, and then of what happens', async () => {
    const { events } = await start();
    const before = events.happen();
    const reader = await read();
    await reader.until(() => reader.text().startsWith(': berth\n'));
    const event = events.happen({ kind: 'vm.deleted' });
    await reader.until(() => reader.events.length > 0);
    const [first] = reader.events;
    expect(first).toMatchObject({ id: event.key, event: 'vm.deleted' });
    const body = JSON.parse(first?.data ?? '') as Record<string, unknown>;
    expect(body).toEqual({
      id: event.key,
      at: '2026-11-21T10:00:00.000Z',
      kind: 'vm.deleted',
      vm: event.facts,
    });
    expect(ids(reader)).not.toContain(before.key);
    expect(JSON.stringify(body)).not.toMatch(/position/);
  });

  it('goes on after the event that it names, in the header or in the query', async () => {
    const { events } = await start();
    const keys = [1, 2, 3].map(() => events.happen().key);
    for (const [query, header] of [
      ['', keys[0]],
      [`lastEventId=${keys[0] ?? ''}`, undefined],
      ['since=start', keys[0]],
      [`lastEventId=${keys[2] ?? ''}`, keys[0]],
    ] as const) {
      const reader = await read(query, header);
      await reader.until(() => reader.events.length === 2);
      expect(ids(reader)).toEqual(keys.slice(1));
    }
  });

  it('that was cut before its first event goes on where it began', async () => {
    const { events } = await start();
    events.happen();
    const reader = await read();
    await reader.until(() => reader.lastEventId() !== '');
    reader.cut();
    const missed = events.happen();
    const next = await read('', reader.lastEventId());
    await next.until(() => next.events.length === 1);
    expect(ids(next)).toEqual([missed.key]);
  });

  it('is told when its place is gone', async () => {
    const { events, call } = await start();
    const { key } = events.happen();
    events.happen();
    events.forget();
    for (const gone of [key, 'nonsense']) {
      const reply = await call('/v1/events', { headers: { 'last-event-id': gone } });
      expect(reply.problem()).toMatchObject({ status: 410, code: 'events_expired' });
    }
  });

  it('may ask for what has been, and no more', async () => {
    const { events, call } = await start();
    const path = '/v1/events?since=start&follow=false';
    const nothing = await call(path);
    expect(nothing.headers.get('content-type')).toMatch(/^text\/event-stream/);
    expect(nothing.text).not.toContain('data:');
    // More than one page, and more than one text.
    const keys = Array.from({ length: 230 }, () => events.happen().key);
    const reader = await read('since=start&follow=false');
    expect(await reader.over).toBe(true);
    expect(ids(reader)).toEqual(keys);
  });

  it('hears only of what it asks for', async () => {
    const { events, hosts } = await start();
    hosts.set('host-b', modelHost({ id: 'host-b', name: 'name-b' }));
    events.happen({ subjectId: 'vm-b', hostId: 'host-b', path: 'other' });
    const created = events.happen({ kind: 'vm.created' });
    const joined = events.happen({
      kind: 'host.joined',
      subjectId: 'host-b',
      hostId: 'host-b',
      path: null,
      facts: { id: 'host-b' },
    });
    const asked = async (query: string) => {
      const reader = await read(`since=start&follow=false&${query}`);
      await reader.over;
      return ids(reader);
    };
    expect(await asked('kind=vm.created,host.joined')).toEqual([created.key, joined.key]);
    expect(await asked('vm=vm-a')).toEqual([created.key]);
    expect(await asked('host=name-b')).toHaveLength(2);
    expect(await asked('path=acme')).toEqual([created.key]);
  });

  it.each([
    ['kind=vm.created,vm.exploded', 'kind'],
    ['since=yesterday', 'since'],
    ['follow=maybe', 'follow'],
    ['host=nobody', 'host'],
    ['vm=a%20b', 'vm'],
    ['until=now', 'until'],
  ])('is refused what makes no sense: %s', async (query, field) => {
    const { call } = await start();
    const problem = (await call(`/v1/events?${query}`)).problem();
    expect(problem).toMatchObject({ status: 400, code: 'invalid_request' });
    expect(problem.errors).toEqual([expect.objectContaining({ field })]);
  });

  it('hears a sign of life when nothing happens', async () => {
    await start({ events: { heartbeatMs: 20 } });
    const reader = await read();
    await reader.until(() => reader.text().split(': alive\n\n').length > 3);
    expect(reader.events).toEqual([]);
  });

  it('is one of so many; its place is free when it is gone', async () => {
    const { call } = await start({ events: { readersMax: 2 } });
    const first = await read();
    await read();
    const refused = await call('/v1/events');
    expect(refused.problem()).toMatchObject({ status: 429, code: 'rate_limited' });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    first.cut();
    // The server hears of the cut a moment later.
    for (;;) {
      const next = await read();
      if (next.status === 200) break;
    }
  });

  it('of one tenant leaves places for the others', async () => {
    const { call, tokens } = await start({ events: { readersMax: 8 } });
    const tokenOf = (path: string) => tokens.add('tenant', { path });
    for (const path of ['acme', 'acme', 'other', 'other', 'acme:web']) {
      expect((await read('', undefined, tokenOf(path))).status).toBe(200);
    }
    const refused = await call('/v1/events', { token: tokenOf('acme') });
    expect(refused.problem()).toMatchObject({ status: 429, code: 'rate_limited' });
    for (let count = 0; count < 3; count += 1) expect((await read()).status).toBe(200);
    expect((await call('/v1/events')).status).toBe(429);
    // Places that are free again are counted again.
    readers[0]?.cut();
    for (;;) {
      const next = await read('', undefined, tokenOf('acme'));
      if (next.status === 200) break;
    }
  });

  it('is let go in order when the replica stops', async () => {
    const { api } = await start();
    const reader = await read();
    await reader.until(() => reader.text() !== '');
    await api.close();
    expect(await reader.over).toBe(true);
  });

  it('is cut when the catalogue fails, and refused while it is away', async () => {
    const double = await start();
    const reader = await read();
    await reader.until(() => reader.text() !== '');
    double.failure = new Error('away');
    const reply = await double.call('/v1/events');
    expect(reply.status).toBe(500);
    double.failure = undefined;
    // Its place was kept: it goes on by itself.
    double.events.happen();
    await reader.until(() => reader.events.length === 1);
  });

  it('may ask with HEAD whether it may', async () => {
    const { call } = await start();
    const reply = await call('/v1/events', { method: 'HEAD' });
    expect(reply.status).toBe(200);
    expect(reply.text).toBe('');
  });
});

describe('a reader whose token is revoked', () => {
  it('is sent nothing that happens afterwards', async () => {
    const { events, tokens, url, call } = await start();
    const token = tokens.add('viewer', { id: 'a-token' });
    const reader = await readEvents({ url, token });
    readers.push(reader);
    const seen = events.happen();
    await reader.until(() => ids(reader).includes(seen.key));
    await call('/v1/tokens/a-token', { method: 'DELETE' });
    events.happen();
    expect(await reader.over).toBe(true);
    expect(ids(reader)).toEqual([seen.key]);
  });
});

describe('a reader that does not read', () => {
  it('is not read ahead for: nothing piles up', async () => {
    const { events, port } = await start();
    // Far more than the buffers of two sockets hold.
    const filler = 'x'.repeat(50_000);
    for (let count = 0; count < 2_000; count += 1) events.happen({ facts: { filler } });
    const socket = await halfDeaf(port);
    await new Promise<void>((resolve) => socket.once('data', () => resolve()));
    socket.pause();
    let before = -1;
    while (before !== events.reads()) {
      before = events.reads();
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    // 2,000 events are 40 pages: it stopped long before the end.
    expect(events.reads()).toBeLessThan(20);
    socket.destroy();
  });

  it('is cut off in the end', async () => {
    let ended: string | undefined;
    let texts = 0;
    const endless = async function* () {
      for (;;) {
        texts += 1;
        yield 'x'.repeat(65_536);
        await Promise.resolve();
      }
    };
    const slow = createServer((_request, response) => {
      response.writeHead(200);
      void sendStream(response, endless(), 100).then((how) => {
        ended = how;
      });
    });
    await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
    const { port } = slow.address() as AddressInfo;
    const socket = await halfDeaf(port);
    socket.pause();
    const closed = new Promise<void>((resolve) => {
      const look = setInterval(() => {
        if (ended === undefined) return;
        clearInterval(look);
        resolve();
      }, 10);
    });
    await closed;
    expect(ended).toBe('stalled');
    expect(texts).toBeLessThan(1_000);
    socket.destroy();
    await new Promise((resolve) => slow.close(resolve));
  });
});

/** A connection that has asked, and reads what it is told to. */
function halfDeaf(port: number): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(
        `GET /v1/events?since=start HTTP/1.1\r\nhost: berth\r\nauthorization: Bearer ${ADMIN_TOKEN}\r\n\r\n`,
      );
      resolve(socket);
    });
    socket.on('error', () => undefined);
  });
}

describe('what a tenant is shown of an event', () => {
  const event = {
    position: 7,
    key: 'k',
    at: new Date('2026-11-21T10:00:00.000Z'),
    kind: 'vm.changed' as const,
    subjectId: 'vm-a',
    path: 'acme',
    hostId: 'host-a',
    facts: {
      id: 'vm-a',
      name: 'web',
      host: { id: 'host-a', name: 'name-a' },
      reason: { code: 'host_down', detail: 'connect 10.0.0.1' },
      attempts: [{ host: { id: 'host-a', name: 'name-a' } }],
      violations: [{ name: 'web', policy: 'soft-affinity' }],
    },
  };

  it('names no host, and not what a host said', () => {
    const text = JSON.stringify(eventBody(event, { path: 'acme' }));
    expect(text).not.toMatch(/host-a|name-a|10\.0\.0\.1|position/);
    expect(JSON.parse(text)).toMatchObject({
      vm: { id: 'vm-a', name: 'web', host: null, attempts: [], reason: { code: 'host_down' } },
    });
    const calm = eventBody({ ...event, facts: { id: 'vm-a', reason: null } }, { path: 'acme' });
    expect(calm.vm).toMatchObject({ id: 'vm-a', reason: null });
  });

  it('is everything to those who see the fleet', () => {
    expect(eventBody(event, { path: null }).vm).toEqual(event.facts);
  });
});

describe('the audit log', () => {
  it('shows who did what, page by page', async () => {
    const { events, call } = await start();
    const entry = (id: number) => ({
      id,
      at: new Date('2026-11-21T10:00:00.000Z'),
      actor: { kind: 'token' as const, id: 't-1', name: 'ada', requestId: 'r-1' },
      action: 'vm.delete',
      subject: { kind: 'vm', id: 'vm-a', path: 'acme' },
      before: { state: 'running' },
      after: null,
    });
    events.entries.push(entry(3), entry(2), entry(1));
    const first = await call('/v1/audit?limit=2&actor=ada');
    expect(first.json).toMatchObject({
      items: [
        {
          id: '3',
          actor: { kind: 'token', id: 't-1', name: 'ada' },
          requestId: 'r-1',
          subject: { kind: 'vm', id: 'vm-a', path: 'acme' },
          before: { state: 'running' },
          after: null,
        },
        { id: '2' },
      ],
    });
    const { nextCursor } = first.json as { readonly nextCursor: string };
    const second = await call(`/v1/audit?limit=2&cursor=${nextCursor}`);
    expect(second.json).toMatchObject({ items: [{ id: '1' }], nextCursor: null });
    const none = await call('/v1/audit?action=vm.create&subject=vm-a&since=2026-11-21T10:00:00Z');
    expect(none.json).toEqual({ items: [], nextCursor: null });
  });

  it.each([
    ['since=yesterday', 'since'],
    ['limit=0', 'limit'],
    ['who=me', 'who'],
  ])('refuses %s', async (query, field) => {
    const { call } = await start();
    const problem = (await call(`/v1/audit?${query}`)).problem();
    expect(problem).toMatchObject({ status: 400, code: 'invalid_request' });
    expect(problem.errors).toEqual([expect.objectContaining({ field })]);
  });
});
