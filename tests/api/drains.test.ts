/** Routes that take hosts out: what is sent, and what comes back. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { modelHost, modelVm } from '../support/control-double.js';
import { startApi, type ApiServer } from '../support/api-server.js';

let server: ApiServer;
beforeAll(async () => {
  server = await startApi();
});
afterAll(() => server.api.close());
beforeEach(() => {
  server.vms.clear();
  server.hosts.clear();
  server.hosts.set('host-a', modelHost());
  server.vms.set('vm-a', modelVm());
});

const ask = async (method: string, path: string, body?: unknown) => {
  const { status, json } = await server.call(path, {
    method,
    ...(body === undefined ? {} : { body }),
  });
  return { status, body: json as Record<string, unknown> };
};

const fieldsOf = (body: Record<string, unknown>) =>
  (body.errors as { field: string }[]).map(({ field }) => field);

describe('draining a host', () => {
  it('answers 200 with a plan that nobody follows, 202 with one that is', async () => {
    const plan = await ask('POST', '/v1/hosts/name-a/drain', { dryRun: true, reason: 'disks' });
    expect(plan).toMatchObject({ status: 200, body: { state: 'planned', reason: 'disks' } });
    expect(server.hosts.get('host-a')?.mode).toBe('enabled');
    const begun = await ask('POST', '/v1/hosts/name-a/drain');
    expect(begun).toMatchObject({ status: 202, body: { state: 'draining', owner: null } });
    expect(begun.body.moves).toMatchObject([
      { vm: { id: 'vm-a' }, state: 'blocked', summary: { considered: 1 } },
    ]);
    const host = await ask('GET', '/v1/hosts/host-a');
    expect(host.body).toMatchObject({ mode: 'draining' });
    const cancelled = await ask('DELETE', '/v1/hosts/host-a/drain');
    expect(cancelled).toMatchObject({ status: 200, body: { state: 'cancelled' } });
    expect(cancelled.body.endedAt).not.toBeNull();
  });

  it('is shown only where there was one', async () => {
    server.hosts.set('host-b', modelHost({ id: 'host-b', name: 'name-b' }));
    expect((await ask('GET', '/v1/hosts/name-b/drain')).status).toBe(404);
    expect((await ask('GET', '/v1/hosts/nobody/drain')).status).toBe(404);
    expect((await ask('POST', '/v1/hosts/nobody/drain', {})).status).toBe(404);
  });

  it.each([
    [{ dryRun: 'yes' }, 'dryRun'],
    [{ reason: '' }, 'reason'],
    [{ owner: 'x'.repeat(101) }, 'owner'],
    [{ target: 'host-b' }, 'target'],
  ])('%j is refused', async (body, field) => {
    const refused = await ask('POST', '/v1/hosts/name-a/drain', body);
    expect(refused.status).toBe(400);
    expect(fieldsOf(refused.body)).toEqual([field]);
  });

  it('is refused for a host that is retired', async () => {
    server.hosts.set('host-a', modelHost({ mode: 'retired' }));
    expect(await ask('POST', '/v1/hosts/host-a/drain', {})).toMatchObject({
      status: 409,
      body: { code: 'state_conflict' },
    });
  });
});

describe('retiring a host', () => {
  it('is for empty ones, unless by force and with a reason', async () => {
    expect(await ask('DELETE', '/v1/hosts/name-a')).toMatchObject({
      status: 409,
      body: { code: 'host_not_empty', vms: 1, reservations: 0 },
    });
    const forced = await ask('DELETE', '/v1/hosts/name-a?force=true&reason=burnt%20down');
    expect(forced).toMatchObject({
      status: 200,
      body: { mode: 'retired', modeReason: 'burnt down', vms: 0 },
    });
    expect((await ask('DELETE', '/v1/hosts/nobody')).status).toBe(404);
  });

  it.each([
    ['force=true', 'reason'],
    ['reason=because', 'reason'],
    ['force=yes&reason=because', 'force'],
    ['now=1', 'now'],
  ])('?%s is refused', async (query, field) => {
    const refused = await ask('DELETE', `/v1/hosts/name-a?${query}`);
    expect(refused.status).toBe(400);
    expect(fieldsOf(refused.body)).toContain(field);
  });
});
