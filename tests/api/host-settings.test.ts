/** What may be said of a host, and by whom. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { EXAMPLE_STATUS } from '../../src/api/examples.js';
import { startApi, type ApiServer } from '../support/api-server.js';
import { modelHost } from '../support/control-double.js';
import type { HostBody } from '../../src/wire/hosts.js';

let server: ApiServer;
beforeAll(async () => {
  server = await startApi();
});
afterAll(() => server.api.close());
beforeEach(() => {
  server.hosts.clear();
  server.hosts.set('host-a', modelHost());
});

const patch = (body: unknown) => server.call('/v1/hosts/host-a', { method: 'PATCH', body });

describe('a patch of a host', () => {
  it.each([
    [{ mode: 'cordoned', reason: 'repair', owner: 'jo', expiresInS: 60 }],
    [{ mode: 'cordoned' }],
    [{ mode: 'enabled', reason: 'all is well' }],
    [{ zone: 'b' }],
    [{ zone: null, labels: null, overcommit: null, reserve: null, totals: null }],
    [{ labels: {}, overcommit: { cpu: 0.5 }, reserve: { memory: 0 }, totals: { gpu: 0 } }],
    [{ overcommit: { cpu: 100 }, reserve: { memory: 0.99 } }],
  ])('may be %j', async (body) => {
    expect((await patch(body)).status).toBe(200);
  });

  it.each([
    [{}, '(body)'],
    [{ mode: 'draining' }, 'mode'],
    [{ mode: null }, 'mode'],
    [{ reason: 'repair' }, 'reason'],
    [{ owner: 'jo', zone: 'b' }, 'owner'],
    [{ mode: 'enabled', expiresInS: 60 }, 'expiresInS'],
    [{ mode: 'cordoned', expiresInS: 0 }, 'expiresInS'],
    [{ mode: 'cordoned', expiresInS: 1.5 }, 'expiresInS'],
    [{ mode: 'cordoned', reason: 'a\u0007' }, 'reason'],
    [{ zone: '' }, 'zone'],
    [{ labels: { 'no key': 'x' } }, 'labels.no key'],
    [{ overcommit: { cpu: 0 } }, 'overcommit.cpu'],
    [{ overcommit: { cpu: 101 } }, 'overcommit.cpu'],
    [{ overcommit: { cpu: '2' } }, 'overcommit.cpu'],
    [{ reserve: { memory: 1 } }, 'reserve.memory'],
    [{ reserve: { memory: -0.1 } }, 'reserve.memory'],
    [{ totals: { gpu: 1.5 } }, 'totals.gpu'],
    [{ totals: { GPU: 1 } }, 'totals.GPU'],
    [{ zone: 'b', limits: { cpu: 1 } }, 'limits'],
  ])('may not be %j', async (body, field) => {
    const problem = (await patch(body)).problem();
    expect(problem.code).toBe('invalid_request');
    expect(problem.errors?.map((error) => error.field)).toEqual([field]);
  });

  it('is shown as it was said, and taken back with null', async () => {
    const said = { zone: 'b', overcommit: { cpu: 2 } };
    const shown = (await patch({ ...said, labels: { rack: 'r7' } })).json as HostBody;
    expect(shown).toMatchObject({ zone: 'b', overrides: { ...said, labels: { rack: 'r7' } } });
    const after = (await patch({ labels: null, zone: null })).json as HostBody;
    expect(after.overrides).toEqual({ overcommit: { cpu: 2 } });
  });
});

describe('what is shown of a host', () => {
  it('is what is used, what has no record, and whether it is over-full', async () => {
    const host = modelHost({
      used: { cpu: 3 },
      orphaned: { cpu: 2 },
      allocated: { cpu: 31 },
    });
    server.hosts.set('host-a', host);
    const shown = (await server.call('/v1/hosts/host-a')).json as HostBody;
    expect(shown.overFull).toBe(true);
    expect(shown.resources.cpu).toMatchObject({
      used: 3,
      orphaned: 2,
      limit: 30,
      allocated: 31,
      available: 0,
    });
    expect(shown.resources.memory).toMatchObject({ used: null, orphaned: 0 });
  });
});

describe('a status that is pushed', () => {
  const push = (token: string | undefined, body: unknown, host = EXAMPLE_STATUS.hostId) =>
    server.call(`/v1/hosts/${host}/status`, {
      method: 'POST',
      body,
      ...(token === undefined ? {} : { token }),
    });
  beforeEach(() => {
    server.hosts.set(EXAMPLE_STATUS.hostId, modelHost({ id: EXAMPLE_STATUS.hostId, name: 'oak' }));
  });

  it('is taken of the agent of that host only', async () => {
    const own = server.tokens.addHostToken(EXAMPLE_STATUS.hostId);
    expect((await push(own, EXAMPLE_STATUS)).status).toBe(202);
    const another = server.tokens.addHostToken('host-a');
    expect((await push(another, EXAMPLE_STATUS)).problem().code).toBe('forbidden');
    expect((await push(own, { ...EXAMPLE_STATUS, hostId: 'host-a' })).problem().code).toBe(
      'forbidden',
    );
    expect((await push(own, EXAMPLE_STATUS, 'host-a')).problem().code).toBe('forbidden');
    expect((await push(undefined, EXAMPLE_STATUS)).problem().code).toBe('forbidden');
  });

  it('may be long, but not without end, and names each VM once', async () => {
    const own = server.tokens.addHostToken(EXAMPLE_STATUS.hostId);
    const vm = EXAMPLE_STATUS.vms[0]!;
    const many = Array.from({ length: 5_000 }, (_, at) => ({ ...vm, id: `vm-${at.toString()}` }));
    expect((await push(own, { ...EXAMPLE_STATUS, vms: many })).status).toBe(202);
    const twice = { ...EXAMPLE_STATUS, vms: [vm, vm] };
    expect((await push(own, twice)).problem().errors?.[0]?.field).toBe('vms');
    const huge = { ...EXAMPLE_STATUS, padding: 'x'.repeat(5 * 1024 * 1024) };
    expect((await push(own, huge)).problem().code).toBe('body_too_large');
  });
});

describe('the metrics', () => {
  it('count hosts and amounts, and come without them when the catalogue is away', async () => {
    const seen = (await server.call('/metrics')).text;
    expect(seen).toMatch(/^berth_hosts\{state="up"\} 1$/m);
    expect(seen).toMatch(/^berth_hosts\{state="down"\} 0$/m);
    expect(seen).toMatch(/^berth_capacity\{class="cpu",kind="limit"\} 32$/m);
    server.failure = new Error('away');
    expect((await server.call('/metrics')).status).toBe(200);
    server.failure = undefined;
  });
});
