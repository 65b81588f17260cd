/** A replica that has enough to do says so at once, and does nothing for those who have gone. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { connect } from 'node:net';
import { ADMIN_TOKEN, startApi, type ApiServer } from '../support/api-server.js';
import { modelHost } from '../support/control-double.js';

let server: ApiServer;
afterEach(() => server.api.close());

const BODY = { resources: { cpu: 1, memory: 1, disk: 1 } };

/** A request whose body does not come: it is in flight until it is cut. */
async function unfinished(): Promise<{ cut(): void }> {
  const socket = connect(server.port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(
    `POST /v1/vms HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\n` +
      'Content-Type: application/json\r\nContent-Length: 60\r\n\r\n{',
  );
  return { cut: () => socket.destroy() };
}

/** Asks until the answer has this status: what another connection sends arrives when it arrives. */
async function untilAnswered(status: number) {
  for (;;) {
    const reply = await server.call('/v1/vms');
    if (reply.status === status) return reply;
  }
}

describe('requests in flight', () => {
  it('beyond the limit are refused with the time to come again; probes are answered', async () => {
    server = await startApi({ inFlightMax: 2 });
    const held = [await unfinished(), await unfinished()];
    const refused = await untilAnswered(429);
    expect(refused.problem().code).toBe('overloaded');
    expect(refused.headers.get('retry-after')).toBe('1');
    // Turned away at the door, it is told and counted like everybody else.
    expect(refused.headers.get('content-type')).toContain('application/problem+json');
    expect(refused.headers.get('x-content-type-options')).toBe('nosniff');
    expect(refused.headers.get('x-request-id')).toBe(refused.problem().requestId);
    expect((await server.call('/readyz?any', { token: null })).status).not.toBe(429);
    expect((await server.call('/healthz', { token: null })).status).toBe(200);
    for (const one of held) one.cut();
    expect((await untilAnswered(200)).status).toBe(200);
    const metrics = (await server.call('/metrics')).text;
    expect(metrics).toMatch(/berth_http_requests_total\{[^}]*status="429"[^}]*\} [1-9]/);
  });

  it('make nothing when their caller goes before the end of the body', async () => {
    server = await startApi({ inFlightMax: 1 });
    server.hosts.set('host-a', modelHost());
    const held = await unfinished();
    await untilAnswered(429);
    held.cut();
    await untilAnswered(200);
    expect(server.vms.size).toBe(0);
    await server.call('/v1/vms', { method: 'POST', body: BODY });
    expect(server.vms.size).toBe(1);
  });
});
