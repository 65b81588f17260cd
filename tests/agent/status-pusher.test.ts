/** Agents tell of changes by themselves, at once and together; what fails is tried again. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { agentStatusSchema, type AgentStatusBody } from '../../src/wire/agent.js';
import { order, startFixture, until, type AgentFixture } from './agent-fixture.js';

interface Told {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly status: AgentStatusBody;
}

describe('a status that is pushed', () => {
  let server: Server;
  let told: Told[];
  /** What the next pushes are answered; 202 afterwards. */
  let answers: number[];
  let fixture: AgentFixture;

  beforeEach(async () => {
    told = [];
    answers = [];
    server = createServer((request, response) => {
      void answerOf(request).then((status) => response.writeHead(status).end('{}'));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    fixture = await startFixture(
      { bootMs: 5, stopMs: 5 },
      { controlPlaneUrl: `http://127.0.0.1:${port.toString()}` },
    );
  });
  afterEach(async () => {
    await fixture.close();
    server.closeAllConnections();
    server.close();
  });

  async function answerOf(request: IncomingMessage): Promise<number> {
    const body = await text(request);
    if (request.url === '/v1/hosts') return 503;
    const status = agentStatusSchema.parse(JSON.parse(body));
    const { authorization } = request.headers;
    told.push({ path: `${request.method ?? ''} ${request.url ?? ''}`, authorization, status });
    return answers.shift() ?? 202;
  }

  const lastStates = () =>
    Object.fromEntries(told.at(-1)?.status.vms.map(({ id, state }) => [id, state]) ?? []);
  const untilLast = (expected: Readonly<Record<string, string>>) =>
    until(
      () => Promise.resolve(JSON.stringify(lastStates())),
      (seen) => seen === JSON.stringify(expected),
    );

  it('says how a VM becomes, without a poll, with the token of the host', async () => {
    await fixture.call('PUT', '/v1/vms/a', order(1));
    await untilLast({ a: 'running' });
    await fixture.call('POST', '/v1/vms/a/stop', { assignment: 1 });
    await untilLast({ a: 'stopped' });
    await fixture.call('DELETE', '/v1/vms/a?assignment=1');
    await until(
      () => Promise.resolve(told.at(-1)?.status.vms.length),
      (count) => count === 0,
    );
    expect(new Set(told.map(({ path }) => path))).toEqual(
      new Set([`POST /v1/hosts/${fixture.agent.hostId}/status`]),
    );
    expect(told[0]?.authorization).toMatch(/^Bearer berth_host_/);
    expect(told[0]?.authorization).not.toContain(fixture.agent.credential);
  });

  it('has a number that grows, also over polls and a restart', async () => {
    await fixture.call('PUT', '/v1/vms/a', order(1));
    await untilLast({ a: 'running' });
    const numbers = told.map(({ status }) => status.report);
    for (let poll = 1; poll <= 3; poll += 1) {
      const { body } = await fixture.call('GET', '/v1/status');
      numbers.push(agentStatusSchema.parse(body).report);
    }
    await fixture.restart();
    const { body } = await fixture.call('GET', '/v1/status');
    numbers.push(agentStatusSchema.parse(body).report);
    expect(numbers).toEqual([...new Set(numbers)].sort((left, right) => left - right));
  });

  it('is tried again when nobody could take it', async () => {
    answers = [503, 503];
    await fixture.call('PUT', '/v1/vms/a', order(1));
    await until(
      () => Promise.resolve(told.length > 2 && lastStates().a === 'running'),
      (isTold) => isTold,
    );
  });

  it('is not tried again when it is refused, and the next change is told all the same', async () => {
    answers = [401, 401, 401];
    await fixture.call('PUT', '/v1/vms/a', order(1));
    await until(
      () => Promise.resolve(answers.length),
      (left) => left < 3,
    );
    answers = [];
    await fixture.call('POST', '/v1/vms/a/stop', { assignment: 1 });
    await untilLast({ a: 'stopped' });
  });

  it('holds up the end of the agent neither when nobody answers nor when the driver hangs', async () => {
    answers = Array.from({ length: 100 }, () => 503);
    await fixture.call('PUT', '/v1/vms/a', order(1));
    await until(
      () => Promise.resolve(told.length),
      (count) => count > 0,
    );
    await fixture.setDriver({ hang: true });
    await expect(fixture.agent.stop()).resolves.toBeUndefined();
  });
});
