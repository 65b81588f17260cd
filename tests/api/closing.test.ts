/** Stopping in order: what is in flight is finished, what comes now is sent elsewhere. */
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ADMIN_TOKEN, startApi, type ApiServer } from '../support/api-server.js';
import { modelHost } from '../support/control-double.js';

const open: ApiServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map(({ api }) => api.close()));
});

async function start(...args: Parameters<typeof startApi>): Promise<ApiServer> {
  const server = await startApi(...args);
  server.hosts.set('host-a', modelHost());
  open.push(server);
  return server;
}

const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' };
const VM = { resources: { cpu: 1, memory: 1, disk: 1 } };

/** Resolves when the server holds a VM: then the create is past its first half. */
async function vmThere(server: ApiServer): Promise<void> {
  while (server.vms.size === 0) await new Promise((resolve) => setImmediate(resolve));
}

/** Keeps explanations waiting until they may go on. */
function holdExplanations(server: ApiServer): { entered: Promise<void>; open(): void } {
  const explain = server.control.explain.bind(server.control);
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const entered = new Promise<void>((resolve) => {
    Object.assign(server.control, {
      explain: async (request: Parameters<typeof explain>[0]) => {
        resolve();
        await opened;
        return explain(request);
      },
    });
  });
  return {
    entered,
    open: () => {
      open();
    },
  };
}

describe('close', () => {
  it('answers who waits with the VM as it is, and takes no more connections', async () => {
    const server = await start();
    const waiting = server.call('/v1/vms?wait=running&timeout=300', { method: 'POST', body: VM });
    await vmThere(server);
    const closed = server.api.close();
    const reply = await waiting;
    expect(reply.status).toBe(202);
    expect(reply.json).toMatchObject({ state: 'placed' });
    expect(reply.headers.get('connection')).toBe('close');
    await closed;
    await expect(fetch(`${server.url}/healthz`)).rejects.toThrow('fetch failed');
  });

  it('finishes what is in flight', async () => {
    const server = await start();
    const gate = holdExplanations(server);
    const asked = server.call('/v1/placements', { method: 'POST', body: VM });
    await gate.entered;
    const closed = server.api.close();
    gate.open();
    expect((await asked).status).toBe(200);
    await closed;
  });

  it('turns away what comes on a connection that is still open', async () => {
    const server = await start();
    const socket = connect(server.port, '127.0.0.1');
    let text = '';
    const answered = new Promise<void>((resolve) => {
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        resolve();
      });
    });
    const ended = new Promise((resolve) => socket.once('close', resolve));
    // The second request has begun when closing begins, so its connection is not idle.
    socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /healthz HTTP/1.1\r\n');
    await answered;
    const closed = server.api.close();
    socket.write('host: x\r\n\r\n');
    await Promise.all([ended, closed]);
    const [first, second] = text.split(/(?=HTTP\/1\.1 )/);
    expect(first).toMatch(/^HTTP\/1\.1 200 /);
    expect(second).toMatch(/^HTTP\/1\.1 503 [\s\S]*Connection: close[\s\S]*shutting_down/);
    expect(second).toMatch(/^Retry-After: 1\r$/m);
  });

  it('cuts off what takes longer than the limit', async () => {
    const server = await start({ closeLimitMs: 50 });
    const gate = holdExplanations(server);
    const outcome = server.call('/v1/placements', { method: 'POST', body: VM }).then(
      () => 'answered',
      () => 'cut off',
    );
    await gate.entered;
    await server.api.close();
    expect(await outcome).toBe('cut off');
  });

  it('is done when it is asked twice, or before anything listened', async () => {
    const server = await start();
    await Promise.all([server.api.close(), server.api.close()]);
    await server.api.close();
  });

  it('does not wait for connections that are idle', async () => {
    const server = await start({ closeLimitMs: 60_000 });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await new Promise<void>((resolve, reject) => {
      request(`${server.url}/healthz`, { agent, headers }, (answer) => {
        answer.resume();
        answer.once('end', resolve);
      })
        .once('error', reject)
        .end();
    });
    await server.api.close();
    agent.destroy();
  });
});

describe('a caller who leaves', () => {
  it('ends the waiting for a VM', async () => {
    const server = await start();
    let aborted = (): void => undefined;
    const left = new Promise<void>((resolve) => {
      aborted = resolve;
    });
    const wait = server.control.waitForVm.bind(server.control);
    Object.assign(server.control, {
      waitForVm: (id: string, timeoutMs: number, signal: AbortSignal) => {
        signal.addEventListener('abort', aborted, { once: true });
        return wait(id, timeoutMs, signal);
      },
    });
    const leaving = new AbortController();
    const gone = fetch(`${server.url}/v1/vms?wait=running&timeout=300`, {
      method: 'POST',
      headers,
      body: JSON.stringify(VM),
      signal: leaving.signal,
    });
    const refused = expect(gone).rejects.toThrow('aborted');
    await vmThere(server);
    leaving.abort();
    await refused;
    await left;
    expect((await server.call('/healthz')).status).toBe(200);
  });
});

describe('listen', () => {
  it('fails when the port is taken', async () => {
    const server = await start();
    await expect(startApi({ port: server.port })).rejects.toThrow('EADDRINUSE');
  });

  it('names an address that one can call', async () => {
    const server = await start({ bind: '0.0.0.0' });
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect((await server.call('/healthz')).status).toBe(200);
  });
});
