/** Whatever is sent, Berth is not what breaks: no answer is a 5xx, and each failure is a problem. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { startApi, type ApiServer } from '../support/api-server.js';
import { modelHost } from '../support/control-double.js';

const SEED = 20_261_121;
const RUNS = 10_000;

let server: ApiServer;
beforeAll(async () => {
  server = await startApi();
});
afterAll(() => server.api.close());
beforeEach(() => {
  server.vms.clear();
  server.hosts.clear();
  server.hosts.set('host-a', modelHost());
});

const TARGETS = [
  ['POST', '/v1/vms'],
  ['POST', '/v1/placements'],
  ['POST', '/v1/hosts'],
  ['PATCH', '/v1/hosts/host-a'],
  ['POST', '/v1/ops/rebuild'],
  ['POST', '/v1/vms/x/stop'],
] as const;

/** Names that mean something to us, to JavaScript, or to neither. */
const key = fc.oneof(
  fc.constantFrom('id', 'name', 'path', 'resources', 'cpu', 'memory', 'disk', 'image'),
  fc.constantFrom('constraints', 'zone', 'labels', 'required', 'exclude', 'mode', 'reason'),
  fc.constantFrom('address', 'credential', 'totals', 'total', 'source', 'agent', 'dryRun'),
  fc.constantFrom('__proto__', 'constructor', 'toString', 'hasOwnProperty', ''),
  fc.string({ maxLength: 8, unit: 'binary' }),
);

const leaf = fc.oneof(
  fc.string({ maxLength: 80, unit: 'binary' }),
  fc.constantFrom('', 'a', 'cordoned', 'a:b', 'http://[::1', 'http://x', '\u0000', '\ud800'),
  fc.double(),
  fc.integer(),
  fc.constantFrom(0, 1, -0, 1e308, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER + 1),
  fc.boolean(),
  fc.constant(null),
);

const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    leaf,
    fc.array(tie('tree'), { maxLength: 4 }),
    fc
      .array(fc.tuple(key, tie('tree')), { maxLength: 6 })
      .map((entries) => Object.fromEntries(entries) as unknown),
  ),
}));

const amount = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 4 }) },
  { weight: 1, arbitrary: leaf },
);

/** Nearly right: gets past the first checks far more often. */
const nearlyVm = fc.record(
  {
    id: fc.oneof(
      { weight: 3, arbitrary: fc.stringMatching(/^[a-z0-9]{1,8}$/) },
      { weight: 1, arbitrary: leaf },
    ),
    resources: fc.record(
      { cpu: amount, memory: amount, disk: amount, gpu: amount },
      { requiredKeys: ['cpu', 'memory', 'disk'] },
    ),
    constraints: fc.oneof(
      fc.constant({}),
      fc.constant({ zone: 'zone-a', exclude: ['host-b'] }),
      fc.record({ labels: fc.record({ required: fc.dictionary(key, leaf, { maxKeys: 3 }) }) }),
      tree,
    ),
    name: leaf,
  },
  { requiredKeys: ['resources'] },
);

const body = fc.oneof(
  fc.oneof(tree, nearlyVm).map((value) => JSON.stringify(value)),
  nearlyVm.map((value) => JSON.stringify(value)),
  fc.string({ maxLength: 60, unit: 'binary' }),
  fc.constant(undefined),
);

const query = fc.oneof(
  { weight: 4, arbitrary: fc.constant('') },
  {
    weight: 1,
    arbitrary: fc
      .array(
        fc.tuple(
          fc.oneof(
            fc.constantFrom('wait', 'timeout', 'limit', '__proto__'),
            fc.string({ maxLength: 6 }),
          ),
          fc.oneof(fc.constantFrom('running', '1', 'NaN', '-1'), fc.string({ maxLength: 9 })),
        ),
        { maxLength: 3 },
      )
      .map(
        (pairs) =>
          `?${pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&')}`,
      ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('?', '?%', '?%zz=%ff', '?=&=', '?a=%00', '?wait=running&timeout=1'),
  },
);

const headers = fc.oneof(
  { weight: 4, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.dictionary(
      fc.constantFrom(
        'content-type',
        'content-encoding',
        'accept',
        'x-request-id',
        'if-none-match',
        'range',
      ),
      fc.oneof(
        fc.constantFrom(
          'application/json',
          'application/json; charset=utf-16',
          'gzip',
          '*/*',
          'bytes=0-1',
          ';',
          '"',
        ),
        fc.string({ maxLength: 12 }).map((text) => text.replaceAll(/[^\x21-\x7e]/g, '')),
      ),
      { maxKeys: 2 },
    ),
  },
);

const segment = fc.oneof(
  fc.string({ maxLength: 20, unit: 'binary' }).map((text) => encodeURIComponent(text)),
  fc.constantFrom('%00', '%ff', '%zz', '..%2f..', 'x'.repeat(3_000), '%25', '__proto__', '%2e'),
);

describe('fuzzed requests', () => {
  it('are never answered with a 5xx', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...TARGETS),
        query,
        body,
        headers,
        async ([method, path], search, raw, extra) => {
          const reply = await server.call(`${path}${search}`, {
            method,
            headers: extra,
            ...(raw === undefined ? {} : { raw }),
          });
          expect(reply.status).toBeLessThan(500);
        },
      ),
      { numRuns: RUNS, seed: SEED },
    );
  }, 240_000);

  it('to odd paths are never answered with a 5xx', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('GET', 'DELETE', 'PATCH', 'POST'),
        fc.constantFrom('/v1/vms/', '/v1/hosts/', '/', '/docs/'),
        segment,
        fc.constantFrom('', '/start', '/stop', '/'),
        async (method, base, part, end) => {
          const reply = await server.call(`${base}${part}${end}`, { method });
          expect(reply.status).toBeLessThan(500);
        },
      ),
      { numRuns: 1_000, seed: SEED },
    );
  }, 120_000);

  it('are sometimes accepted, or the first test would show little', async () => {
    const before = server.vms.size;
    await fc.assert(
      fc.asyncProperty(nearlyVm, async (vm) => {
        await server.call('/v1/vms', { method: 'POST', body: vm });
      }),
      { numRuns: 300, seed: SEED },
    );
    expect(server.vms.size).toBeGreaterThan(before);
  });
});
