/** Who may call what: every route of the table with every kind of token. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Access } from '../../src/api/route.js';
import { ROUTES } from '../../src/api/routes.js';
import { ADMIN_TOKEN, JOIN_TOKEN, startApi, type ApiServer } from '../support/api-server.js';

let server: ApiServer;
beforeAll(async () => {
  server = await startApi();
});
afterAll(() => server.api.close());

const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

/** What is shown, and the routes that it opens besides the public ones. */
const SHOWN: readonly {
  readonly name: string;
  readonly authorization?: string;
  readonly opens: readonly Access[];
}[] = [
  { name: 'nothing', opens: [] },
  {
    name: 'the admin token',
    authorization: `Bearer ${ADMIN_TOKEN}`,
    opens: ['admin', 'join', 'browser'],
  },
  {
    name: 'the scheme in small letters',
    authorization: `bearer ${ADMIN_TOKEN}`,
    opens: ['admin', 'join', 'browser'],
  },
  { name: 'the join token', authorization: `Bearer ${JOIN_TOKEN}`, opens: ['join'] },
  { name: 'another token', authorization: 'Bearer wrong', opens: [] },
  { name: 'the token but its end', authorization: `Bearer ${ADMIN_TOKEN.slice(0, -1)}`, opens: [] },
  { name: 'the token and more', authorization: `Bearer ${ADMIN_TOKEN}x`, opens: [] },
  { name: 'the token without a scheme', authorization: ADMIN_TOKEN, opens: [] },
  { name: 'an empty token', authorization: 'Bearer ', opens: [] },
  { name: 'the token as password', authorization: basic('me', ADMIN_TOKEN), opens: ['browser'] },
  { name: 'the token as user', authorization: basic(ADMIN_TOKEN, ''), opens: [] },
  { name: 'the join token as password', authorization: basic('me', JOIN_TOKEN), opens: [] },
  { name: 'another password', authorization: basic('me', 'wrong'), opens: [] },
  { name: 'broken Basic', authorization: 'Basic !!!', opens: [] },
];

const CASES = ROUTES.flatMap((route) => SHOWN.map((shown) => ({ route, shown })));

describe('the guard', () => {
  it.each(CASES)('$route.method $route.path with $shown.name', async ({ route, shown }) => {
    const reply = await server.call(route.path.replaceAll(/:\w+/g, 'nobody'), {
      method: route.method.toUpperCase(),
      token: null,
      ...(shown.authorization === undefined
        ? {}
        : { headers: { authorization: shown.authorization } }),
    });
    const isOpen = route.access === 'public' || shown.opens.includes(route.access);
    expect(reply.status === 401).toBe(!isOpen);
    const challenge = reply.headers.get('www-authenticate') ?? '';
    if (isOpen) {
      expect(challenge).toBe('');
      return;
    }
    expect(reply.problem().code).toBe('unauthenticated');
    expect(challenge).toContain('Bearer realm="berth"');
    expect(challenge.includes('Basic ')).toBe(route.access === 'browser');
  });

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

  it('knows no join token when none is configured', async () => {
    const lone = await startApi({ joinToken: undefined });
    for (const token of [JOIN_TOKEN, 'undefined', 'null']) {
      expect((await lone.call('/v1/hosts', { method: 'POST', body: {}, token })).status).toBe(401);
    }
    expect((await lone.call('/v1/hosts', { method: 'POST', body: {} })).status).toBe(400);
    await lone.api.close();
  });
});
