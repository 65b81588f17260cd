/**
 * docker-compose.yml, Dockerfile and .dockerignore hold what they promise. Method: the files are read
 * as Compose would read them and judged; no container is started here.
 */
import { Script } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { VARIABLES } from '../../src/bin/config-variables.js';
import { readText } from './source-tree.js';

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[]; readonly interval: string };
  readonly networks?: readonly string[] | Readonly<Record<string, unknown>>;
  readonly ports?: readonly string[];
  readonly restart?: string;
  readonly volumes?: readonly string[];
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const text = readText('docker-compose.yml');
const compose = parse(text, { merge: true }) as Compose;
const services = Object.entries(compose.services);
const serviceOf = (name: string): Service => compose.services[name]!;

/** Services that run a berth program with this command. */
const running = (program: string): [string, Service][] =>
  services.filter(([, { command }]) => command?.join(' ') === program);

const networksOf = ({ networks = [] }: Service): readonly string[] =>
  Array.isArray(networks) ? (networks as readonly string[]) : Object.keys(networks);

/**
 * `${NAME:?what to do}`: no default, and a start without it says what is missing. The tokens of hosts
 * alone may be absent: only the running control plane can make them.
 */
const REQUIRED = /^\$\{([A-Z_]+:\?[^}]+|JOIN_TOKEN_[123]-)\}$/;
const SECRET_NAME = /TOKEN|PASSWORD|AUTH|SECRET/;

describe('docker-compose.yml', () => {
  it('runs two replicas, three agents and their stores', () => {
    expect(running('serve').map(([name]) => name)).toEqual(['control-1', 'control-2']);
    expect(running('agent').map(([name]) => name)).toEqual(['agent-1', 'agent-2', 'agent-3']);
    expect(serviceOf('redis').image).toMatch(/^redis:7\b/);
    expect(serviceOf('postgres').image).toMatch(/^postgres:16\b/);
    expect(services).toHaveLength(7);
  });

  it.each(services)('%s has a health check and comes back', (_name, { healthcheck, restart }) => {
    expect(healthcheck?.test[0]).toMatch(/^CMD(-SHELL)?$/);
    // Not a mapping: a colon and a space in a text without quotes would make it one.
    for (const word of healthcheck?.test ?? []) expect(typeof word).toBe('string');
    expect(healthcheck?.interval).toMatch(/^\d+s$/);
    expect(restart).toBe('unless-stopped');
  });

  it.each([
    ['serve', 'http://127.0.0.1:8080/readyz'],
    ['agent', 'http://127.0.0.1:8081/healthz'],
  ])('asks each %s how it is with a program that is one', (program, url) => {
    for (const [, { healthcheck }] of running(program)) {
      const [, command, flag, source = ''] = healthcheck?.test ?? [];
      expect([command, flag]).toEqual(['node', '-e']);
      expect(source).toContain(`fetch('${url}')`);
      expect(() => new Script(source)).not.toThrow();
    }
  });

  it('has a Redis that keeps what it is told, evicts nothing and wants a password', () => {
    const command = serviceOf('redis').command?.join(' ');
    expect(command).toContain('--appendonly yes');
    expect(command).toContain('--maxmemory-policy noeviction');
    expect(command).toMatch(/--requirepass \$\{REDIS_PASSWORD:\?/);
  });

  it('starts each when what it needs is healthy', () => {
    for (const [, { depends_on: needs }] of running('serve')) {
      expect(Object.keys(needs ?? {}).sort()).toEqual(['postgres', 'redis']);
    }
    for (const [, { depends_on: needs }] of running('agent')) {
      expect(Object.keys(needs ?? {}).sort()).toEqual(['control-1', 'control-2']);
    }
    const conditions = services.flatMap(([, service]) => Object.values(service.depends_on ?? {}));
    expect(new Set(conditions.map(({ condition }) => condition))).toEqual(
      new Set(['service_healthy']),
    );
  });

  it('keeps stores out of reach and publishes to this machine only', () => {
    expect(compose.networks.stores?.internal).toBe(true);
    for (const name of ['redis', 'postgres']) {
      expect(networksOf(serviceOf(name))).toEqual(['stores']);
      expect(serviceOf(name).ports).toBeUndefined();
    }
    for (const [, agent] of running('agent')) expect(networksOf(agent)).toEqual(['fleet']);
    const ports = services.flatMap(([, service]) => service.ports ?? []);
    expect(ports).toHaveLength(2);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:8080$/);
  });

  it('declares every network and volume that it uses, and no other', () => {
    const networks = services.flatMap(([, service]) => networksOf(service));
    expect([...new Set(networks)].sort()).toEqual(Object.keys(compose.networks).sort());
    const volumes = services.flatMap(([, service]) =>
      (service.volumes ?? []).map((volume) => volume.split(':')[0]),
    );
    expect(volumes.toSorted()).toEqual(Object.keys(compose.volumes).sort());
  });

  it('tells each agent who it is, and not the admin token', () => {
    const agents = running('agent').map(([name, { environment }]) => {
      expect(environment).toMatchObject({
        AGENT_ADDRESS: `http://${name}:8081`,
        AGENT_DRIVER: 'simulated',
        BERTH_URL: 'http://control:8080',
      });
      expect(environment).not.toHaveProperty('BERTH_ADMIN_TOKEN');
      // A token lets one host in.
      expect(environment?.BERTH_JOIN_TOKEN).toBe(`\${JOIN_TOKEN_${name.slice(-1)}-}`);
      return environment?.AGENT_NAME;
    });
    expect(new Set(agents).size).toBe(3);
  });

  it('sets only variables that Berth knows', () => {
    const known = VARIABLES.map(({ name }) => name);
    const set = [...running('serve'), ...running('agent')].flatMap(([, { environment }]) =>
      Object.keys(environment ?? {}),
    );
    expect(set.filter((name) => !known.includes(name))).toEqual([]);
  });
});

describe('secrets', () => {
  const values = services.flatMap(([, { environment }]) => Object.entries(environment ?? {}));

  it('stand nowhere in docker-compose.yml, and have no defaults', () => {
    const secrets = values.filter(([name]) => SECRET_NAME.test(name));
    expect(secrets.length).toBeGreaterThan(4);
    expect(secrets.filter(([, value]) => !REQUIRED.test(value))).toEqual([]);
    const passwords = [...text.matchAll(/\w+:\/\/[^:@/\s]*:(.+)@/g)].map((match) => match[1] ?? '');
    expect(passwords).toHaveLength(2);
    expect(passwords.filter((password) => !REQUIRED.test(password))).toEqual([]);
    const references = [...text.matchAll(/\$\{[^}]*\}/g)].map(([reference]) => reference);
    expect(references.filter((reference) => !REQUIRED.test(reference))).toEqual([]);
  });

  it('are all listed in .env.example', () => {
    const listed = [...readText('.env.example').matchAll(/^#? ?([A-Z_\d]+)=/gm)].map(
      (match) => match[1],
    );
    const named = [...text.matchAll(/\$\{([A-Z_\d]+)/g)].map((match) => match[1]);
    expect([...new Set(named)].filter((name) => !listed.includes(name))).toEqual([]);
  });
});

describe('the image', () => {
  const dockerfile = readText('Dockerfile');
  const last = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));

  it('is built in stages and holds no tools of ours', () => {
    expect(dockerfile.match(/^FROM node:20-bookworm-slim/gm)).toHaveLength(2);
    expect(dockerfile).toContain('RUN npm ci\n');
    expect(dockerfile).toContain('npm prune --omit=dev');
    expect(last).not.toMatch(/npm (ci|install)/);
  });

  it('runs as nobody special, says how it is, and starts the program of package.json', () => {
    const { bin } = JSON.parse(readText('package.json')) as { bin: { berth: string } };
    expect(last).toMatch(/^USER node$/m);
    expect(last).toMatch(/^HEALTHCHECK /m);
    expect(last).toContain(`ENTRYPOINT ["node", "${bin.berth}"]`);
    const health = /^ {2}CMD (\[.*\])$/m.exec(last)?.[1] ?? '';
    expect(JSON.parse(health)).toHaveLength(3);
  });

  it('is sent nothing but what it is built from', () => {
    const lines = readText('.dockerignore').split('\n');
    const ignored = lines.filter((line) => line !== '' && !line.startsWith('#'));
    expect(ignored[0]).toBe('*');
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap((match) =>
      (match[1] ?? '').split(' '),
    );
    const sent = ignored.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    expect(sent.toSorted()).toEqual(copied.toSorted());
  });
});
