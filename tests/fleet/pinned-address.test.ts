/** Calls go to the address that was checked at the join, and nowhere else, whatever names say. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { createAgents } from '../../src/fleet/native-client.js';
import { silentLog } from '../support/log.js';
import { failureOf } from './agents-contract.js';

let server: Server;
let port: string;
let requests: IncomingMessage[] = [];
let redirectTo: string | null = null;

const agents = createAgents({ log: silentLog, deadlineMs: 2_000 });
const loopbackOnly = createAgents({ log: silentLog, networks: ['127.0.0.0/8'] });
const elsewhere = createAgents({ log: silentLog, networks: ['10.0.0.0/8'] });

beforeAll(async () => {
  server = createServer((request, response) => {
    requests.push(request);
    if (redirectTo !== null) {
      response.writeHead(307, { location: redirectTo }).end();
      return;
    }
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ gone: true }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port.toString();
});
afterAll(async () => {
  await Promise.all([agents, loopbackOnly, elsewhere].map((client) => client.close()));
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  requests = [];
  redirectTo = null;
});

const contact = (host: string, ip: string | null) => ({
  hostId: 'host-1',
  address: `http://${host}:${port}`,
  ip,
  credential: 'c'.repeat(43),
});

it('goes to the pinned address under its own name; the name is not asked for again', async () => {
  const pinned = contact('agent.invalid', '127.0.0.1');
  expect(await agents.removeVm(pinned, 'vm-1', 1)).toBe(true);
  expect(requests.map(({ headers }) => headers.host)).toEqual([`agent.invalid:${port}`]);
});

it('goes nowhere with a name that was never resolved', async () => {
  const { code, internal } = await failureOf(
    agents.removeVm(contact('localhost', null), 'vm-1', 1),
  );
  expect([code, internal]).toEqual(['agent_unreachable', expect.stringContaining('localhost')]);
  expect(requests).toEqual([]);
});

it('goes nowhere outside the networks, even if the agent joined when they were wider', async () => {
  for (const outside of [contact('127.0.0.1', null), contact('10.0.0.1', '127.0.0.1')]) {
    const failure = await failureOf(elsewhere.removeVm(outside, 'vm-1', 1));
    expect(failure.code).toBe('agent_unreachable');
  }
  expect(requests).toEqual([]);
  expect(await loopbackOnly.removeVm(contact('127.0.0.1', null), 'vm-1', 1)).toBe(true);
});

it('follows no redirect', async () => {
  redirectTo = `http://127.0.0.1:${port}/v1/secrets`;
  const failure = await failureOf(agents.removeVm(contact('127.0.0.1', null), 'vm-1', 1));
  expect(failure.code).toBe('agent_unreachable');
  expect(requests.map(({ url }) => url)).toEqual(['/v1/vms/vm-1?assignment=1']);
});
