/** The OpenAPI document and the pages: true to the routes, and complete. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { EXAMPLE_HOST, EXAMPLE_JOIN, EXAMPLE_VM } from '../../src/api/examples.js';
import { EXAMPLE_RESERVATION } from '../../src/api/routes/reservations.js';
import { modelReservation } from '../support/reservations-double.js';
import { ERROR_CODES } from '../../src/model/errors.js';
import { ADMIN_TOKEN, sentFile, startApi, type ApiServer } from '../support/api-server.js';
import { modelHost, modelVm } from '../support/control-double.js';
import { problemSchema } from '../../src/wire/problem.js';
import { ROUTES } from '../../src/api/routes.js';
import { EXAMPLE_TOKEN } from '../../src/api/routes/tokens.js';

interface MediaType {
  readonly schema?: object;
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}

interface Operation {
  readonly operationId: string;
  readonly security: readonly object[];
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, MediaType>> };
  readonly responses: Readonly<
    Record<string, { readonly description: string; readonly content: Record<string, MediaType> }>
  >;
}

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, object>>;
    readonly securitySchemes: Readonly<Record<string, object>>;
  };
}

const EXAMPLE_TOKEN_FACTS = { id: EXAMPLE_TOKEN.id, name: EXAMPLE_TOKEN.name, path: 'acme' };

let server: ApiServer;
let document: Document;
beforeAll(async () => {
  server = await startApi();
  document = (await server.call('/openapi.json')).json as Document;
});
afterAll(() => server.api.close());

describe('the document', () => {
  it('has every route, and no other operation', () => {
    const described = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method} ${path}`),
    );
    const routes = ROUTES.map(
      ({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`,
    );
    expect(described.sort()).toEqual(routes.sort());
    expect(document.openapi).toBe('3.1.0');
  });

  it('names each operation once', () => {
    const ids = operations().map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('points at nothing that is not there', () => {
    const text = JSON.stringify(document);
    const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)];
    expect(references.length).toBeGreaterThan(10);
    for (const [, name = ''] of references)
      expect(document.components.schemas).toHaveProperty(name);
  });

  it('describes every part of a path', () => {
    for (const { path, operation } of operations()) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const described = (operation.parameters ?? [])
        .filter((parameter) => parameter.in === 'path')
        .map(({ name }) => name);
      expect(described).toEqual(named);
    }
  });

  it('says what each call needs to be let in', () => {
    const security = (path: string, method: string) => document.paths[path]?.[method]?.security;
    expect(security('/v1/vms', 'post')).toEqual([{ bearer: [] }]);
    expect(security('/v1/hosts', 'post')).toEqual([{ bearer: [] }]);
    expect(security('/healthz', 'get')).toEqual([]);
    expect(Object.keys(document.components.securitySchemes).sort()).toEqual(['basic', 'bearer']);
  });

  it('shows problems that are problems, under their status', () => {
    let shown = 0;
    for (const { operation } of operations()) {
      for (const [status, { content }] of Object.entries(operation.responses)) {
        const examples = content['application/problem+json']?.examples ?? {};
        for (const [code, { value }] of Object.entries(examples)) {
          expect(problemSchema.parse(value)).toMatchObject({ code, status: Number(status) });
          shown += 1;
        }
      }
    }
    expect(shown).toBeGreaterThan(50);
  });

  it('demands of a VM what the API demands', () => {
    expect(document.components.schemas.CreateVm).toMatchObject({
      required: ['resources'],
      additionalProperties: false,
      properties: { resources: { required: ['cpu', 'memory', 'disk'] } },
    });
  });
});

function operations(): { path: string; method: string; operation: Operation }[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
}

describe('the examples', () => {
  beforeEach(() => {
    server.vms.clear();
    server.hosts.clear();
    server.reservations.set(
      EXAMPLE_RESERVATION.id,
      modelReservation({ id: EXAMPLE_RESERVATION.id }),
    );
    const { id, name } = EXAMPLE_HOST;
    server.hosts.set(id, modelHost({ id, name, labels: { disk: 'ssd' } }));
    server.tokens.add('tenant', EXAMPLE_TOKEN_FACTS);
    server.vms.set(
      EXAMPLE_VM.id,
      modelVm({
        id: EXAMPLE_VM.id,
        host: { id, name },
        resources: EXAMPLE_VM.resources,
        image: EXAMPLE_VM.image,
      }),
    );
  });

  it.each(ROUTES)('of $name is sent, and answered as documented', async (route) => {
    const { params = {}, query = {}, status, body, file, answer } = route.example;
    if (route.name === 'fenceHost') {
      // Of a host that answers, nobody may say that it is off.
      const { id, name } = EXAMPLE_HOST;
      server.hosts.set(id, modelHost({ id, name, state: 'down' }));
    }
    const path = route.path.replaceAll(/:(\w+)/g, (_match, name: string) => params[name] ?? '');
    const search = new URLSearchParams(query).toString();
    const operation = document.paths[route.path.replaceAll(/:(\w+)/g, '{$1}')]?.[route.method];
    expect(operation?.requestBody?.content['application/json']?.example).toEqual(body);

    const isForAgents = route.access !== 'public' && !route.access.includes('admin');
    const reply = await server.call(search === '' ? path : `${path}?${search}`, {
      method: route.method.toUpperCase(),
      ...(isForAgents ? { token: server.tokens.addHostToken(EXAMPLE_HOST.id) } : {}),
      ...(body === undefined ? {} : { body }),
      ...(file === undefined ? {} : sentFile(file)),
    });
    expect(reply.status).toBe(status);
    const documented = operation?.responses[status.toString()]?.content ?? {};
    const [type = ''] = (reply.headers.get('content-type') ?? '').split(';');
    expect(Object.keys(documented)).toContain(type);
    expect(documented[type]?.example).toEqual(answer);
    if (answer === undefined) return;
    // The same shape; ids and times of the double are its own.
    route.answers[status]?.schema?.parse(answer);
    expect(Object.keys(reply.json as object).sort()).toEqual(Object.keys(answer as object).sort());
  });

  it('of a join is one whose answer is the example of a host', async () => {
    const reply = await server.call('/v1/hosts', { method: 'POST', body: EXAMPLE_JOIN });
    const shown = reply.json as typeof EXAMPLE_HOST;
    for (const [name, { allocated, available, ...facts }] of Object.entries(
      EXAMPLE_HOST.resources,
    )) {
      expect(available).toBe((facts.limit ?? NaN) - allocated);
      // What it uses, it has not told yet.
      expect(shown.resources[name]).toMatchObject({ ...facts, used: null });
    }
  });
});

describe('docs/api.md', () => {
  const page = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');
  const headings = page.split('\n').filter((line) => line.startsWith('### '));

  it.each(ROUTES.filter(({ path }) => path.startsWith('/v1/')))('tells of $name', (route) => {
    const call = new RegExp(`${route.method.toUpperCase()} ${route.path}(,|$)`);
    expect(headings.filter((heading) => call.test(heading))).toHaveLength(1);
  });

  it('tells of nothing that is not there', () => {
    const told = headings.flatMap((heading) => [...heading.matchAll(/([A-Z]+) (\/[^\s,]+)/g)]);
    expect(told.length).toBeGreaterThan(10);
    for (const [, method, path] of told) {
      const known = ROUTES.some(
        (route) => route.method.toUpperCase() === method && route.path === path,
      );
      expect({ method, path, known }).toEqual({ method, path, known: true });
    }
  });
});

describe('the pages', () => {
  it('load nothing from elsewhere', async () => {
    for (const path of ['/docs', '/docs/errors']) {
      const { text, headers } = await server.call(path);
      expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
      const loaded = [...text.matchAll(/(?:src|href|spec-url)="([^"]+)"/g)].map(([, to]) => to);
      expect(loaded.length).toBeGreaterThan(1);
      for (const to of loaded) expect(to).toMatch(/^[/#]/);
    }
  });

  it('find their script and their document with the password of a browser', async () => {
    const password = Buffer.from(`me:${ADMIN_TOKEN}`).toString('base64');
    const headers = { authorization: `Basic ${password}` };
    const page = await server.call('/docs', { headers });
    for (const [, path = ''] of page.text.matchAll(/(?:src|spec-url)="([^"]+)"/g)) {
      const { status, text } = await server.call(path, { headers });
      expect(status).toBe(200);
      expect(text.length).toBeGreaterThan(1_000);
    }
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self'");
    // No script of the page stands in the page, which the policy would forbid.
    expect(page.text).not.toMatch(/<script(?![^>]*src=)|\son\w+=/);
  });

  it('have a place for every error code', async () => {
    const { text } = await server.call('/docs/errors');
    for (const code of Object.keys(ERROR_CODES)) expect(text).toContain(`<section id="${code}">`);
  });
});
