/** Each route: what is sent, and what comes back. Answers are also held to the route table. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ROUTES } from '../../src/api/routes.js';
import type { ReadinessBody } from '../../src/wire/ops.js';
import { modelHost, modelVm } from '../support/control-double.js';
import { modelReservation } from '../support/reservations-double.js';
import { sentFile, startApi, type ApiServer, type Sent } from '../support/api-server.js';

let server: ApiServer;
beforeAll(async () => {
  server = await startApi();
});
afterAll(() => server.api.close());
beforeEach(() => {
  server.vms.clear();
  server.hosts.clear();
  server.failure = undefined;
  server.ready = true;
  server.hosts.set('host-a', modelHost());
  server.vms.set('vm-a', modelVm());
  server.reservations.set('rsv-a', modelReservation({ id: 'rsv-a' }));
  server.tokens.add('operator', { id: 'token-a' });
});

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 jo@example.org';
const RESOURCES = { cpu: 1, memory: 512, disk: 1024 };
const JOIN = {
  id: 'host-b',
  name: 'name-b',
  address: 'http://127.0.0.1:8081',
  credential: 'x'.repeat(32),
  totals: { cpu: { total: 4, source: 'detected' } },
  agent: { version: '0.1.0', bootId: 'boot-1' },
};

interface Row {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly sent?: Sent;
  readonly status: number;
  readonly code?: string;
  /** Fields that the problem must name. */
  readonly fields?: readonly string[];
}

const post = (path: string, body: unknown, status: number, code?: string, ...fields: string[]) => ({
  name: JSON.stringify(body).slice(0, 60),
  method: 'POST',
  path,
  sent: { body },
  status,
  ...(code === undefined ? {} : { code }),
  fields,
});

const get = (path: string, status: number, code?: string, ...fields: string[]) => ({
  name: '',
  method: 'GET',
  path,
  status,
  ...(code === undefined ? {} : { code }),
  fields,
});

const put = (path: string, file: string, status: number, code?: string, ...fields: string[]) => ({
  name: file,
  method: 'PUT',
  path,
  sent: sentFile(file),
  status,
  ...(code === undefined ? {} : { code }),
  fields,
});

const ROWS: readonly Row[] = [
  post('/v1/tokens', { name: 'ci', role: 'operator' }, 201),
  post('/v1/tokens', { name: 'acme', role: 'tenant', path: 'acme:web', expiresInS: 60 }, 201),
  post('/v1/tokens', { name: 'acme', role: 'tenant' }, 400, 'invalid_request', 'path'),
  post('/v1/tokens', { name: 'a', role: 'viewer', path: 'acme' }, 400, 'invalid_request', 'path'),
  post('/v1/tokens', { name: 'a', role: 'root' }, 400, 'invalid_request', 'role'),
  post('/v1/tokens', { role: 'admin' }, 400, 'invalid_request', 'name'),
  post('/v1/tokens', { name: 'a', role: 'admin', expiresInS: 0 }, 400, 'invalid_request'),
  get('/v1/tokens', 200),
  get('/v1/tokens?limit=1', 200),
  get('/v1/tokens?role=admin', 400, 'invalid_request', 'role'),
  { name: '', method: 'DELETE', path: '/v1/tokens/token-a', status: 200 },
  { name: '', method: 'DELETE', path: '/v1/tokens/nobody', status: 404, code: 'not_found' },
  post('/v1/vms', { resources: RESOURCES }, 202),
  post('/v1/vms', { id: 'vm-1', name: 'n', path: 'a:b', resources: RESOURCES, image: 'x' }, 202),
  post('/v1/vms', { resources: { ...RESOURCES, gpu: 1 } }, 409, 'no_feasible_host'),
  post('/v1/vms', { resources: { ...RESOURCES, cpu: 1000 } }, 409, 'no_feasible_host'),
  post('/v1/vms', { id: 'vm-a', resources: { ...RESOURCES, cpu: 2 } }, 409, 'id_conflict'),
  post('/v1/vms', { resources: RESOURCES, users: [{ name: 'jo', sshKeys: [KEY] }] }, 202),
  post(
    '/v1/vms',
    {
      resources: RESOURCES,
      users: [{ name: 'Jo', sshKeys: [`${KEY}\nruncmd:`, 'command="x" ssh-rsa AA'] }],
    },
    400,
    'invalid_request',
    'users.0.name',
    'users.0.sshKeys.0',
    'users.0.sshKeys.1',
  ),
  post('/v1/vms', {}, 400, 'invalid_request', 'resources'),
  post('/v1/vms', { resources: RESOURCES, count: 2, name: 'web' }, 202),
  post('/v1/vms', { resources: RESOURCES, count: 9, partial: true }, 202),
  post('/v1/vms', { resources: RESOURCES, strategy: 'best-fit', reservation: 'rsv-a' }, 202),
  post('/v1/vms', { vms: [{ resources: RESOURCES }, { id: 'b', resources: RESOURCES }] }, 202),
  post('/v1/vms', { resources: RESOURCES, count: 200 }, 409, 'no_feasible_host'),
  post('/v1/vms', { resources: RESOURCES, count: 0 }, 400, 'invalid_request', 'count'),
  post('/v1/vms', { resources: RESOURCES, count: 257 }, 400, 'invalid_request', 'count'),
  post('/v1/vms', { resources: RESOURCES, count: 2, id: 'a' }, 400, 'invalid_request', 'id'),
  post('/v1/vms', { resources: RESOURCES, partial: true }, 400, 'invalid_request', 'partial'),
  post('/v1/vms', { vms: [] }, 400, 'invalid_request', 'vms'),
  post('/v1/vms', { vms: [{ resources: RESOURCES }], count: 2 }, 400, 'invalid_request', 'count'),
  post(
    '/v1/vms',
    { vms: [{ resources: RESOURCES }, { resources: { ...RESOURCES, cpu: 0 }, mood: 1 }] },
    400,
    'invalid_request',
    'vms.1.resources.cpu',
    'vms.1.mood',
  ),
  post(
    '/v1/vms',
    { vms: [1, 2].map(() => ({ id: 'twice', resources: RESOURCES })) },
    400,
    'invalid_request',
    'vms',
  ),
  post('/v1/vms', { vms: [{ mood: 1 }] }, 400, 'invalid_request', 'vms.0.mood'),
  post(
    '/v1/vms',
    { vms: [{ resources: RESOURCES }, { id: 'vm-a', resources: { ...RESOURCES, cpu: 2 } }] },
    409,
    'id_conflict',
    'vms.1.id',
  ),
  post('/v1/vms', { id: 'rsv-1', resources: RESOURCES }, 400, 'invalid_request', 'id'),
  post('/v1/vms', { resources: RESOURCES, strategy: 'best' }, 400, 'invalid_request', 'strategy'),
  post('/v1/reservations', { resources: RESOURCES }, 201),
  post('/v1/reservations', { resources: RESOURCES, name: 'n', expiresInS: 2_592_000 }, 201),
  post('/v1/reservations', {}, 400, 'invalid_request', 'resources'),
  post('/v1/reservations', { resources: RESOURCES, expiresInS: 0 }, 400, 'invalid_request'),
  post(
    '/v1/reservations',
    { resources: RESOURCES, expiresInS: 2_592_001 },
    400,
    'invalid_request',
    'expiresInS',
  ),
  get('/v1/reservations', 200),
  get('/v1/reservations/rsv-a', 200),
  get('/v1/reservations/rsv-b', 404, 'not_found'),
  { name: '', method: 'DELETE', path: '/v1/reservations/rsv-a', status: 200 },
  { name: '', method: 'DELETE', path: '/v1/reservations/rsv-b', status: 404, code: 'not_found' },
  post('/v1/vms', { resources: { cpu: 1 } }, 400, 'invalid_request', 'resources.memory'),
  post('/v1/vms', { resources: { ...RESOURCES, cpu: 0 } }, 400, 'invalid_request', 'resources.cpu'),
  post(
    '/v1/vms',
    { resources: { ...RESOURCES, cpu: 1.5 } },
    400,
    'invalid_request',
    'resources.cpu',
  ),
  post(
    '/v1/vms',
    { resources: { ...RESOURCES, cpu: '1' } },
    400,
    'invalid_request',
    'resources.cpu',
  ),
  post('/v1/vms', { resources: RESOURCES, id: '../x' }, 400, 'invalid_request', 'id'),
  post('/v1/vms', { resources: RESOURCES, path: 'a::b' }, 400, 'invalid_request', 'path'),
  post('/v1/vms', { resources: RESOURCES, flavor: 'big' }, 400, 'invalid_request', 'flavor'),
  post(
    '/v1/vms',
    { id: '', name: '-', resources: { ...RESOURCES, disk: -1 }, constraints: { zone: '' } },
    400,
    'invalid_request',
    'id',
    'name',
    'resources.disk',
    'constraints.zone',
  ),
  post('/v1/vms', [], 400, 'invalid_request', '(body)'),
  post('/v1/vms', 1, 400, 'invalid_request', '(body)'),
  post('/v1/vms', null, 400, 'invalid_request', '(body)'),
  post('/v1/vms', 'x', 400, 'invalid_request', '(body)'),
  post('/v1/vms?wait=running&timeout=1', { resources: RESOURCES }, 202),
  post('/v1/vms?wait=later', { resources: RESOURCES }, 400, 'invalid_request', 'wait'),
  post('/v1/vms?timeout=0', { resources: RESOURCES }, 400, 'invalid_request', 'timeout'),
  post('/v1/vms?timeout=301', { resources: RESOURCES }, 400, 'invalid_request', 'timeout'),
  post('/v1/vms?timeout=9', { resources: RESOURCES }, 400, 'invalid_request', 'timeout'),
  post('/v1/vms?dryRun=1', { resources: RESOURCES }, 400, 'invalid_request', 'dryRun'),
  get('/v1/vms', 200),
  get('/v1/vms?limit=1&host=name-a&path=acme:web&state=placed', 200),
  get('/v1/vms?limit=0', 400, 'invalid_request', 'limit'),
  get('/v1/vms?limit=101', 400, 'invalid_request', 'limit'),
  get('/v1/vms?limit=many', 400, 'invalid_request', 'limit'),
  get('/v1/vms?limit=1&limit=2', 400, 'invalid_request', 'limit'),
  get('/v1/vms?cursor=', 400, 'invalid_request', 'cursor'),
  get('/v1/vms?state=deleting', 200),
  get('/v1/vms?state=deleted', 400, 'invalid_request', 'state'),
  get('/v1/vms?state=resting', 400, 'invalid_request', 'state'),
  get('/v1/vms?host=nobody', 400, 'invalid_request', 'host'),
  get('/v1/vms?colour=red&size=1', 400, 'invalid_request', 'colour', 'size'),
  get('/v1/vms?__proto__=1', 400, 'invalid_request', '__proto__'),
  get('/v1/vms/vm-a', 200),
  get('/v1/vms/vm-b', 404, 'not_found'),
  get('/v1/vms/vm-a?verbose=1', 400, 'invalid_request', 'verbose'),
  get('/v1/vms/%00', 400, 'invalid_request', 'id'),
  get('/v1/vms/a%2Fb', 400, 'invalid_request', 'id'),
  get('/v1/vms/%ff', 400, 'invalid_request', '(path)'),
  get('/v1/vms/%zz', 400, 'invalid_request', '(path)'),
  { name: '', method: 'DELETE', path: '/v1/vms/vm-a', status: 202 },
  { name: '', method: 'DELETE', path: '/v1/vms/vm-b', status: 404, code: 'not_found' },
  { name: 'without a body', method: 'POST', path: '/v1/vms/vm-a/stop', status: 202 },
  { name: 'with {}', method: 'POST', path: '/v1/vms/vm-a/start', sent: { body: {} }, status: 202 },
  { name: '', method: 'POST', path: '/v1/vms/vm-b/start', status: 404, code: 'not_found' },
  post('/v1/vms/vm-a/stop', { force: true }, 202),
  post('/v1/vms/vm-a/stop', { force: 'yes' }, 400, 'invalid_request', 'force'),
  post('/v1/placements', { resources: RESOURCES }, 200),
  post('/v1/placements', { resources: RESOURCES, constraints: { exclude: ['a', 'b'] } }, 200),
  post('/v1/placements', { resources: { ...RESOURCES, cpu: 1000 } }, 200),
  post('/v1/placements', { resources: RESOURCES, strategy: 'best-fit' }, 200),
  post(
    '/v1/placements',
    { resources: RESOURCES, strategy: 'x' },
    400,
    'invalid_request',
    'strategy',
  ),
  post('/v1/placements', {}, 400, 'invalid_request', 'resources'),
  post('/v1/placements', { resources: RESOURCES, id: 'x' }, 400, 'invalid_request', 'id'),
  post('/v1/hosts', JOIN, 200),
  post('/v1/hosts', { ...JOIN, token: `berth_host_${'t'.repeat(43)}` }, 200),
  post('/v1/hosts', { ...JOIN, token: `berth_${'t'.repeat(43)}` }, 400, 'invalid_request', 'token'),
  post('/v1/hosts', { ...JOIN, zone: 'z', labels: { disk: 'ssd' } }, 200),
  post('/v1/hosts', { ...JOIN, name: 'name-a' }, 409, 'name_conflict'),
  post('/v1/hosts', { ...JOIN, address: 'ftp://x' }, 400, 'invalid_request', 'address'),
  post('/v1/hosts', { ...JOIN, credential: 'short' }, 400, 'invalid_request', 'credential'),
  post('/v1/hosts', { ...JOIN, labels: { '': '' } }, 400, 'invalid_request', 'labels.'),
  get('/v1/hosts', 200),
  get('/v1/hosts?limit=1&cursor=host-a', 200),
  get('/v1/hosts?state=up', 400, 'invalid_request', 'state'),
  get('/v1/hosts/host-a', 200),
  get('/v1/hosts/name-a', 200),
  get('/v1/hosts/nobody', 404, 'not_found'),
  {
    name: 'cordon',
    method: 'PATCH',
    path: '/v1/hosts/name-a',
    sent: { body: { mode: 'cordoned', reason: 'because' } },
    status: 200,
  },
  {
    name: 'a mode that is not there',
    method: 'PATCH',
    path: '/v1/hosts/name-a',
    sent: { body: { mode: 'retired' } },
    status: 400,
    code: 'invalid_request',
    fields: ['mode'],
  },
  {
    name: 'unknown host',
    method: 'PATCH',
    path: '/v1/hosts/nobody',
    sent: { body: { mode: 'enabled' } },
    status: 404,
    code: 'not_found',
  },
  // Only the agent of that host may; see host-settings.test.ts.
  post('/v1/hosts/host-a/status', {}, 403, 'forbidden'),
  post('/v1/hosts/name-a/fence', { reason: 'power is cut' }, 409, 'state_conflict'),
  post('/v1/hosts/name-a/fence', {}, 400, 'invalid_request', 'reason'),
  post('/v1/hosts/name-a/fence', { reason: ' ' }, 400, 'invalid_request', 'reason'),
  post('/v1/hosts/nobody/fence', { reason: 'power is cut' }, 404, 'not_found'),
  post('/v1/hosts/name-a/drain', {}, 202),
  post('/v1/hosts/name-a/drain', { dryRun: true }, 200),
  post('/v1/hosts/name-a/drain', { dryRun: 'no' }, 400, 'invalid_request', 'dryRun'),
  post('/v1/hosts/nobody/drain', {}, 404, 'not_found'),
  get('/v1/hosts/name-a/drain', 200),
  get('/v1/hosts/nobody/drain', 404, 'not_found'),
  { name: '', method: 'DELETE', path: '/v1/hosts/name-a/drain', status: 200 },
  { name: 'full', method: 'DELETE', path: '/v1/hosts/name-a', status: 409, code: 'host_not_empty' },
  { name: '', method: 'DELETE', path: '/v1/hosts/name-a?force=true&reason=burnt', status: 200 },
  {
    name: 'without a reason',
    method: 'DELETE',
    path: '/v1/hosts/name-a?force=true',
    status: 400,
    code: 'invalid_request',
    fields: ['reason'],
  },
  get('/v1/ops/orphans', 200),
  post('/v1/ops/orphans/name-a/vm-x/adopt', { name: 'found' }, 202),
  post('/v1/ops/orphans/name-a/no-vm/adopt', {}, 404, 'not_found'),
  post('/v1/ops/orphans/name-a/vm-x/destroy', {}, 202),
  post('/v1/ops/orphans/nobody/vm-x/destroy', {}, 404, 'not_found'),
  get('/v1/ops/breaker', 200),
  post('/v1/ops/breaker', { close: true, reason: 'they burnt' }, 200),
  post('/v1/ops/breaker', { close: false, reason: 'no' }, 400, 'invalid_request', 'close'),
  post('/v1/ops/breaker', { close: true }, 400, 'invalid_request', 'reason'),
  post('/v1/capacity', { flavors: [{ name: 'a', resources: RESOURCES }], spare: true }, 200),
  post('/v1/capacity', { flavors: [] }, 400, 'invalid_request', 'flavors'),
  post('/v1/rebalance', {}, 200),
  post('/v1/rebalance', { goal: 'chaos' }, 400, 'invalid_request', 'goal'),
  post('/v1/rebalance', { movesMax: 201 }, 400, 'invalid_request', 'movesMax'),
  post('/v1/simulations', { requests: [{ arrivalS: 0, resources: RESOURCES }] }, 200),
  post('/v1/simulations', { requests: [] }, 400, 'invalid_request', 'requests'),
  post(
    '/v1/simulations',
    { requests: [1, 2].map((arrivalS) => ({ arrivalS, resources: RESOURCES, count: 10_001 })) },
    400,
    'invalid_request',
    'requests',
  ),
  get('/v1/ops/verify', 200),
  { name: 'without a body', method: 'POST', path: '/v1/ops/verify', status: 200 },
  post('/v1/ops/verify', { dryRun: false }, 200),
  post('/v1/ops/verify', { dryRun: 'no' }, 400, 'invalid_request', 'dryRun'),
  get('/v1/events?since=start&follow=false', 200),
  get('/v1/events?since=yesterday', 400, 'invalid_request', 'since'),
  get('/v1/events?kind=vm.lost&follow=false', 400, 'invalid_request', 'kind'),
  get('/v1/audit', 200),
  get('/v1/audit?limit=0', 400, 'invalid_request', 'limit'),
  get('/v1/audit?action=vm.create&actor=nobody', 200),
  get('/v1/audit?action=vm.made', 400, 'invalid_request', 'action'),
  get('/v1/audit?since=yesterday', 400, 'invalid_request', 'since'),
  get('/v1/images', 200),
  get('/v1/images?limit=1', 400, 'invalid_request', 'limit'),
  put('/v1/images/demo', 'a disk', 200),
  put('/v1/images/demo?format=raw', 'a disk', 200),
  put('/v1/images/demo?format=vmdk', 'a disk', 400, 'invalid_request', 'format'),
  put('/v1/images/a%2Fb', 'a disk', 400, 'invalid_request', 'name'),
  put('/v1/images/demo', '', 400, 'invalid_request', 'content-length'),
  put('/v1/hosts/name-a/images/demo', 'a disk', 200),
  put('/v1/hosts/nobody/images/demo', 'a disk', 404, 'not_found'),
  {
    name: 'as JSON',
    method: 'PUT',
    path: '/v1/images/demo',
    sent: { body: { format: 'raw' } },
    status: 415,
    code: 'unsupported_media_type',
    fields: ['content-type'],
  },
  { name: '', method: 'DELETE', path: '/v1/images/demo', status: 200 },
  { name: '', method: 'DELETE', path: '/v1/hosts/host-a/images/demo', status: 200 },
  { name: '', method: 'DELETE', path: '/v1/hosts/nobody/images/demo', status: 404 },
  get('/v1/vms/vm-a/logs', 200),
  get('/v1/vms/vm-a/logs?tailBytes=3', 200),
  get('/v1/vms/vm-a/logs?tailBytes=4194305', 400, 'invalid_request', 'tailBytes'),
  get('/v1/vms/vm-a/logs?tailBytes=-1', 400, 'invalid_request', 'tailBytes'),
  get('/v1/vms/vm-a/logs?follow=yes', 400, 'invalid_request', 'follow'),
  get('/v1/vms/nobody/logs', 404, 'not_found'),
  get('/v1/usage', 200),
  get('/v1/usage?by=host', 200),
  get('/v1/usage?by=rack', 400, 'invalid_request', 'by'),
  get('/v1/usage/history', 200),
  get('/v1/usage/history?scope=host&id=name-a&step=1h&limit=1', 200),
  get('/v1/usage/history?scope=host&id=nobody', 404, 'not_found'),
  get('/v1/usage/history?scope=zone', 400, 'invalid_request', 'id'),
  get('/v1/usage/history?id=zone-a', 400, 'invalid_request', 'id'),
  get('/v1/usage/history?from=yesterday', 400, 'invalid_request', 'from'),
  { name: 'without a body', method: 'POST', path: '/v1/ops/rebuild', status: 200 },
  post('/v1/ops/rebuild', {}, 200),
  post('/v1/ops/rebuild', { dryRun: true }, 200),
  post('/v1/ops/rebuild', { dryRun: 'yes' }, 400, 'invalid_request', 'dryRun'),
  get('/healthz?x=1', 200),
  get('/readyz', 200),
  get('/metrics', 200),
  get('/openapi.json', 200),
  get('/', 302),
  get('/docs', 200),
  get('/docs/errors', 200),
  get('/docs/rapidoc.js', 200),
];

describe('routes', () => {
  it.each(ROWS)('$method $path $name: $status', async (row) => {
    const reply = await server.call(row.path, { ...row.sent, method: row.method });
    expect(reply.status).toBe(row.status);
    if (row.code === undefined) return;
    const problem = reply.problem();
    expect(problem.code).toBe(row.code);
    const fields = (problem.errors ?? []).map(({ field }) => field);
    expect(fields).toEqual(expect.arrayContaining([...(row.fields ?? [])]));
  });

  it('each have a row above', () => {
    const missing = ROUTES.filter(({ method, path }) => {
      const shape = new RegExp(`^${path.replaceAll(/:\w+/g, '[^/]+')}(\\?|$)`);
      return !ROWS.some((row) => row.method === method.toUpperCase() && shape.test(row.path));
    });
    expect(missing.map(({ name }) => name)).toEqual([]);
  });
});

describe('what is shown', () => {
  it('a VM with its host and booking', async () => {
    const reply = await server.call('/v1/vms', { method: 'POST', body: { resources: RESOURCES } });
    expect(reply.json).toMatchObject({
      host: { id: 'host-a', name: 'name-a' },
      path: 'root',
      resources: RESOURCES,
      desiredState: 'running',
    });
    expect(reply.json).not.toHaveProperty('hasRun');
  });

  it('a decision by the strategy that was asked for', async () => {
    const body = { resources: RESOURCES, strategy: 'worst-fit' };
    const reply = await server.call('/v1/placements', { method: 'POST', body });
    expect(reply.json).toMatchObject({ strategy: 'worst-fit' });
  });

  it('a host with what is left of it, never below nothing, and no credential', async () => {
    server.hosts.set('host-a', modelHost({ allocated: { cpu: 40, memory: 745, gpu: 1 } }));
    const { json, text } = await server.call('/v1/hosts/host-a');
    expect(json).toMatchObject({
      resources: {
        cpu: { limit: 32, capacity: 32, allocated: 40, available: 0, unit: 'vCPU' },
        memory: { reserved: 1639, limit: 14_745, allocated: 745, available: 14_000 },
        gpu: { total: 0, limit: 0, allocated: 1, available: 0, unit: 'slots' },
      },
    });
    expect(text).not.toContain('credential');
  });

  it('pages that follow each other', async () => {
    for (let i = 0; i < 5; i += 1) {
      const id = `vm-${i.toString()}`;
      server.vms.set(id, modelVm({ id }));
    }
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const next: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const { json } = await server.call(`/v1/vms?limit=2${next}`);
      const page = json as { items: { id: string }[]; nextCursor: string | null };
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.nextCursor;
    }
    expect(seen).toEqual([...server.vms.keys()]);
  });

  it('why no host can take a VM', async () => {
    const body = { resources: { ...RESOURCES, cpu: 1000 } };
    const problem = (await server.call('/v1/vms', { method: 'POST', body })).problem();
    expect(problem).toMatchObject({
      type: '/docs/errors#no_feasible_host',
      summary: { considered: 1, feasible: 0 },
    });
  });

  it('that nothing can be placed now', async () => {
    server.ready = false;
    const reply = await server.call('/readyz', { token: null });
    expect(reply.status).toBe(503);
    expect(reply.json).toMatchObject({
      ready: false,
      dependencies: { ledger: { state: 'rebuilding' } },
    });
  });

  it('that the breaker is open, and that it is ready all the same', async () => {
    const fresh = await startApi();
    const fleet = async () => {
      const reply = await fresh.call('/readyz', { token: null });
      const { dependencies } = reply.json as ReadinessBody;
      return [reply.status, dependencies.fleet];
    };
    const metric = async () =>
      /^berth_breaker_open (.*)$/m.exec((await fresh.call('/metrics')).text)?.[1];
    const detail: unknown = expect.stringContaining('many hosts are missing');
    expect(await fleet()).toEqual([200, { state: 'breaker_open', detail }]);
    expect(await metric()).toBe('1');
    const close = { method: 'POST', body: { close: true, reason: 'they burnt' } };
    expect((await fresh.call('/v1/ops/breaker', close)).status).toBe(200);
    expect(await fleet()).toEqual([200, { state: 'ready', detail: null }]);
    expect(await metric()).toBe('0');
    fresh.failure = new Error('away');
    expect(await metric()).toBe('Nan');
    await fresh.api.close();
  });

  it('a join without zone and labels as the default zone', async () => {
    const reply = await server.call('/v1/hosts', { method: 'POST', body: JOIN });
    expect(reply.json).toMatchObject({ zone: 'default', labels: {}, state: 'joining' });
  });

  it('the way to the documentation, to whom it lets in', async () => {
    const shown = await server.call('/?from=bookmark');
    expect(shown.headers.get('location')).toBe('/docs');
    const stranger = await server.call('/', { token: null });
    expect(stranger.status).toBe(401);
    expect(stranger.headers.get('www-authenticate')).toMatch(/^Basic /);
    expect(stranger.headers.get('location')).toBeNull();
  });

  it('no reason once a host is enabled', async () => {
    const body = { mode: 'enabled', reason: 'all is well' };
    const reply = await server.call('/v1/hosts/host-a', { method: 'PATCH', body });
    expect(reply.json).toMatchObject({ mode: 'enabled', modeReason: null });
  });
});
