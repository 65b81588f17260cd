/** A real agent over HTTP: its life, its restarts, its answers to bad requests, its joining. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Driver } from '../../src/agent/drivers/driver.js';
import { createSimulatedDriver } from '../../src/agent/drivers/simulated.js';
import { systemClock } from '../../src/std/clock.js';
import { agentStatusSchema } from '../../src/wire/agent.js';
import { agentResourcesSchema } from '../../src/wire/agent-resources.js';
import { joinHostSchema, type JoinHostBody } from '../../src/wire/hosts.js';
import { problemSchema } from '../../src/wire/problem.js';
import {
  answerOf,
  order,
  SMALL,
  startFixture,
  until,
  type AgentFixture,
  type Answer,
} from './agent-fixture.js';

let fixture: AgentFixture;
afterEach(() => fixture.close());

const stateOf = (answer: Answer) => answer.body.state;
const reach = (state: string, id = 'vm-1') =>
  until(
    () => fixture.call('GET', `/v1/vms/${id}`),
    (answer) => stateOf(answer) === state,
  );

describe('restart', () => {
  it('finds its VMs, their states and its own identity again', async () => {
    fixture = await startFixture();
    await fixture.call('PUT', '/v1/vms/runs', order(1));
    await fixture.call('PUT', '/v1/vms/Rests', order(2));
    await reach('running', 'runs');
    await reach('running', 'Rests');
    await fixture.call('POST', '/v1/vms/Rests/stop', { assignment: 2 });
    await reach('stopped', 'Rests');
    const before = fixture.contact();
    await fixture.restart();
    expect(fixture.contact()).toMatchObject({
      hostId: before.hostId,
      credential: before.credential,
    });
    const { items } = (await fixture.call('GET', '/v1/vms')).body as { items: object[] };
    expect(items).toHaveLength(2);
    expect(items).toContainEqual(expect.objectContaining({ id: 'runs', state: 'running' }));
    expect(items).toContainEqual(expect.objectContaining({ id: 'Rests', state: 'stopped' }));
    // What they hold still counts: 2 of 7.
    const { resources } = agentResourcesSchema.parse(
      (await fixture.call('GET', '/resources')).body,
    );
    expect(resources.memory).toMatchObject({ allocated: 2048, available: 5120 });
  });

  it('goes on with what was under way', async () => {
    fixture = await startFixture({ bootMs: 200, stopMs: 5 });
    await fixture.call('PUT', '/v1/vms/vm-1', order(1));
    await fixture.restart();
    await reach('running');
  });

  it('starts nothing by itself when the machine was started anew, until it is told', async () => {
    fixture = await startFixture();
    for (const id of ['runs', 'rests']) {
      await fixture.call('PUT', `/v1/vms/${id}`, order(1));
      await reach('running', id);
    }
    await fixture.call('POST', '/v1/vms/rests/stop', { assignment: 1 });
    await reach('stopped', 'rests');
    await writeFile(join(fixture.dataDir, 'boot'), 'the-start-before\n');
    await fixture.restart();
    for (const id of ['runs', 'rests']) {
      const { body } = await fixture.call('GET', `/v1/vms/${id}`);
      expect(body).toMatchObject({ state: 'stopped', reason: null });
    }
    // The next start of the agent alone takes what it finds.
    await fixture.call('POST', '/v1/vms/runs/start', { assignment: 1 });
    await reach('running', 'runs');
    await fixture.restart();
    await reach('running', 'runs');
  });

  it('goes on with a removal that was under way', async () => {
    fixture = await startFixture({ bootMs: 5, stopMs: 3_600_000 });
    await fixture.call('PUT', '/v1/vms/vm-1', order(1));
    await reach('running');
    const removal = await fixture.call('DELETE', '/v1/vms/vm-1?assignment=1');
    expect(removal.body).toEqual({ gone: false });
    expect((await fixture.call('GET', '/v1/vms/vm-1')).body).toMatchObject({ state: 'stopping' });
    // Neither a repeat nor a newer order gets past it, and it still holds its room.
    expect((await fixture.call('POST', '/v1/vms/vm-1/start', { assignment: 1 })).status).toBe(409);
    expect((await fixture.call('PUT', '/v1/vms/vm-1', order(1))).body.code).toBe(
      'stale_assignment',
    );
    await fixture.restart();
    await until(
      () => fixture.call('GET', '/v1/vms/vm-1'),
      ({ status }) => status === 404,
    );
  }, 30_000);

  it('I9: an older order is refused after a restart too, for a VM and for a removed one', async () => {
    fixture = await startFixture();
    await fixture.call('PUT', '/v1/vms/kept', order(5));
    await fixture.call('PUT', '/v1/vms/gone', order(6));
    await fixture.call('DELETE', '/v1/vms/gone?assignment=6');
    await fixture.call('DELETE', '/v1/vms/never?assignment=7');
    await fixture.restart();
    for (const [id, newest] of [
      ['kept', 5],
      ['gone', 6],
      ['never', 7],
    ] as const) {
      const refusal = await fixture.call('PUT', `/v1/vms/${id}`, order(newest - 1));
      expect([refusal.status, refusal.body.newest]).toEqual([409, newest]);
    }
    for (const id of ['gone', 'never']) {
      const late = await fixture.call('PUT', `/v1/vms/${id}`, order(id === 'gone' ? 6 : 7));
      expect(late.body.code).toBe('stale_assignment');
      expect((await fixture.call('PUT', `/v1/vms/${id}`, order(8))).status).toBe(200);
    }
  });

  it('sets a damaged record aside and starts with the others', async () => {
    fixture = await startFixture();
    await fixture.call('PUT', '/v1/vms/good', order(1));
    await fixture.call('PUT', '/v1/vms/bad', order(1));
    await reach('running', 'good');
    await reach('running', 'bad');
    const directory = join(fixture.dataDir, 'vms');
    await writeFile(join(directory, 'bad.json'), '{"format":1,"id":"bad"');
    await writeFile(join(directory, 'other.json'), await readFile(join(directory, 'good.json')));
    await fixture.restart();
    const { items } = (await fixture.call('GET', '/v1/vms')).body as { items: { id: string }[] };
    expect(items.map(({ id }) => id)).toEqual(['good']);
    expect((await readdir(join(directory, 'set-aside'))).sort()).toEqual([
      expect.stringMatching(/^bad\.json\./),
      expect.stringMatching(/^other\.json\./),
    ]);
  });

  it('refuses to start with an identity it cannot read, rather than become another host', async () => {
    fixture = await startFixture();
    const path = join(fixture.dataDir, 'identity.json');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const identity = await readFile(path);
    await writeFile(path, '{}');
    await expect(fixture.restart()).rejects.toThrow(/holds no usable identity/);
    await writeFile(path, identity);
    await fixture.restart();
    expect(fixture.contact().credential).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });
});

describe('the simulated driver', () => {
  it('fails as many creates and starts as it is told', async () => {
    fixture = await startFixture();
    await fixture.setDriver({ failNextCreates: 1, failNextStarts: 1 });
    const failed = await fixture.call('PUT', '/v1/vms/vm-1', order(1));
    expect(failed.body).toMatchObject({ state: 'failed', reason: { code: 'create_failed' } });
    expect(stateOf(await fixture.call('PUT', '/v1/vms/vm-1', order(1)))).toBe('failed');
    expect(stateOf(await fixture.call('PUT', '/v1/vms/vm-1', order(2)))).toBe('creating');
    await reach('running');
    await fixture.call('POST', '/v1/vms/vm-1/stop', { assignment: 2 });
    await reach('stopped');
    const start = () => fixture.call('POST', '/v1/vms/vm-1/start', { assignment: 2 });
    expect((await start()).body).toMatchObject({ reason: { code: 'start_failed' } });
    expect(stateOf(await start())).toBe('starting');
    await reach('running');
  });

  it('refuses claims although there is room', async () => {
    fixture = await startFixture({ refuseClaims: true });
    const refusal = await fixture.call('PUT', '/v1/vms/vm-1', order(1));
    expect(refusal.body).toMatchObject({
      code: 'claim_refused',
      shortfalls: expect.arrayContaining([
        { resource: 'cpu', requested: 1, available: 0, limit: 64 },
      ]),
    });
  });

  it('grants a newer order what the VM holds already, even without room, and no more', async () => {
    fixture = await startFixture();
    expect((await fixture.call('PUT', '/v1/vms/vm-1', order(1))).status).toBe(200);
    await fixture.setDriver({ refuseClaims: true });
    const again = await fixture.call('PUT', '/v1/vms/vm-1', order(2));
    expect(again.body).toMatchObject({ id: 'vm-1', assignment: 2, resources: order(2).resources });
    const more = { ...order(3).resources, cpu: 2 };
    const refusal = await fixture.call('PUT', '/v1/vms/vm-1', order(3, more));
    expect(refusal.body).toMatchObject({ code: 'claim_refused' });
  });

  it('shows and changes its settings, and knows no others', async () => {
    fixture = await startFixture({ bootMs: 7 });
    expect((await fixture.call('PATCH', '/v1/driver', { stopMs: 9 })).body).toEqual({
      bootMs: 7,
      stopMs: 9,
      failNextCreates: 0,
      failNextStarts: 0,
      hang: false,
      refuseClaims: false,
    });
    const wrong = await fixture.call('PATCH', '/v1/driver', { hang: 'yes', explode: true });
    expect(wrong.body.errors).toEqual([
      { field: 'hang', message: 'must be true or false' },
      { field: 'explode', message: 'is not known here; remove it' },
    ]);
  });
});

it('a create that breaks in the driver ends failed and still holds its room', async () => {
  const driver: Driver = {
    ...createSimulatedDriver({ clock: systemClock }),
    create: () => Promise.reject(new Error('no KVM here')),
  };
  fixture = await startFixture({}, { driver });
  const answer = await fixture.call('PUT', '/v1/vms/vm-1', order(1));
  expect(answer.body).toMatchObject({ state: 'failed', reason: { code: 'create_failed' } });
  expect(JSON.stringify(answer.body)).not.toContain('KVM');
  const status = agentStatusSchema.parse((await fixture.call('GET', '/v1/status')).body);
  expect(status.allocated.memory).toBe(1024);
});

describe('orders', () => {
  it('tells every class that is short', async () => {
    fixture = await startFixture();
    const refusal = await fixture.call(
      'PUT',
      '/v1/vms/vm-1',
      order(1, { cpu: 65, memory: 8000, disk: 1, gpu: 2 } as typeof SMALL),
    );
    expect(refusal.body).toMatchObject({
      status: 409,
      code: 'claim_refused',
      shortfalls: [
        { resource: 'cpu', requested: 65, available: 64, limit: 64 },
        { resource: 'memory', requested: 8000, available: 7168, limit: 7168 },
        { resource: 'gpu', requested: 2, available: 0, limit: 0 },
      ],
    });
    expect((await fixture.call('GET', '/v1/vms/vm-1')).status).toBe(404);
  });

  it('one assignment means one order', async () => {
    fixture = await startFixture();
    await fixture.call('PUT', '/v1/vms/vm-1', order(1));
    const other = await fixture.call('PUT', '/v1/vms/vm-1', order(1, { ...SMALL, cpu: 2 }));
    expect([other.status, other.body.code]).toEqual([409, 'state_conflict']);
  });

  it('a repeat while the first is under way finds the same VM', async () => {
    fixture = await startFixture();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => fixture.call('PUT', '/v1/vms/vm-1', order(1))),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    const { resources } = agentResourcesSchema.parse(
      (await fixture.call('GET', '/resources')).body,
    );
    expect(resources.memory?.allocated).toBe(1024);
  });

  it('starting, stopping and removing at random never overfills it or loses a VM', async () => {
    fixture = await startFixture({ bootMs: 1, stopMs: 1 });
    const ids = Array.from({ length: 12 }, (_, n) => `vm-${n.toString()}`);
    await Promise.all(
      ids.flatMap((id, n) => [
        fixture.call('PUT', `/v1/vms/${id}`, order(1)),
        fixture.call('POST', `/v1/vms/${id}/stop`, { assignment: 1 }),
        ...(n % 2 === 0 ? [fixture.call('DELETE', `/v1/vms/${id}?assignment=1`)] : []),
        fixture.call('PUT', `/v1/vms/${id}`, order(2)),
      ]),
    );
    const status = agentStatusSchema.parse((await fixture.call('GET', '/v1/status')).body);
    expect(status.allocated.memory).toBe(status.vms.length * 1024);
    expect(status.vms.length).toBeLessThanOrEqual(7);
    await fixture.restart();
    const after = agentStatusSchema.parse((await fixture.call('GET', '/v1/status')).body);
    expect(after.vms.map(({ id }) => id).sort()).toEqual(status.vms.map(({ id }) => id).sort());
  });
});

describe('http', () => {
  it('measures the machine it runs on when it is not told what it has', async () => {
    fixture = await startFixture({}, { configuredTotals: undefined });
    const status = agentStatusSchema.parse((await fixture.call('GET', '/v1/status')).body);
    const { cpu, memory, disk, ...others } = status.totals;
    for (const entry of [cpu, memory, disk]) {
      expect(entry?.total).toBeGreaterThan(0);
      expect(entry?.source).toBe('detected');
    }
    expect(Object.keys(others)).toEqual(expect.arrayContaining(['network', 'disk_io']));
    expect(status.used.memory).toBeGreaterThan(0);
    expect(status.version).toBe('1.2.3');
  });

  it('answers only who shows the credential, but tells everybody that it lives', async () => {
    fixture = await startFixture();
    const ask = async (path: string, authorization?: string) =>
      answerOf(
        await fetch(`${fixture.agent.address}${path}`, {
          headers: authorization === undefined ? {} : { authorization },
        }),
      );
    expect((await ask('/healthz')).body).toEqual({ ok: true });
    for (const shown of [
      undefined,
      'Bearer',
      'Bearer wrong',
      'Basic abc',
      fixture.agent.credential,
    ]) {
      for (const path of ['/v1/status', '/resources', '/v1/driver', '/nothing']) {
        const answer = await ask(path, shown);
        expect([answer.status, answer.body.code]).toEqual([401, 'unauthenticated']);
      }
    }
    expect((await ask('/v1/status', `Bearer ${fixture.agent.credential}`)).status).toBe(200);
  });

  it.each<[string, string, string, unknown, number, string]>([
    ['no JSON', 'PUT', '/v1/vms/vm-1', '{"name":', 400, 'invalid_json'],
    ['an empty body', 'PUT', '/v1/vms/vm-1', undefined, 400, 'invalid_request'],
    ['an id that is none', 'PUT', '/v1/vms/a%2Fb', order(1), 400, 'invalid_request'],
    ['a path that cannot be decoded', 'GET', '/v1/vms/%zz', undefined, 400, 'invalid_request'],
    ['no assignment', 'DELETE', '/v1/vms/vm-1', undefined, 400, 'invalid_request'],
    [
      'a hexadecimal assignment',
      'DELETE',
      '/v1/vms/a?assignment=0x1',
      undefined,
      400,
      'invalid_request',
    ],
    [
      'two assignments',
      'DELETE',
      '/v1/vms/a?assignment=1&assignment=2',
      undefined,
      400,
      'invalid_request',
    ],
    ['an unknown VM', 'GET', '/v1/vms/vm-1', undefined, 404, 'not_found'],
    ['starting an unknown VM', 'POST', '/v1/vms/vm-1/start', { assignment: 1 }, 404, 'not_found'],
    ['an unknown path', 'GET', '/v1/hosts', undefined, 404, 'not_found'],
    ['another method', 'POST', '/v1/vms/vm-1', order(1), 405, 'method_not_allowed'],
    ['a huge body', 'PUT', '/v1/vms/vm-1', `"${'x'.repeat(65 * 1024)}"`, 413, 'body_too_large'],
  ])('%s is a problem document', async (_what, method, path, body, status, code) => {
    fixture = await startFixture();
    const answer = await fixture.call(method, path, body);
    expect([answer.status, answer.body.code]).toEqual([status, code]);
    expect(answer.contentType).toMatch(/^application\/problem\+json/);
    expect(problemSchema.safeParse(answer.body).success).toBe(true);
    if (status === 405) expect(answer.headers.get('allow')).toBe('GET, PUT, DELETE');
  });

  it('takes bodies only as JSON', async () => {
    fixture = await startFixture();
    for (const type of ['text/plain', 'application/x-www-form-urlencoded']) {
      const response = await fetch(`${fixture.agent.address}/v1/vms/vm-1`, {
        method: 'PUT',
        headers: { authorization: `Bearer ${fixture.agent.credential}`, 'content-type': type },
        body: JSON.stringify(order(1)),
      });
      expect((await answerOf(response)).body.code).toBe('unsupported_media_type');
    }
  });

  it('names each field that is wrong', async () => {
    fixture = await startFixture();
    const answer = await fixture.call('PUT', '/v1/vms/vm-1', {
      name: '',
      assignment: 0,
      resources: { cpu: -1, Memory: 5, constructor: 1 },
      surprise: 1,
    });
    const fields = (answer.body.errors as { field: string }[]).map(({ field }) => field);
    expect(fields.sort()).toEqual([
      'assignment',
      'image',
      'name',
      'resources.Memory',
      'resources.constructor',
      'resources.cpu',
      'surprise',
    ]);
  });

  it('survives 1,000 hostile bodies without a 500', async () => {
    fixture = await startFixture();
    const json = fc.oneof(
      fc.jsonValue({ maxDepth: 4 }).map((value) => JSON.stringify(value)),
      fc
        .record(
          {
            name: fc.oneof(fc.string(), fc.constant('vm'), fc.constant(null)),
            assignment: fc.oneof(fc.integer(), fc.double(), fc.constant(1)),
            resources: fc.dictionary(
              fc.oneof(fc.string(), fc.constantFrom('cpu', '__proto__', 'constructor', 'memory')),
              fc.oneof(fc.integer(), fc.double(), fc.maxSafeInteger(), fc.constant(1)),
            ),
            image: fc.option(fc.string()),
            __proto__: fc.anything(),
          },
          { requiredKeys: [] },
        )
        .map((value) => JSON.stringify(value)),
      fc.string(),
    );
    const target = fc.constantFrom(
      ['PUT', '/v1/vms/vm-1'],
      ['PUT', '/v1/vms/constructor'],
      ['POST', '/v1/vms/vm-1/start'],
      ['POST', '/v1/vms/vm-1/stop'],
      ['DELETE', '/v1/vms/vm-1?assignment=__proto__'],
    );
    await fc.assert(
      fc.asyncProperty(json, target, async (body, [method = '', path = '']) => {
        const answer = await fixture.call(method, path, body);
        expect(answer.status).toBeLessThan(500);
        if (answer.status >= 400) expect(problemSchema.safeParse(answer.body).success).toBe(true);
      }),
      { numRuns: 1_000 },
    );
    agentStatusSchema.parse((await fixture.call('GET', '/v1/status')).body);
  }, 60_000);
});

describe('joining', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  /** A control plane that knows one call; answers what `reply` says. */
  async function controlPlane(
    port: number,
    reply: (body: JoinHostBody, tries: number, request: IncomingMessage) => [number, unknown],
  ): Promise<{ url: string; joins: JoinHostBody[] }> {
    const joins: JoinHostBody[] = [];
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = joinHostSchema.parse(JSON.parse(Buffer.concat(chunks).toString()));
        joins.push(body);
        const [status, answer] = reply(body, joins.length, request);
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(JSON.stringify(answer));
      });
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const address = server.address() as AddressInfo;
    return { url: `http://127.0.0.1:${address.port.toString()}`, joins };
  }

  it('tries until there is a control plane', async () => {
    const probe = await controlPlane(0, () => [200, {}]);
    const port = Number(new URL(probe.url).port);
    await new Promise((resolve) => servers.pop()?.close(resolve));
    fixture = await startFixture({}, { controlPlaneUrl: probe.url });
    const { joins } = await controlPlane(port, (body) => [201, { id: body.id }]);
    await fixture.agent.joined;
    expect(joins[0]).toMatchObject({
      id: fixture.agent.hostId,
      name: 'test-host',
      address: fixture.agent.address,
      credential: fixture.agent.credential,
      zone: 'zone-a',
      totals: { memory: { total: 7168, source: 'configured' } },
      agent: { version: '1.2.3' },
    });
  });

  it('shows its token, and takes no answer for a yes but a yes', async () => {
    const tokens = new Set<string | undefined>();
    const answers: [number, (id: string) => unknown][] = [
      [503, () => ({})],
      [409, () => ({})],
      [400, () => ({})],
      [302, () => ({})],
      [200, () => 'hello'],
      [200, () => ({ id: 'another-host' })],
      [201, (id) => ({ id })],
    ];
    const { url, joins } = await controlPlane(0, (body, tries, request) => {
      tokens.add(request.headers.authorization);
      const [status, answer] = answers[tries - 1] ?? [201, (id: string) => ({ id })];
      return [status, answer(body.id)];
    });
    fixture = await startFixture({}, { controlPlaneUrl: url });
    await fixture.agent.joined;
    expect(joins).toHaveLength(7);
    expect([...tokens]).toEqual(['Bearer a-join-token']);
  });
});
