/** What is fuzzed: every documented route of the control plane, and those of an agent. */
import type { z } from 'zod';
import type { Route } from '../../src/api/route.js';
import { ROUTES } from '../../src/api/routes.js';
import { SOME_ID, type Target } from './requests.js';

/** Ids that exist, or may; the fuzz makes and removes things under them. */
export interface KnownIds {
  readonly hosts: readonly string[];
  /** Hosts that may be joined anew, moved and retired. */
  readonly spareHosts: readonly string[];
}

const IDS = [
  ...Array.from({ length: 400 }, (_none, index) => `fuzz-${index.toString()}`),
  'rsv-fuzz-1',
];

const TIMES = ['2026-11-21T10:00:00Z', '0000-01-01T00:00:00Z', '9999-12-31T23:59:59Z'];

/** Some values that work, by the name of the parameter. */
const QUERY: Readonly<Record<string, readonly string[]>> = {
  wait: ['running'],
  timeout: ['1', '0', '301', '-1', '1.5'],
  limit: ['1', '100', '101', '0'],
  cursor: ['eyJhIjoxfQ', 'x', 'MTIz', 'AAAA'],
  force: ['true', 'false', '1'],
  path: ['acme', 'acme:web', 'a:b:c:d:e:f:g:h'],
  state: ['running', 'gone'],
  host: ['host-0', 'nowhere'],
  kind: ['vm.created', 'vm.created,host.changed', 'x'],
  since: ['start', ...TIMES],
  from: TIMES,
  to: TIMES,
  follow: ['false', 'true', 'x'],
  tailBytes: ['0', '4096', '4194305', '-1'],
  format: ['qcow2', 'raw', 'vmdk'],
  assignment: ['1', '7', '0', '9007199254740993'],
};

/** Routes that make or end things are asked more often than the others. */
const TIMES_OF_CHANGES = 3;

export const targetsOfApi = (known: KnownIds): readonly Target[] => {
  const targets = ROUTES.map((route) => targetOf(route, known));
  const changes = targets.filter(({ path }) => /^\/v1\/(vms|reservations)/.test(path));
  return [...targets, ...Array.from({ length: TIMES_OF_CHANGES }, () => changes).flat()];
};

function targetOf(
  { method, path, query, example }: Route,
  { hosts, spareHosts }: KnownIds,
): Target {
  const isHost = path.startsWith('/v1/hosts/');
  const ids = isHost ? (method === 'delete' ? spareHosts : [...hosts, ...spareHosts]) : IDS;
  return {
    method: method.toUpperCase(),
    path,
    params: {
      id: ids,
      host: method === 'delete' ? spareHosts : hosts,
      vm: IDS,
      name: ['demo', 'fuzz-image'],
    },
    query: knownQuery(query),
    ...(example.body === undefined ? {} : { body: bodyOf(path, method, example.body, spareHosts) }),
  };
}

function knownQuery(schema: z.ZodObject | undefined): Target['query'] {
  const names = Object.keys(schema?.shape ?? {});
  return Object.fromEntries(names.map((name) => [name, QUERY[name] ?? []]));
}

const SMALL = { cpu: 1, memory: 64, disk: 64 };

/** The example, but of things that are the fuzz's own. */
function bodyOf(path: string, method: string, body: unknown, spare: readonly string[]): unknown {
  const fields = body as Readonly<Record<string, unknown>>;
  if (path === '/v1/hosts' && method === 'post') {
    const [id = 'spare'] = spare;
    return { ...fields, id, name: id, address: 'http://127.0.0.1:9' };
  }
  if (path === '/v1/vms' && method === 'post') {
    return { id: SOME_ID, name: 'fuzz', path: 'acme:web', resources: SMALL, constraints: {} };
  }
  if (path === '/v1/reservations' && method === 'post') {
    return { name: 'fuzz', path: 'acme', resources: SMALL, expiresInS: 2 };
  }
  return fields;
}

const VM_ORDER = {
  name: 'fuzz',
  assignment: 7,
  resources: SMALL,
  image: 'debian-12',
  overrides: { overcommit: { cpu: 2 }, reserve: { memory: 0.1 }, totals: { cpu: 4 } },
};

const agentTarget = (method: string, path: string, body?: unknown): Target => ({
  method,
  path,
  params: { id: IDS },
  query: method === 'DELETE' ? { assignment: QUERY.assignment ?? [] } : {},
  ...(body === undefined ? {} : { body }),
});

export const AGENT_TARGETS: readonly Target[] = [
  agentTarget('GET', '/healthz'),
  agentTarget('GET', '/v1/status'),
  agentTarget('GET', '/resources'),
  agentTarget('GET', '/v1/vms'),
  agentTarget('GET', '/v1/vms/:id'),
  agentTarget('PUT', '/v1/vms/:id', VM_ORDER),
  agentTarget('DELETE', '/v1/vms/:id'),
  agentTarget('POST', '/v1/vms/:id/start', { assignment: 7 }),
  agentTarget('POST', '/v1/vms/:id/stop', { assignment: 7, force: true }),
  agentTarget('PATCH', '/v1/driver', { bootMs: 5, stopMs: 5, hang: false }),
  agentTarget('GET', '/v1/driver'),
];
