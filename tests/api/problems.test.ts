/** Requests that go wrong before, beside and inside the handlers; each is told as a problem. */
import { request } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ROUTES } from '../../src/api/routes.js';
import { DomainError, ERROR_CODES, type ErrorCode } from '../../src/model/errors.js';
import { ADMIN_TOKEN, startApi, type ApiServer, type Sent } from '../support/api-server.js';
import { modelHost } from '../support/control-double.js';

let server: ApiServer;
const lines: { level: string; message: string; fields: Record<string, unknown> }[] = [];

beforeAll(async () => {
  const line =
    (level: string) =>
    (message: string, fields: object = {}) => {
      lines.push({ level, message, fields: { ...fields } });
    };
  const log = {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    child: () => log,
  };
  server = await startApi({ log });
});
afterAll(() => server.api.close());
beforeEach(() => {
  lines.length = 0;
  server.failure = undefined;
  server.hosts.set('host-a', modelHost());
});

const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
/** What one create may send: a list of many VMs. */
const CREATE_BYTES = 512 * 1024;
const VALID = '{"resources":{"cpu":1,"memory":1,"disk":1}}';

interface BadBody {
  readonly name: string;
  readonly sent: Sent;
  readonly status: number;
  readonly code: ErrorCode;
  readonly field: string | undefined;
}

const bad = (
  name: string,
  sent: Sent,
  status: number,
  code: ErrorCode,
  field?: string,
): BadBody => ({ name, sent, status, code, field });

const BODIES: readonly BadBody[] = [
  bad('no JSON', { raw: '{' }, 400, 'invalid_json', '(body)'),
  bad('white space', { raw: '  ' }, 400, 'invalid_json', '(body)'),
  bad('half a string', { raw: '{"resources":"' }, 400, 'invalid_json', '(body)'),
  bad(
    'another type',
    { raw: VALID, headers: { 'content-type': 'text/plain' } },
    415,
    'unsupported_media_type',
    'content-type',
  ),
  bad(
    'a form',
    { raw: 'a=1', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    415,
    'unsupported_media_type',
    'content-type',
  ),
  bad(
    'a nonsense type',
    { raw: VALID, headers: { 'content-type': 'x' } },
    415,
    'unsupported_media_type',
    'content-type',
  ),
  bad(
    'a charset that nobody knows',
    { raw: VALID, headers: { 'content-type': 'application/json; charset=klingon' } },
    415,
    'unsupported_media_type',
    'content-type',
  ),
  bad(
    'a charset that nearly is one',
    { raw: VALID, headers: { 'content-type': 'application/json; charset=utf-99' } },
    415,
    'unsupported_media_type',
    'content-type',
  ),
  bad(
    'a compressed body',
    { raw: gzipSync(VALID), headers: { 'content-encoding': 'gzip' } },
    415,
    'unsupported_media_type',
    'content-encoding',
  ),
  bad(
    'an unknown encoding',
    { raw: VALID, headers: { 'content-encoding': 'rot13' } },
    415,
    'unsupported_media_type',
    'content-encoding',
  ),
  bad(
    'one byte too many',
    { raw: VALID.padEnd(CREATE_BYTES + 1) },
    413,
    'body_too_large',
    '(body)',
  ),
  bad('far too many bytes', { raw: ' '.repeat(5_000_000) }, 413, 'body_too_large', '(body)'),
  bad('deep nesting', { raw: deep(33) }, 400, 'invalid_request', '(body)'),
  bad('very deep nesting', { raw: deep(30_000) }, 400, 'invalid_request', '(body)'),
  bad(
    '__proto__',
    { raw: '{"__proto__":{"resources":{"cpu":1,"memory":1,"disk":1}}}' },
    400,
    'invalid_request',
    '__proto__',
  ),
  bad(
    'constructor',
    { raw: `{"constructor":{"prototype":{"x":1}},${VALID.slice(1)}` },
    400,
    'invalid_request',
    'constructor',
  ),
  bad(
    'constructor as a class',
    { raw: '{"resources":{"cpu":1,"memory":1,"disk":1,"constructor":1}}' },
    400,
    'invalid_request',
    'resources.constructor',
  ),
];

describe('a body with', () => {
  it.each(BODIES)('$name', async ({ sent, status, code, field }) => {
    const reply = await server.call('/v1/vms', { ...sent, method: 'POST' });
    expect({ status: reply.status, code: reply.problem().code }).toEqual({ status, code });
    if (field !== undefined) {
      expect(reply.problem().errors?.map((error) => error.field)).toContain(field);
    }
  });

  it('exactly as many bytes as are allowed is read', async () => {
    const reply = await server.call('/v1/vms', { method: 'POST', raw: VALID.padEnd(CREATE_BYTES) });
    expect(reply.status).toBe(202);
  });

  it('more bytes than a call takes that makes one thing is refused', async () => {
    const send = (bytes: number) =>
      server.call('/v1/placements', { method: 'POST', raw: VALID.padEnd(bytes) });
    expect((await send(65_536)).status).toBe(200);
    expect((await send(65_537)).problem().code).toBe('body_too_large');
  });

  it('another charset of Unicode is read', async () => {
    const headers = { 'content-type': 'application/json; charset=utf-16le' };
    const raw = Buffer.from(VALID, 'utf16le');
    expect((await server.call('/v1/vms', { method: 'POST', raw, headers })).status).toBe(202);
  });

  it('no announced length is cut off when it grows too large', async () => {
    const chunk = Buffer.alloc(CREATE_BYTES * 0.6, ' ');
    const status = await new Promise((resolve, reject) => {
      const sending = request(
        `${server.url}/v1/vms`,
        {
          method: 'POST',
          headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
        },
        (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        },
      );
      sending.on('error', reject);
      sending.write(chunk);
      sending.end(chunk);
    });
    expect(status).toBe(413);
  });

  it.each([
    [
      'resources',
      '{"resources":{"cpu":1,"memory":1,"disk":1,"__proto__":1}}',
      'resources.__proto__',
    ],
    [
      'disguise',
      '{"resources":{"cpu":1,"memory":1,"disk":1,"\\u005f_proto__":1}}',
      'resources.__proto__',
    ],
    [
      'labels',
      `{"constraints":{"labels":{"required":{"__proto__":"x"}}},${VALID.slice(1)}`,
      'constraints.labels.required.__proto__',
    ],
    [
      'a list',
      `{"constraints":{"exclude":[{"__proto__":[]}]},${VALID.slice(1)}`,
      'constraints.exclude.0.__proto__',
    ],
  ])('__proto__ in %s is named', async (_name, raw, field) => {
    const problem = (await server.call('/v1/vms', { method: 'POST', raw })).problem();
    expect(problem.errors).toEqual([{ field, message: 'is not known here; remove it' }]);
  });

  it('__proto__ inside labels changes nothing for others', async () => {
    const raw = `{"constraints":{"labels":{"required":{"__proto__":"x"}}},${VALID.slice(1)}`;
    const reply = await server.call('/v1/vms', { method: 'POST', raw });
    expect(reply.status).toBe(400);
    expect(Object.prototype).not.toHaveProperty('x');
    expect('required' in {}).toBe(false);
  });
});

describe('methods', () => {
  const paths = [...new Set(ROUTES.map(({ path }) => path))];

  it.each(paths)('that %s does not know are refused with those that it does', async (path) => {
    const known = ROUTES.filter((route) => route.path === path).map(({ method }) =>
      method.toUpperCase(),
    );
    const all = known.includes('GET') ? [...known, 'HEAD'] : known;
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      if (all.includes(method)) continue;
      const reply = await server.call(path.replaceAll(/:\w+/g, 'x'), { method });
      expect(reply.status).toBe(405);
      expect(reply.problem()).toMatchObject({ code: 'method_not_allowed' });
      expect(new Set(reply.headers.get('allow')?.split(', '))).toEqual(new Set(all));
    }
  });

  it('HEAD answers as GET does, without the body', async () => {
    const get = await server.call('/v1/hosts/host-a');
    const head = await server.call('/v1/hosts/host-a', { method: 'HEAD' });
    expect(head.status).toBe(200);
    expect(head.text).toBe('');
    expect(head.headers.get('content-length')).toBe(get.headers.get('content-length'));
    expect((await server.call('/v1/hosts/nobody', { method: 'HEAD' })).status).toBe(404);
  });
});

describe('failures', () => {
  it.each(Object.keys(ERROR_CODES) as ErrorCode[])(
    '%s keeps code, status and title',
    async (code) => {
      server.failure = new DomainError(code, 'A sentence.', {
        extra: { status: 1, more: 'facts' },
      });
      const answer = await fetch(`${server.url}/v1/vms`, {
        headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
      });
      expect(answer.status).toBe(ERROR_CODES[code].status);
      expect(await answer.json()).toMatchObject({
        code,
        status: ERROR_CODES[code].status,
        title: ERROR_CODES[code].title,
        type: `/docs/errors#${code}`,
        detail: 'A sentence.',
        more: 'facts',
      });
    },
  );

  it('that nobody foresaw tell nothing of themselves but in the log', async () => {
    server.failure = new TypeError('password=hunter2 of /etc/shadow');
    const reply = await server.call('/v1/vms');
    expect(reply.status).toBe(500);
    expect(reply.problem().code).toBe('internal_error');
    expect(reply.text).not.toMatch(/hunter2|shadow|TypeError/);
    const logged = lines.find(({ level }) => level === 'error');
    expect(logged?.fields).toMatchObject({
      method: 'GET',
      route: '/v1/vms',
      error: server.failure,
    });
  });

  it('of a library with a status of its own are not taken for ours', async () => {
    server.failure = Object.assign(new Error('teapot'), { status: 418, statusCode: 418 });
    expect((await server.call('/v1/vms')).problem().code).toBe('internal_error');
  });

  it('keep what is for the log out of the answer', async () => {
    server.failure = new DomainError('catalogue_unavailable', 'Later.', {
      internal: 'at 10.0.0.3',
    });
    const reply = await server.call('/v1/vms');
    expect(reply.text).not.toContain('10.0.0.3');
    expect(lines.find(({ level }) => level === 'warn')?.fields).toMatchObject({
      error: { internal: 'at 10.0.0.3' },
    });
  });

  it('say when to come again', async () => {
    server.failure = new DomainError('ledger_rebuilding', 'Soon.', { retryAfterS: 7 });
    const body = { resources: { cpu: 1, memory: 1, disk: 1 } };
    const told = await server.call('/v1/vms', { method: 'POST', body });
    expect(told.headers.get('retry-after')).toBe('7');
    server.failure = new DomainError('catalogue_unavailable', 'Soon.');
    expect((await server.call('/v1/vms')).headers.get('retry-after')).toBe('1');
    server.failure = new DomainError('not_found', 'Never.');
    expect((await server.call('/v1/vms/x')).headers.get('retry-after')).toBeNull();
  });
});

describe('the request id', () => {
  it('is taken over when it is harmless, echoed, told and logged', async () => {
    const headers = { 'x-request-id': 'Trace_1.2-3' };
    const reply = await server.call('/v1/vms/nobody', { headers });
    expect(reply.headers.get('x-request-id')).toBe('Trace_1.2-3');
    expect(reply.problem().requestId).toBe('Trace_1.2-3');
    expect(lines).toContainEqual(
      expect.objectContaining({
        level: 'info',
        message: 'request',
        fields: expect.objectContaining({
          requestId: 'Trace_1.2-3',
          method: 'GET',
          route: '/v1/vms/:id',
          status: '404',
          code: 'not_found',
        }),
      }),
    );
  });

  it.each(['', 'a b', 'a"b', 'x'.repeat(65), 'é'])(
    'is made anew instead of "%s"',
    async (given) => {
      const reply = await server.call('/healthz', { headers: { 'x-request-id': given } });
      expect(reply.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    },
  );

  it('differs from request to request', async () => {
    const ids = await Promise.all(
      Array.from({ length: 5 }, async () =>
        (await server.call('/healthz')).headers.get('x-request-id'),
      ),
    );
    expect(new Set(ids).size).toBe(5);
  });
});

describe('every answer', () => {
  it.each(['/v1/hosts', '/docs', '/nowhere', '/healthz'])('of %s is safe to show', async (path) => {
    const { headers } = await server.call(path);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.has('x-powered-by')).toBe(false);
    expect(headers.has('etag')).toBe(false);
  });

  it('is logged without the token, probes only in detail', async () => {
    await server.call('/v1/hosts', { headers: { 'x-api-key': ADMIN_TOKEN } });
    await server.call('/nowhere?token=not-hexadecimal');
    await server.call('/healthz');
    expect(JSON.stringify(lines)).not.toContain(ADMIN_TOKEN);
    expect(JSON.stringify(lines)).not.toContain('not-hexadecimal');
    const of = (route: string) => lines.find(({ fields }) => fields.route === route)?.level;
    expect([of('/v1/hosts'), of('(none)'), of('/healthz')]).toEqual(['info', 'info', 'debug']);
  });
});

describe('what a fuzz has found', () => {
  it.each([
    ['a NUL in the subject of the audit log', '/v1/audit?subject=%00', 'subject'],
    ['a NUL in its actor', '/v1/audit?actor=a%00b', 'actor'],
    ['a year that never was', '/v1/audit?since=0000-01-01T00:00:00Z', 'since'],
  ])('%s is refused by name', async (_what, path, field) => {
    const reply = await server.call(path);
    expect(reply.status).toBe(400);
    expect(reply.problem().errors?.map((error) => error.field)).toEqual([field]);
  });
});
