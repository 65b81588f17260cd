/**
 * Who may call what: every route with every kind of caller. The table says what is expected; it is
 * written by hand, so that a slip in the route table cannot write itself down as right.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { EXAMPLE_HOST } from '../../src/api/examples.js';
import { ROUTES } from '../../src/api/routes.js';
import { modelHost } from '../support/control-double.js';
import {
  ADMIN_TOKEN,
  sentFile,
  startApi,
  type ApiServer,
  type Sent,
} from '../support/api-server.js';

const NO_LIMITS = {
  ratePerTokenPerS: 1_000_000,
  ratePerTenantPerS: 1_000_000,
  failedAuthPerMinute: 1_000_000,
};

let server: ApiServer;
beforeAll(async () => {
  server = await startApi({ limits: NO_LIMITS });
});
afterAll(() => server.api.close());

const OWN = EXAMPLE_HOST.id;
const A_HOST = modelHost({ id: OWN, name: EXAMPLE_HOST.name });

/** The callers, in the order of the table's letters. */
const CALLERS = {
  nothing: () => null,
  'a wrong token': () => `berth_${'w'.repeat(43)}`,
  'an expired token': () => server.tokens.add('admin', { expiresAt: new Date(Date.now() - 1) }),
  'a revoked token': () => server.tokens.add('admin', { revokedAt: new Date() }),
  'an admin': () => server.tokens.add('admin'),
  'an operator': () => server.tokens.add('operator'),
  'a viewer': () => server.tokens.add('viewer'),
  'a tenant': () => server.tokens.add('tenant', { path: 'acme' }),
  'the host itself': () => server.tokens.addHostToken(OWN),
  'another host': () => server.tokens.addHostToken('another-host'),
  'a join token': () => server.tokens.add('join'),
  'a used join token': () =>
    server.tokens.add('join', { usedAt: new Date(), usedBy: 'another-host' }),
} as const;

type Caller = keyof typeof CALLERS;
const CALLER_NAMES = Object.keys(CALLERS) as Caller[];

/** `-`: 401, nobody known. `x`: 403, known, and not for them. `o`: let in, whatever comes of it. */
const TABLE: Readonly<Record<string, string>> = {
  //  strangers: nothing, wrong, expired, revoked
  //       people: admin, operator, viewer, tenant
  //            machines: the host itself, another, join, used join
  'POST /v1/vms': '---- ooxo xxxx',
  'GET /v1/vms': '---- oooo xxxx',
  'GET /v1/vms/:id': '---- oooo xxxx',
  'GET /v1/vms/:id/logs': '---- ooxo xxxx',
  'DELETE /v1/vms/:id': '---- ooxo xxxx',
  'POST /v1/vms/:id/start': '---- ooxo xxxx',
  'POST /v1/vms/:id/stop': '---- ooxo xxxx',
  'POST /v1/placements': '---- ooox xxxx',
  'POST /v1/capacity': '---- ooxx xxxx',
  'POST /v1/rebalance': '---- ooxx xxxx',
  'POST /v1/simulations': '---- ooxx xxxx',
  'POST /v1/hosts': '---- oxxx oxox',
  'GET /v1/hosts': '---- ooox xxxx',
  'GET /v1/hosts/:host': '---- ooox xxxx',
  'PATCH /v1/hosts/:host': '---- ooxx xxxx',
  'GET /v1/images': '---- ooox xxxx',
  'PUT /v1/images/:name': '---- ooxx xxxx',
  'DELETE /v1/images/:name': '---- ooxx xxxx',
  'PUT /v1/hosts/:host/images/:name': '---- ooxx xxxx',
  'DELETE /v1/hosts/:host/images/:name': '---- ooxx xxxx',
  'POST /v1/hosts/:host/status': '---- xxxx oxxx',
  'POST /v1/hosts/:host/fence': '---- ooxx xxxx',
  'POST /v1/hosts/:host/drain': '---- ooxx xxxx',
  'GET /v1/hosts/:host/drain': '---- ooox xxxx',
  'DELETE /v1/hosts/:host/drain': '---- ooxx xxxx',
  'DELETE /v1/hosts/:host': '---- ooxx xxxx',
  'POST /v1/reservations': '---- ooxx xxxx',
  'GET /v1/reservations': '---- ooox xxxx',
  'GET /v1/reservations/:id': '---- ooox xxxx',
  'DELETE /v1/reservations/:id': '---- ooxx xxxx',
  'GET /v1/usage': '---- ooox xxxx',
  'GET /v1/usage/history': '---- ooox xxxx',
  'GET /v1/events': '---- oooo xxxx',
  'GET /v1/audit': '---- ooox xxxx',
  'POST /v1/tokens': '---- oxxx xxxx',
  'GET /v1/tokens': '---- oxxx xxxx',
  'DELETE /v1/tokens/:id': '---- oxxx xxxx',
  'POST /v1/ops/rebuild': '---- ooxx xxxx',
  'GET /v1/ops/orphans': '---- ooox xxxx',
  'GET /v1/ops/breaker': '---- ooox xxxx',
  'POST /v1/ops/breaker': '---- ooxx xxxx',
  'GET /v1/ops/verify': '---- ooox xxxx',
  'POST /v1/ops/verify': '---- ooxx xxxx',
  'POST /v1/ops/orphans/:host/:vm/adopt': '---- ooxx xxxx',
  'POST /v1/ops/orphans/:host/:vm/destroy': '---- ooxx xxxx',
  'GET /metrics': '---- ooox xxxx',
  'GET /openapi.json': '---- oooo xxxx',
  'GET /': '---- oooo xxxx',
  'GET /docs': '---- oooo xxxx',
  'GET /docs/errors': '---- oooo xxxx',
  'GET /docs/rapidoc.js': '---- oooo xxxx',
  'GET /healthz': 'oooo oooo oooo',
  'GET /readyz': 'oooo oooo oooo',
};

/** Pages ask browsers for a password; the token is one. */
const PAGES = ['/openapi.json', '/', '/docs', '/docs/errors', '/docs/rapidoc.js'];

const placeOf = ({ method, path }: (typeof ROUTES)[number]): string =>
  `${method.toUpperCase()} ${path}`;

const CASES = ROUTES.flatMap((route) =>
  CALLER_NAMES.map((caller, index) => ({
    ...{ route, caller, place: placeOf(route) },
    letter: (TABLE[placeOf(route)] ?? '').replaceAll(' ', '')[index] ?? '?',
  })),
);

/** The example of a route, as whoever holds the token sends it. */
function example(route: (typeof ROUTES)[number]): { readonly path: string; readonly sent: Sent } {
  const { params = {}, query = {}, body, file } = route.example;
  const path = route.path.replaceAll(/:(\w+)/g, (_match, name: string) =>
    name === 'host' ? OWN : (params[name] ?? 'nobody'),
  );
  const search = new URLSearchParams(query).toString();
  return {
    path: search === '' ? path : `${path}?${search}`,
    sent: {
      method: route.method.toUpperCase(),
      ...(body === undefined ? {} : { body }),
      ...(file === undefined ? {} : sentFile(file)),
    },
  };
}

describe('the matrix', () => {
  beforeEach(() => {
    server.vms.clear();
    server.hosts.clear();
    server.hosts.set(OWN, A_HOST);
  });

  it('has a row for every route, and a letter for every caller', () => {
    expect(Object.keys(TABLE).sort()).toEqual(ROUTES.map(placeOf).sort());
    for (const row of Object.values(TABLE)) expect(row).toMatch(/^[-xo]{4} [-xo]{4} [-xo]{4}$/);
  });

  it.each(CASES)('$place with $caller: $letter', async ({ route, caller, letter }) => {
    const { path, sent } = example(route);
    const reply = await server.call(path, { ...sent, token: CALLERS[caller]() });
    const told = reply.status === 401 ? '-' : reply.status === 403 ? 'x' : 'o';
    expect(told).toBe(letter);
    const challenge = reply.headers.get('www-authenticate') ?? '';
    if (letter === '-') {
      expect(reply.problem().code).toBe('unauthenticated');
      expect(challenge).toContain('Bearer realm="berth"');
      expect(challenge.includes('Basic ')).toBe(PAGES.includes(route.path));
    } else {
      expect(challenge).toBe('');
      if (letter === 'x') expect(reply.problem().code).toBe('forbidden');
    }
  });
});

describe('how a token is shown', () => {
  const basic = (user: string, password: string): string =>
    `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

  it.each([
    ['the scheme in small letters', `bearer ${ADMIN_TOKEN}`, true, true],
    ['another token', 'Bearer wrong', false, false],
    ['the token but its end', `Bearer ${ADMIN_TOKEN.slice(0, -1)}`, false, false],
    ['the token and more', `Bearer ${ADMIN_TOKEN}x`, false, false],
    ['the token without a scheme', ADMIN_TOKEN, false, false],
    ['an empty token', 'Bearer ', false, false],
    ['the token as password', basic('me', ADMIN_TOKEN), false, true],
    ['the token as user', basic(ADMIN_TOKEN, ''), false, false],
    ['another password', basic('me', 'wrong'), false, false],
    ['broken Basic', 'Basic !!!', false, false],
  ])('%s', async (_what, authorization, opensApi, opensPages) => {
    const headers = { authorization };
    expect((await server.call('/v1/hosts', { headers })).status === 200).toBe(opensApi);
    expect((await server.call('/docs', { headers })).status === 200).toBe(opensPages);
  });

  it('takes the password of every token whose owner may see a page, and of no other', async () => {
    const statusOf = async (token: string) =>
      (await server.call('/docs', { headers: { authorization: basic('me', token) } })).status;
    expect(await statusOf(server.tokens.add('tenant', { path: 'acme' }))).toBe(200);
    expect(await statusOf(server.tokens.add('join'))).toBe(403);
  });
});

describe('the guard', () => {
  it.each([
    '/v1',
    '/v2/vms',
    '/healthz/',
    '/HEALTHZ',
    '/v1/vms/',
    '//v1/vms',
    '/docs/',
    '/v1/vms/%zz',
  ])('does not tell strangers whether there is something at %s', async (path) => {
    expect((await server.call(path, { token: null })).status).toBe(401);
    expect([400, 404]).toContain((await server.call(path)).status);
  });

  it('is not fooled by another method on a public path', async () => {
    const stranger = await server.call('/healthz', { method: 'POST', token: null });
    expect(stranger.status).toBe(401);
    expect((await server.call('/healthz', { method: 'POST' })).status).toBe(405);
  });

  it('lets HEAD through where it lets GET through, and nowhere else', async () => {
    const head = async (path: string, token: string) =>
      (await server.call(path, { method: 'HEAD', token })).status;
    const tenant = server.tokens.add('tenant', { path: 'acme' });
    expect(await head('/v1/vms', tenant)).toBe(200);
    expect(await head('/v1/hosts', tenant)).toBe(403);
  });

  it('closes the door in the moment that a token is revoked', async () => {
    const token = server.tokens.add('operator', { id: 'a-token' });
    expect((await server.call('/v1/hosts', { token })).status).toBe(200);
    // Looked up many times at once; none of the later ones may live on an earlier answer.
    const before = Array.from({ length: 20 }, () => server.call('/v1/hosts', { token }));
    await server.call('/v1/tokens/a-token', { method: 'DELETE' });
    const after = Array.from({ length: 20 }, () => server.call('/v1/hosts', { token }));
    await Promise.all(before);
    for (const { status } of await Promise.all(after)) expect(status).toBe(401);
  });

  it('tells the secret of a token once', async () => {
    server.tokens.tokens.clear();
    const body = { name: 'console', role: 'operator' };
    const made = await server.call('/v1/tokens', { method: 'POST', body });
    const { token, id, prefix } = made.json as Record<'token' | 'id' | 'prefix', string>;
    expect(token).toMatch(/^berth_[A-Za-z0-9_-]{43}$/);
    expect(token.startsWith(prefix)).toBe(true);
    expect((await server.call('/v1/hosts', { token })).status).toBe(200);
    const listed = await server.call('/v1/tokens?limit=100');
    expect(listed.text).toContain(id);
    expect(listed.text).not.toContain(token);
    expect((await server.call(`/v1/tokens/${id}`, { method: 'DELETE' })).text).not.toContain(token);
  });
});
