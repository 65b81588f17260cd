/** The real client against a real agent, and against servers that lie, stall and break. */
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createAgents } from '../../src/fleet/native-client.js';
import { silentLog } from '../support/log.js';
import { SMALL, startFixture, until, type AgentFixture } from '../agent/agent-fixture.js';
import { describeAgents, failureOf } from './agents-contract.js';

describeAgents('native client and agent', async () => {
  const fixture = await startFixture();
  const agents = createAgents({ log: silentLog });
  return {
    agents,
    contact: fixture.contact(),
    small: SMALL,
    room: 7,
    async reach(vmId, state) {
      await until(
        () => agents.status(fixture.contact()),
        ({ vms }) => vms.some((vm) => vm.id === vmId && vm.state === state),
      );
    },
    async close() {
      await agents.close();
      await fixture.close();
    },
  };
});

const orderOf = (vmId: string, assignment = 1) => ({
  vmId,
  overrides: {},
  name: vmId,
  assignment,
  resources: SMALL,
  image: null,
  users: [],
});

describe('claims and deadlines over loopback', () => {
  let fixture: AgentFixture;
  const agents = createAgents({ log: silentLog, connectionsPerHost: 50 });
  const hasty = createAgents({ log: silentLog, deadlineMs: 100 });
  afterEach(() => fixture.close());
  afterAll(() => Promise.all([agents.close(), hasty.close()]));

  it('I1: of 50 claims at once exactly as many are granted as there is room', async () => {
    fixture = await startFixture();
    const calls = Array.from({ length: 50 }, (_, n) =>
      agents.ensureVm(fixture.contact(), orderOf(`vm-${n.toString()}`)),
    );
    const settled = await Promise.allSettled(calls);
    const refused = settled.flatMap((one) =>
      one.status === 'rejected' ? [one.reason as unknown] : [],
    );
    expect(refused).toHaveLength(43);
    for (const reason of refused) {
      expect(reason).toMatchObject({
        code: 'claim_refused',
        extra: {
          shortfalls: [{ resource: 'memory', requested: 1024, available: 0, limit: 7168 }],
        },
      });
    }
    expect((await agents.status(fixture.contact())).vms).toHaveLength(7);
  });

  it('is told to what a host cannot hold its VMs', async () => {
    fixture = await startFixture();
    expect((await agents.status(fixture.contact())).notEnforced).toEqual([]);
    await fixture.close();
    const notEnforced = ['Upload limits of VMs are not enforced (no ifb).'];
    fixture = await startFixture({}, { notEnforced });
    expect((await agents.status(fixture.contact())).notEnforced).toEqual(notEnforced);
    await fixture.close();
    // What other programs say in it must not cost the host its status.
    const odd = ['a\tb\n\u{1b}', 'x'.repeat(501), ...Array.from({ length: 40 }, () => '.')];
    fixture = await startFixture({}, { notEnforced: odd });
    const told = (await agents.status(fixture.contact())).notEnforced ?? [];
    expect(told.slice(0, 2)).toEqual(['a b  ', 'x'.repeat(500)]);
    expect(told).toHaveLength(32);
  });

  it('I11: an agent that hangs is unreachable after the deadline, and well again later', async () => {
    fixture = await startFixture();
    await fixture.setDriver({ hang: true });
    expect((await failureOf(hasty.status(fixture.contact()))).code).toBe('agent_unreachable');
    const lost = await failureOf(hasty.ensureVm(fixture.contact(), orderOf('vm-1')));
    expect([lost.code, lost.internal]).toEqual([
      'agent_unreachable',
      expect.stringMatching(/TimeoutError/),
    ]);
    await fixture.setDriver({ hang: false });
    expect(await agents.ensureVm(fixture.contact(), orderOf('vm-1'))).toMatchObject({ id: 'vm-1' });
  });

  it('a wrong credential is a refusal and proves nothing about a VM', async () => {
    fixture = await startFixture();
    const contact = { ...fixture.contact(), credential: 'x'.repeat(43) };
    for (const call of [
      agents.status(contact),
      agents.ensureVm(contact, orderOf('vm-1')),
      agents.startVm(contact, 'vm-1', 1),
      agents.removeVm(contact, 'vm-1', 1),
    ]) {
      expect((await failureOf(call)).code).toBe('agent_refused');
    }
  });

  it('an agent of another host is not taken for this one', async () => {
    fixture = await startFixture();
    const contact = { ...fixture.contact(), hostId: 'another-host' };
    expect((await failureOf(agents.status(contact))).code).toBe('agent_unreachable');
  });

  it('nobody listening is unreachable', async () => {
    fixture = await startFixture();
    const contact = fixture.contact();
    await fixture.agent.stop();
    expect((await failureOf(agents.status(contact))).code).toBe('agent_unreachable');
  });
});

describe('answers that cannot be used', () => {
  let server: Server;
  let answer: RequestListener;
  let answered = 0;
  const agents = createAgents({ log: silentLog, deadlineMs: 300 });
  const contact = () => ({
    hostId: 'host-1',
    ip: null,
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port.toString()}`,
    credential: 'c'.repeat(43),
  });

  beforeAll(async () => {
    server = createServer((request, response) => {
      answered += 1;
      answer(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    await agents.close();
    server.closeAllConnections();
    server.close();
  });

  const say = (status: number, body: unknown, type = 'application/json'): RequestListener => {
    return (_request, response) => {
      response.writeHead(status, { 'content-type': type });
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    };
  };

  const vm = { id: 'vm-1', assignment: 1, state: 'running', resources: { cpu: 1 }, reason: null };
  const status = {
    hostId: 'host-1',
    version: '1',
    bootId: 'boot-1',
    report: 1,
    uptimeS: 1,
    load: [0, 0, 0],
    totals: { cpu: { total: 8, source: 'detected' } },
    used: {},
    allocated: {},
    driver: 'simulated',
    vms: [vm],
  };

  const vmNumber = (_none: unknown, number: number) => ({ id: `v${number.toString()}` });
  const twice = (part: string, put: string) => JSON.stringify(status).replace(part, put);
  const classes = (count: number) =>
    Object.fromEntries(
      Array.from({ length: count }, (_none, index) => [`c${index.toString()}`, 1]),
    );
  const longReason = { code: 'x', detail: 'y'.repeat(100_000) };

  it('takes an honest answer, with fields it does not know', async () => {
    answer = say(200, { ...status, more: 1, vms: [{ ...vm, ip: '10.0.0.1' }] });
    expect((await agents.status(contact())).vms).toEqual([vm]);
  });

  it('says of force only what an earlier agent understands, unless it is meant', async () => {
    const sent: string[] = [];
    answer = (request, response) => {
      let body = '';
      request.on('data', (bytes: Buffer) => (body += bytes.toString()));
      request.on('end', () => {
        sent.push(body);
        say(200, vm)(request, response);
      });
    };
    await agents.stopVm(contact(), 'vm-1', 1);
    await agents.stopVm(contact(), 'vm-1', 1, { force: false });
    await agents.stopVm(contact(), 'vm-1', 1, { force: true });
    expect(sent.map((body) => JSON.parse(body) as unknown)).toEqual([
      { assignment: 1 },
      { assignment: 1 },
      { assignment: 1, force: true },
    ]);
  });

  it.each<[string, unknown]>([
    ['garbage', '<html>'],
    ['cut JSON', JSON.stringify(status).slice(0, -5)],
    ['nothing', ''],
    ['null', 'null'],
    ['another host', { ...status, hostId: 'host-2' }],
    ['a negative total', { ...status, totals: { cpu: { total: -1, source: 'detected' } } }],
    ['NaN', JSON.stringify(status).replace('"total":8', '"total":NaN')],
    ['an endless total', JSON.stringify(status).replace('"total":8', '"total":1e308')],
    ['half a CPU', { ...status, totals: { cpu: { total: 1.5, source: 'detected' } } }],
    [
      'a class name that is none',
      { ...status, totals: { 'C P U': { total: 1, source: 'detected' } } },
    ],
    ['the same VM twice', { ...status, vms: [vm, vm] }],
    ['a VM of negative size', { ...status, vms: [{ ...vm, resources: { cpu: -1 } }] }],
    ['a state that is none', { ...status, vms: [{ ...vm, state: 'dancing' }] }],
    ['an id that is a path', { ...status, vms: [{ ...vm, id: '../../etc' }] }],
    ['assignment 0', { ...status, vms: [{ ...vm, assignment: 0 }] }],
    ['VMs that are no list', { ...status, vms: { length: 1 } }],
    ['100,000 VMs', { ...status, vms: Array.from({ length: 100_000 }, vmNumber) }],
    ['the same class twice, once too large', twice('"total":8', '"total":8,"total":1e300')],
    ['a VM of size 1e300', twice('"cpu":1}', '"cpu":1e300}')],
    ['a report number below any', { ...status, report: -1 }],
    ['a version as long as a book', { ...status, version: 'v'.repeat(100_000) }],
    ['a class name as long as a book', { ...status, used: { ['c'.repeat(100_000)]: 1 } }],
    ['more classes than any host has', { ...status, used: classes(1_000) }],
    ['a reason as long as a book', { ...status, vms: [{ ...vm, reason: longReason }] }],
    ['a number for its id', { ...status, hostId: 1 }],
    ['a list for its totals', { ...status, totals: [] }],
    ['a text for its load', { ...status, load: 'low' }],
    ['a list around it', [status]],
  ])('a status with %s counts as no answer', async (_what, body) => {
    answer = say(200, body);
    const failure = await failureOf(agents.status(contact()));
    expect([failure.code, failure.internal]).toEqual([
      'agent_unreachable',
      'no usable answer (status 200)',
    ]);
  });

  it.each<[string, unknown]>([
    ['another VM', { ...vm, id: 'vm-2' }],
    ['another assignment', { ...vm, assignment: 2 }],
    ['an error with status 200', { code: 'claim_refused' }],
  ])('an order answered with %s counts as not answered', async (_what, body) => {
    answer = say(200, body);
    const { code } = await failureOf(agents.ensureVm(contact(), orderOf('vm-1')));
    expect(code).toBe('agent_unreachable');
  });

  const problem = (code: string, status: number, extra = {}) =>
    say(status, { type: 't', title: 't', status, code, detail: 'secret-ish', ...extra });

  it.each<[string, RequestListener, string]>([
    ['500', problem('internal_error', 500), 'agent_unreachable'],
    ['503', problem('shutting_down', 503), 'agent_unreachable'],
    ['429', problem('overloaded', 429), 'agent_unreachable'],
    ['a page of a proxy, 404', say(404, '<html>', 'text/html'), 'agent_unreachable'],
    ['a redirect', say(302, ''), 'agent_unreachable'],
    ['204', say(204, ''), 'agent_unreachable'],
    ['a problem', problem('invalid_request', 400), 'agent_refused'],
    ['a claim refused without amounts', problem('claim_refused', 409), 'agent_unreachable'],
    ['a stale order without the newest', problem('stale_assignment', 409), 'agent_unreachable'],
  ])('%s is told as what it is', async (_what, listener, code) => {
    answer = listener;
    for (const call of [
      agents.ensureVm(contact(), orderOf('vm-1')),
      agents.removeVm(contact(), 'vm-1', 1),
    ]) {
      const failure = await failureOf(call);
      expect(failure.code).toBe(code);
      expect(failure.message).not.toContain('secret-ish');
    }
  });

  it('only a problem document of an agent proves that a VM is not there', async () => {
    answer = problem('not_found', 404);
    expect(await agents.removeVm(contact(), 'vm-1', 1)).toBe(true);
    expect(await agents.startVm(contact(), 'vm-1', 1)).toBeNull();
    expect((await failureOf(agents.status(contact()))).code).toBe('agent_refused');
  });

  it('does not take the credential to where a redirect points', async () => {
    answered = 0;
    answer = (_request, response) => {
      response.writeHead(307, { location: '/elsewhere' }).end();
    };
    expect((await failureOf(agents.status(contact()))).code).toBe('agent_unreachable');
    expect(answered).toBe(1);
  });

  it('reads no more than 4 MiB', async () => {
    answer = say(200, { ...status, more: 'x'.repeat(4 * 1024 * 1024) });
    const failure = await failureOf(agents.status(contact()));
    expect([failure.code, failure.internal]).toEqual([
      'agent_unreachable',
      expect.stringMatching(/ResponseExceededMaxSize/),
    ]);
  });

  it('reads an endless body no further than that', async () => {
    let sent = 0;
    answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const chunk = Buffer.alloc(256 * 1024, ' ');
      const more = (): void => {
        while (!response.destroyed && response.write(chunk)) sent += chunk.length;
      };
      response.on('drain', more);
      more();
    };
    const patient = createAgents({ log: silentLog, deadlineMs: 20_000 });
    const failure = await failureOf(patient.status(contact()));
    await patient.close();
    expect(failure.internal).toMatch(/ResponseExceededMaxSize/);
    // What the sockets hold on both sides comes on top.
    expect(sent).toBeLessThan(64 * 1024 * 1024);
  });

  it('unpacks nothing: a small body that would be a large one is no answer', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, ' '));
    answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
      response.end(bomb);
    };
    const failure = await failureOf(agents.status(contact()));
    expect(failure.internal).toBe('no usable answer (status 200)');
  });

  it('takes nothing from keys that would change every object', async () => {
    answer = say(200, twice('"used":{', '"__proto__":{"cpu":1},"used":{"__proto__":{"cpu":1}'));
    const answered = await agents.status(contact());
    expect(Object.keys(answered.used)).toEqual([]);
    expect(({} as Readonly<Record<string, unknown>>).cpu).toBeUndefined();
    expect(answered.used.cpu).toBeUndefined();
  });

  it('waits for a slow body no longer than the deadline', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const drip = setInterval(() => response.write(' '), 20);
      response.on('close', () => {
        clearInterval(drip);
      });
    };
    const failure = await failureOf(agents.status(contact()));
    expect(failure.internal).toMatch(/TimeoutError/);
  });

  it('a connection that is reset is tried once more, then unreachable', async () => {
    answered = 0;
    answer = (request) => request.socket.destroy();
    expect((await failureOf(agents.status(contact()))).code).toBe('agent_unreachable');
    expect(answered).toBe(2);
    let isFirst = true;
    answer = (request, response) => {
      if (isFirst) request.socket.destroy();
      else say(200, status)(request, response);
      isFirst = false;
    };
    expect(await agents.status(contact())).toMatchObject({ hostId: 'host-1' });
  });

  it('asks and orders over one connection that is kept', async () => {
    const own = createAgents({ log: silentLog });
    const sockets = new Set<Socket>();
    answer = (request, response) => {
      sockets.add(request.socket);
      say(200, request.method === 'GET' ? status : vm)(request, response);
    };
    for (let times = 0; times < 3; times += 1) {
      await own.status(contact());
      await own.ensureVm(contact(), orderOf('vm-1'));
    }
    expect(sockets.size).toBe(1);
    await own.close();
  });

  it('has so many more for orders that hang, and one for polls beside them', async () => {
    const patient = createAgents({ log: silentLog, deadlineMs: 60_000, connectionsPerHost: 2 });
    const polled = new Set<Socket>();
    const ordered = new Set<Socket>();
    answer = (request, response) => {
      (request.method === 'GET' ? polled : ordered).add(request.socket);
      if (request.method === 'GET') say(200, status)(request, response);
    };
    const orders = ['vm-1', 'vm-2', 'vm-3', 'vm-4'].map((id) =>
      failureOf(patient.ensureVm(contact(), orderOf(id))),
    );
    await until(
      () => Promise.resolve(ordered.size),
      (size) => size === 3,
    );
    await Promise.all(Array.from({ length: 5 }, () => patient.status(contact())));
    await patient.status(contact());
    expect([polled.size, ordered.size]).toEqual([1, 3]);
    expect([...polled].filter((socket) => ordered.has(socket))).toEqual([]);
    // Those that were sent again, too.
    answer = (request) => request.socket.destroy();
    for (const socket of ordered) socket.destroy();
    for (const failure of await Promise.all(orders)) expect(failure.code).toBe('agent_unreachable');
    await patient.close();
  });

  it('what is not HTTP is unreachable', async () => {
    const tcp = createTcpServer((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
    await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
    const address = `http://127.0.0.1:${(tcp.address() as AddressInfo).port.toString()}`;
    const failure = await failureOf(agents.status({ ...contact(), address }));
    tcp.close();
    expect(failure.code).toBe('agent_unreachable');
  });
});
