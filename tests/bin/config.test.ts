/** The configuration: who wins, what is refused, what is printed. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { z } from 'zod';
import { capacityPolicyOf, settingsSchema } from '../../src/bin/config-schema.js';
import { redisTargetOf } from '../../src/bin/redis-target.js';
import { OTHER_VARIABLES, VARIABLES } from '../../src/bin/config-variables.js';
import {
  ConfigError,
  describeConfig,
  loadConfig,
  type ConfigProblem,
  type Environment,
} from '../../src/bin/config.js';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-config-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function fileWith(text: string): string {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, text);
  return file;
}

function problemsOf(options: { file?: string; env?: Environment }): readonly ConfigProblem[] {
  try {
    loadConfig({ env: {}, ...options });
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

const valueAt = (tree: unknown, key: string): unknown =>
  key.split('.').reduce<unknown>((at, step) => (at as Record<string, unknown>)[step], tree);

/** Keys of a JSON schema that hold no others. */
function keysOf(schema: unknown, above = ''): readonly string[] {
  const { properties } = schema as { readonly properties?: Readonly<Record<string, unknown>> };
  if (properties === undefined) return [above];
  return Object.entries(properties).flatMap(([key, below]) =>
    keysOf(below, above === '' ? key : `${above}.${key}`),
  );
}

describe('who wins', () => {
  it('takes the environment before the file and the file before the default', () => {
    const file = fileWith('server: { port: 1001 }\ncpu_overcommit: 2.5\n');
    const config = loadConfig({ file, env: { PORT: '1002' } });
    expect(config.server.port).toBe(1002);
    expect(config.cpu_overcommit).toBe(2.5);
    expect(config.mem_reserve_pct).toBe(0.1);
    expect(config.origins.get('server.port')).toBe('env');
    expect(config.origins.get('cpu_overcommit')).toBe('file');
    expect(config.origins.get('mem_reserve_pct')).toBeUndefined();
  });

  it('reads the file that BERTH_CONFIG names', () => {
    const file = fileWith('redis: { cell: north }\n');
    expect(loadConfig({ env: { BERTH_CONFIG: file } }).redis.cell).toBe('north');
  });

  it('takes an empty variable as unset', () => {
    expect(loadConfig({ env: { PORT: '', REDIS_URL: ' ' } })).toMatchObject({
      server: { port: 8080 },
      redis: { cell: 'main' },
    });
  });

  it.each([
    ['CPU_OVERCOMMIT', '2', { cpu: 2, network: 2, disk_io: 2 }, { memory: 0.1, disk: 0.1 }],
    ['MEM_RESERVE_PCT', '.25', { cpu: 4, network: 2, disk_io: 2 }, { memory: 0.25, disk: 0.1 }],
    ['DISK_RESERVE_PCT', '0', { cpu: 4, network: 2, disk_io: 2 }, { memory: 0.1, disk: 0 }],
  ])('makes the capacity policy from %s=%s', (name, value, overcommit, reserve) => {
    const config = loadConfig({ env: { [name]: value } });
    expect(capacityPolicyOf(config)).toEqual({ overcommit, reserve });
  });

  it.each([
    ['PLACEMENT_QUEUE_MAX', 'placement.queueMax', 7],
    ['PLACEMENT_RESERVE_LARGE', 'placement.reserveLarge', 7],
    ['PLACEMENT_RANDOM_TOP', 'placement.randomTop', 7],
    ['PLACEMENT_WEIGHT_CPU', 'placement.weights.cpu', 2.5],
    ['HEALTH_DEADLINE_MS', 'health.deadlineMs', 300],
    ['LEDGER_LOCK_LEASE_MS', 'ledger.lockLeaseMs', 900],
    ['SHUTDOWN_LIMIT_MS', 'shutdown.limitMs', 400],
  ])('sets with %s the key %s', (name, key, value) => {
    expect(valueAt(loadConfig({ env: { [name]: value.toString() } }), key)).toBe(value);
  });

  it('reads networks from a list and from a variable', () => {
    const file = fileWith('fleet: { networks: [10.0.0.0/8, "fd00::/8"] }\n');
    expect(loadConfig({ file, env: {} }).fleet.networks).toEqual(['10.0.0.0/8', 'fd00::/8']);
    const env = { FLEET_NETWORKS: '192.168.7.0/24, ::1/128' };
    expect(loadConfig({ file, env }).fleet.networks).toEqual(['192.168.7.0/24', '::1/128']);
  });

  it('keeps a text of digits a text', () => {
    expect(loadConfig({ env: { BERTH_CELL: '007' } }).redis.cell).toBe('007');
  });

  it('gives ioredis a socket path in the form that it knows', () => {
    expect(loadConfig({ env: { REDIS_URL: 'unix:///run/r.sock' } }).redis.url).toBe('/run/r.sock');
  });
});

describe('what is refused', () => {
  it('names every problem at once, with key and variable', () => {
    const file = fileWith('server: { port: 70000 }\n');
    const env = { CPU_OVERCOMMIT: '0', LOG_LEVEL: 'loud', DATABASE_URL: 'mysql://x' };
    const found = problemsOf({ file, env });
    expect(found.map(({ path, source }) => [path, source])).toEqual(
      expect.arrayContaining([
        ['server.port', `${file}, or PORT`],
        ['cpu_overcommit', 'CPU_OVERCOMMIT'],
        ['log.level', 'LOG_LEVEL'],
        ['database.url', 'DATABASE_URL'],
      ]),
    );
    expect(found).toHaveLength(4);
  });

  it.each([
    ['PORT', '80.5'],
    ['PORT', 'http'],
    ['CPU_OVERCOMMIT', '64.1'],
    ['MEM_RESERVE_PCT', '1'],
    ['DISK_RESERVE_PCT', '-0.1'],
    ['HEALTH_PERIOD_S', '7'],
    ['HEALTH_PERIOD_S', '0'],
    ['HEALTH_PERIOD_S', '90'],
    ['HEALTH_PERIOD_S', '420'],
    ['HEALTH_PERIOD_S', '3660'],
    ['REDIS_URL', 'localhost:6379'],
    ['BERTH_URL', 'ftp://x'],
    ['BERTH_ADMIN_TOKEN', 'short'],
    ['BERTH_JOIN_TOKEN', 'with a space in it'],
    ['AGENT_DRIVER', 'magic'],
    ['API_RATE_PER_TOKEN_PER_S', '0'],
    ['FLEET_NETWORKS', '10.0.0.0'],
  ])('refuses %s=%s', (name, value) => {
    expect(problemsOf({ env: { [name]: value } })).toEqual([
      expect.objectContaining({ source: name }),
    ]);
  });

  it.each(['1', '15', '30', '60', '300', '3600'])('accepts HEALTH_PERIOD_S=%s', (value) => {
    expect(loadConfig({ env: { HEALTH_PERIOD_S: value } }).health.periodS).toBe(Number(value));
  });

  it('hints at the nearest name', () => {
    const file = fileWith('server: { prot: 1 }\n');
    expect(problemsOf({ file, env: { BERTH_DATADIR: 'x' } })).toEqual([
      expect.objectContaining({
        path: 'BERTH_DATADIR',
        message: 'is not known; did you mean BERTH_DATA_DIR?',
      }),
      expect.objectContaining({
        path: 'server.prot',
        message: 'is not known; did you mean server.port?',
      }),
    ]);
  });

  it.each([
    ['auth: { adminToken: "0123456789" }', 'BERTH_ADMIN_TOKEN'],
    ['redis: { url: "redis://:hunter2@host" }', 'REDIS_URL'],
    ['redis: { password: "hunter2" }', 'REDIS_PASSWORD'],
    ['database: { url: "postgres://berth:hunter2@host/berth" }', 'DATABASE_URL'],
  ])('refuses a secret in the file: %s', (text, variable) => {
    const found = problemsOf({ file: fileWith(text) });
    expect(found).toHaveLength(1);
    expect(found[0]?.message).toContain(variable);
    expect(JSON.stringify(found)).not.toContain('hunter2');
  });

  it.each([
    ['a file that is not there', undefined, 'cannot be read'],
    ['a file that is no YAML', 'server: [', 'must'],
    ['a list', '- 1', 'must hold keys and values'],
    ['a number in quotes', 'server: { port: "8080" }', 'whole number'],
  ])('refuses %s', (_what, text, message) => {
    const file = text === undefined ? join(folder, 'absent.yaml') : fileWith(text);
    expect(
      problemsOf({ file })
        .map((problem) => problem.message)
        .join(),
    ).toContain(message);
  });

  it.each([
    ['redis.cluster', { REDIS_URL: 'redis://a', REDIS_CLUSTER: 'b:1' }],
    [
      'redis.sentinels',
      { REDIS_URL: 'redis://a', REDIS_SENTINELS: 'b:1', REDIS_SENTINEL_NAME: 'm' },
    ],
    ['redis.sentinelName', { REDIS_SENTINELS: 'b:1,c:2' }],
    ['redis.sentinelName', { REDIS_URL: 'redis://a', REDIS_SENTINEL_NAME: 'm' }],
    ['redis.sentinels.1', { REDIS_SENTINELS: 'b:1,c', REDIS_SENTINEL_NAME: 'm' }],
    ['redis.tls', { REDIS_URL: 'redis://a', REDIS_TLS: 'true' }],
    ['redis.tls', { REDIS_CLUSTER: 'b:1', REDIS_TLS: 'yes' }],
    ['redis.caFile', { REDIS_CLUSTER: 'b:1', REDIS_CA_FILE: '/ca.pem' }],
    ['redis.password', { REDIS_URL: 'redis://:one@a', REDIS_PASSWORD: 'two' }],
  ])('takes one Redis, told in one way: %s', (path, env) => {
    const found = problemsOf({ env });
    expect(found.map((problem) => problem.path)).toEqual([path]);
    expect(JSON.stringify(found)).not.toMatch(/one@|two/);
  });

  it.each([
    ['one server', { REDIS_URL: 'rediss://a' }, { url: 'rediss://a' }],
    [
      'Sentinels',
      {
        REDIS_SENTINELS: 'b:26379, [::1]:2',
        REDIS_SENTINEL_NAME: 'main',
        REDIS_PASSWORD: 'secret',
        REDIS_SENTINEL_PASSWORD: 'other',
      },
      {
        sentinels: [
          { host: 'b', port: 26379 },
          { host: '::1', port: 2 },
        ],
        name: 'main',
        password: 'secret',
        sentinelPassword: 'other',
      },
    ],
    [
      'a cluster',
      { REDIS_CLUSTER: 'b:1,c:2', REDIS_TLS: 'true', REDIS_USERNAME: 'berth' },
      {
        cluster: [
          { host: 'b', port: 1 },
          { host: 'c', port: 2 },
        ],
        tls: {},
        username: 'berth',
      },
    ],
    ['none', { REDIS_PASSWORD: 'for docker compose alone' }, null],
  ])('leads the ledger to %s', (_what, env, target) => {
    expect(redisTargetOf(loadConfig({ env }).redis)).toEqual(target);
  });

  it('names REDIS_CA_FILE when it cannot be read', () => {
    const { redis } = loadConfig({ env: { REDIS_URL: 'rediss://a', REDIS_CA_FILE: '/nowhere' } });
    expect(() => redisTargetOf(redis)).toThrow(
      '/nowhere cannot be read (ENOENT): set REDIS_CA_FILE',
    );
  });

  it('refuses keys that do not go together', () => {
    const file = fileWith('ledger: { lockHoldMs: 3000 }\nlifecycle: { leaseMs: 8000 }\n');
    expect(problemsOf({ file }).map(({ path }) => path)).toEqual([
      'ledger.lockHoldMs',
      'lifecycle.leaseMs',
    ]);
  });
});

describe('what is printed', () => {
  it('stars secrets and says where each value is from', () => {
    const env = { BERTH_ADMIN_TOKEN: 'hunter2-hunter2', REDIS_URL: 'redis://:hunter2@host:1' };
    const lines = describeConfig(loadConfig({ env }));
    expect(JSON.stringify(lines)).not.toContain('hunter2');
    expect(lines).toContainEqual({
      key: 'redis.url',
      value: 'redis://:***@host:1',
      origin: 'env',
      variable: 'REDIS_URL',
    });
    expect(lines).toContainEqual({
      key: 'database.url',
      value: '',
      origin: 'default',
      variable: 'DATABASE_URL',
    });
  });
});

describe('what is shipped', () => {
  const shipped = readFileSync(new URL('../../resources/config.yaml', import.meta.url), 'utf8');
  const example = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8');

  it('has the published names and values in resources/config.yaml', () => {
    expect(parse(shipped)).toMatchObject({
      cpu_overcommit: 4,
      mem_reserve_pct: 0.1,
      disk_reserve_pct: 0.1,
    });
  });

  it('has every default in resources/config.yaml, and nothing else', () => {
    const {
      file: _file,
      origins: _origins,
      dataDir: _dataDir,
      ...config
    } = loadConfig({ env: {} });
    const { dataDir: _default, ...defaults } = settingsSchema.parse({});
    expect(config).toEqual(defaults);
    const inFile = describeConfig(loadConfig({ env: {} }))
      .filter(({ origin }) => origin === 'default')
      .map(({ key }) => key);
    expect(inFile.filter((key) => valueAt(defaults, key) !== undefined)).toEqual([]);
  });

  it('comments every key of resources/config.yaml and names its variable there', () => {
    const lines = shipped.split('\n');
    const keys = lines.flatMap((line, index) =>
      /^\s*\w+:( \S|$)/.test(line) && !/^\s+\w+:/.test(lines[index + 1] ?? '')
        ? [{ line, above: lines[index - 1] ?? '' }]
        : [],
    );
    const bare = keys.filter(({ line, above }) => !/^\s*#/.test(above) && !line.endsWith(':'));
    expect(bare).toEqual([]);
    const named = VARIABLES.filter(({ environmentOnly }) => environmentOnly !== true);
    expect(named.filter(({ name }) => !shipped.includes(`[${name}]`))).toEqual([]);
  });

  it('has one variable for every key of the schema', () => {
    const schema = z.toJSONSchema(settingsSchema, { io: 'input', unrepresentable: 'any' });
    const keys = keysOf(schema);
    expect(keys).toEqual(expect.arrayContaining(['server.port', 'redis.url', 'agent.name']));
    expect(VARIABLES.map(({ key }) => key).sort()).toEqual([...keys].sort());
    expect(new Set(VARIABLES.map(({ name }) => name)).size).toBe(VARIABLES.length);
  });

  it('lists every variable with its default in .env.example', () => {
    const defaults = settingsSchema.parse({});
    const wanted = [
      ...VARIABLES.map(({ name, key, help }) => {
        const value = valueAt(defaults, key) as string | number | boolean | undefined;
        return `# ${help}\n# ${name}=${String(value ?? '')}`;
      }),
      ...OTHER_VARIABLES.map(({ name, help }) => `# ${help}\n# ${name}=`),
    ];
    expect(example.trimEnd().split('\n\n').slice(1)).toEqual(wanted);
  });
});
