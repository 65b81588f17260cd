/** Idempotency-Key: one effect and one answer, whatever becomes of the first try. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DomainError } from '../../src/model/errors.js';
import type { VmBody } from '../../src/wire/vms.js';
import { startApi, type ApiServer, type Reply } from '../support/api-server.js';
import { modelHost } from '../support/control-double.js';

const VM = { resources: { cpu: 1, memory: 512, disk: 1024 } };

let server: ApiServer;
beforeEach(async () => {
  server = await startApi();
  server.hosts.set('host-a', modelHost());
});
afterEach(() => server.api.close());

const post = (path: string, key: string, body: unknown = VM): Promise<Reply> =>
  server.call(path, { method: 'POST', body, headers: { 'idempotency-key': key } });
const create = (key: string, body: unknown = VM) => post('/v1/vms', key, body);
const idOf = ({ json }: Reply) => (json as VmBody).id;

/** What `createVm` does in addition, from now on. */
function afterCreate(then: () => void | Promise<void>): void {
  const { createVm } = server.control;
  Object.assign(server.control, {
    async createVm(...args: Parameters<typeof createVm>) {
      const vm = await createVm(...args);
      await then();
      return vm;
    },
  });
}

describe('a request with an Idempotency-Key', () => {
  it('has one effect and one answer, however often it is sent', async () => {
    const first = await create('k');
    expect(first.status).toBe(202);
    expect(first.headers.get('idempotency-replayed')).toBeNull();
    const second = await create('k');
    expect(second.status).toBe(202);
    expect(second.text).toBe(first.text);
    expect(second.headers.get('content-type')).toBe(first.headers.get('content-type'));
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    expect(server.vms.size).toBe(1);
  });

  it('makes others of its kind wait while it is answered', async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    let entered = () => {};
    const inside = new Promise<void>((resolve) => (entered = resolve));
    afterCreate(() => {
      entered();
      return gate;
    });
    const first = create('k');
    await inside;
    const twin = await create('k');
    expect(twin.problem()).toMatchObject({ code: 'idempotency_in_progress', status: 409 });
    expect(Number(twin.headers.get('retry-after'))).toBeGreaterThan(0);
    release();
    const answers = [await first, await create('k')];
    expect(answers[1]?.text).toBe(answers[0]?.text);
    expect(server.vms.size).toBe(1);
  });

  it('is told apart from another with the same key', async () => {
    await create('k');
    const other = { resources: { ...VM.resources, cpu: 2 } };
    expect((await create('k', other)).problem()).toMatchObject({
      code: 'idempotency_key_reused',
      status: 422,
      errors: [{ field: 'idempotency-key' }],
    });
    const [id] = [...server.vms.keys()];
    expect((await post(`/v1/vms/${id}/stop`, 'k', {})).problem().code).toBe(
      'idempotency_key_reused',
    );
    expect(server.vms.size).toBe(1);
  });

  it('is the same whatever the order of its members, and however long it is waited for', async () => {
    const first = await create('k', { name: 'web-1', ...VM });
    const second = await post('/v1/vms?wait=running&timeout=1', 'k', { ...VM, name: 'web-1' });
    expect(second.text).toBe(first.text);
  });

  it('gets its refusal again, under the number of the repeat', async () => {
    const huge = { resources: { cpu: 9_999, memory: 512, disk: 1024 } };
    const first = await create('k', huge);
    server.hosts.clear();
    const second = await create('k', huge);
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    expect({ ...second.problem(), requestId: '' }).toEqual({ ...first.problem(), requestId: '' });
    expect(first.problem().code).toBe('no_feasible_host');
  });

  it.each(['ledger_unavailable', 'overloaded'] as const)(
    'is tried again after %s, and makes the VM that the first try made',
    async (code) => {
      let fail = true;
      afterCreate(() => {
        if (fail) throw new DomainError(code, 'lost');
      });
      expect((await create('k')).problem().code).toBe(code);
      const [made] = [...server.vms.keys()];
      fail = false;
      const second = await create('k');
      expect(second.headers.get('idempotency-replayed')).toBeNull();
      expect(idOf(second)).toBe(made);
      expect(server.vms.size).toBe(1);
    },
  );

  it('leaves its key free when it is not valid', async () => {
    expect((await create('k', { resources: {} })).problem().code).toBe('invalid_request');
    expect((await create('k')).status).toBe(202);
  });

  it('keeps the id that it names', async () => {
    expect(idOf(await create('k', { ...VM, id: 'mine' }))).toBe('mine');
  });

  it('makes other ids under other keys', async () => {
    const ids = [idOf(await create('k')), idOf(await create('l'))];
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/);
  });

  it('needs a key of printable characters, 128 at most', async () => {
    for (const key of ['a b', 'x'.repeat(129), 'é']) {
      const problem = (await create(key)).problem();
      expect(problem.code).toBe('invalid_request');
      expect(problem.errors).toMatchObject([{ field: 'idempotency-key' }]);
    }
    expect((await create('~'.repeat(128))).status).toBe(202);
  });

  it('is read as any other where nothing is changed', async () => {
    const headers = { 'idempotency-key': 'k' };
    await create('k');
    expect((await server.call('/v1/vms', { headers })).status).toBe(200);
    const explained = await server.call('/v1/placements', { method: 'POST', body: VM, headers });
    expect(explained.status).toBe(200);
  });
});

describe('the OpenAPI document', () => {
  it('names the header, and what may come of it, where it is taken', async () => {
    const { json } = await server.call('/openapi.json');
    const { paths } = json as {
      paths: Record<
        string,
        Record<
          string,
          { parameters?: { in: string; name: string }[]; responses: Record<string, unknown> }
        >
      >;
    };
    const takes = (path: string, method: string) =>
      paths[path]?.[method]?.parameters?.some(
        (parameter) => parameter.in === 'header' && parameter.name === 'Idempotency-Key',
      ) ?? false;
    for (const path of ['/v1/vms', '/v1/vms/{id}/start', '/v1/vms/{id}/stop', '/v1/ops/rebuild']) {
      expect({ path, takes: takes(path, 'post') }).toEqual({ path, takes: true });
      expect(paths[path]?.post?.responses).toHaveProperty('422');
    }
    expect(takes('/v1/placements', 'post')).toBe(false);
    expect(takes('/v1/vms', 'get')).toBe(false);
  });
});
