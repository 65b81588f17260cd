/** Consoles over the API: what was said, what is said from now on, and who may hear it. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { modelVm } from '../support/control-double.js';
import { ADMIN_TOKEN, startApi, type ApiServer } from '../support/api-server.js';

let server: ApiServer;
beforeAll(async () => {
  server = await startApi();
});
afterAll(() => server.api.close());
beforeEach(() => {
  server.vms.clear();
  server.vms.set('vm-a', modelVm({ id: 'vm-a', path: 'acme:web' }));
  server.files.console = 'one line\nand another, with ü\n';
});

/** Reads a stream until it says this; answers all that it said. */
async function heard(reader: ReadableStreamDefaultReader<Uint8Array>, wanted: string) {
  const decoder = new TextDecoder();
  let text = '';
  while (!text.includes(wanted)) {
    const { value, done } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  return text;
}

const follow = async (signal?: AbortSignal) => {
  const response = await fetch(`${server.url}/v1/vms/vm-a/logs?follow=true&tailBytes=9`, {
    headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    ...(signal === undefined ? {} : { signal }),
  });
  return response.body!.getReader();
};

describe('the console of a VM', () => {
  it('is told as text, piece by piece behind the scenes', async () => {
    const reply = await server.call('/v1/vms/vm-a/logs');
    expect(reply.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(reply.text).toBe(server.files.console);
    expect((await server.call('/v1/vms/vm-a/logs?tailBytes=5')).text).toBe('h ü\n');
  });

  it('goes on with what is said, and ends when the VM is gone', async () => {
    const reader = await follow();
    expect(await heard(reader, 'ü\n')).toContain('with ü\n');
    server.files.console += 'something new\n';
    expect(await heard(reader, 'new\n')).toBe('something new\n');
    server.vms.clear();
    expect((await reader.read()).done).toBe(true);
  });

  it('is shown to its tenant, and to no other', async () => {
    const tokenOf = (path: string) => server.tokens.add('tenant', { path });
    const status = async (token: string) =>
      (await server.call('/v1/vms/vm-a/logs', { token })).status;
    expect(await status(tokenOf('acme'))).toBe(200);
    expect(await status(tokenOf('other'))).toBe(404);
  });

  it('is followed by so many at once and no more; who leaves makes room', async () => {
    const leaving = new AbortController();
    const readers = await Promise.all(Array.from({ length: 100 }, () => follow(leaving.signal)));
    const refused = await server.call('/v1/vms/vm-a/logs?follow=true');
    expect(refused.problem().code).toBe('overloaded');
    leaving.abort();
    await Promise.allSettled(readers.map((reader) => reader.closed));
    for (;;) {
      const response = await fetch(`${server.url}/v1/vms/vm-a/logs?follow=true`, {
        headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
      });
      await response.body?.cancel();
      if (response.status === 200) break;
    }
  }, 60_000);
});
