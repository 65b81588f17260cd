/**
 * Everything that a chaos run is done to: three replicas, Redis, PostgreSQL, processes with hosts,
 * and between them proxies. Whatever a fault did to them is healed by `heal`.
 */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { inventoryOf, limitsOf } from '../../src/model/inventory.js';
import { ADMIN_TOKEN, call, until } from '../support/cluster.js';
import { DEFAULT_POLICY } from '../support/hosts.js';
import { startPostgres, type TestPostgres } from '../support/postgres.js';
import { startSentinelSet, type SentinelSet } from '../support/redis-sets.js';
import { startRedis, type RedisServer } from '../support/redis.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import type { AgentsSettings } from './agents.js';
import { Child, familyOf } from './child.js';
import { Namespace } from './namespace.js';
import { Truth } from './truth.js';

export interface Replica {
  readonly name: string;
  readonly url: string;
  readonly child: Child;
  /** None where Sentinels name the server. */
  readonly redis: TcpProxy | null;
  readonly database: TcpProxy;
}

/** One process with some hosts. */
export interface Group {
  readonly child: Child;
  readonly factsFile: string;
  /** Null where it shares the network of all. */
  readonly namespace: Namespace | null;
  /** Between it and a replica. */
  readonly control: TcpProxy;
  readonly hosts: readonly { readonly name: string; readonly proxy: TcpProxy }[];
}

export interface StackOptions {
  readonly folder: string;
  readonly redis: 'single' | 'sentinel';
  readonly groups: number;
  readonly hostsPerGroup: number;
}

const REPLICAS = 3;
/** Small enough for hosts to be full now and then. */
const HOST_TOTALS = { cpu: 8, memory: 8_192, disk: 100_000 };
export const HEALTH_PERIOD_S = 2;
/** Addresses of this run alone, so that no outgoing connection takes a port that will be needed again. */
const NET = `127.213.${(process.pid % 250).toString()}`;
const PORT = 8_080;
const BERTH = resolve('dist/bin/berth.js');
const AGENTS = resolve('tests/chaos/agents.ts');

/** What any host may hold. */
export const HOST_LIMITS = limitsOf(
  inventoryOf(
    Object.fromEntries(
      Object.entries(HOST_TOTALS).map(([name, total]) => [
        name,
        { total, source: 'configured' as const },
      ]),
    ),
    DEFAULT_POLICY,
  ),
);

export class Stack {
  readonly replicas: Replica[] = [];
  readonly groups: Group[] = [];
  readonly #namespaces: Namespace[] = [];

  private constructor(
    readonly options: StackOptions,
    readonly postgres: TestPostgres,
    readonly single: RedisServer | null,
    readonly sentinel: SentinelSet | null,
    readonly databaseUrl: string,
    readonly truth: Truth,
  ) {}

  static async start(options: StackOptions): Promise<Stack> {
    const { redis, groups } = options;
    const postgres = await startPostgres();
    const single = redis === 'single' ? await startRedis({ appendonly: true }) : null;
    const sentinel = redis === 'sentinel' ? await startSentinelSet() : null;
    const databaseUrl = await postgres.freshDatabase();
    const facts = Array.from({ length: groups }, (_unused, at) => factsFileOf(options, at));
    const truth = new Truth(facts, HOST_LIMITS);
    const stack = new Stack(options, postgres, single, sentinel, databaseUrl, truth);
    try {
      for (let at = 0; at < REPLICAS; at += 1) await stack.#addReplica(at);
      for (let at = 0; at < groups; at += 1) await stack.#addGroup(at);
      await stack.untilUp();
      return stack;
    } catch (error) {
      await stack.stop();
      throw error;
    }
  }

  get hosts(): readonly { readonly name: string; readonly proxy: TcpProxy }[] {
    return this.groups.flatMap(({ hosts }) => hosts);
  }

  get urls(): readonly string[] {
    return this.replicas.map(({ url }) => url);
  }

  /** Whether agents can be cut off in a network of their own. */
  get hasNamespace(): boolean {
    return this.#namespaces.length > 0;
  }

  /** Processes of Berth that ended although nobody ended them. */
  get violations(): readonly string[] {
    return [...this.replicas, ...this.groups].flatMap(({ child: { name, died, logFile } }) =>
      died === null ? [] : [`${name} ended by itself (${died}), see ${logFile}`],
    );
  }

  /** Ends every fault: what is paused goes on, what is down is up, what is cut is whole. */
  async heal(): Promise<void> {
    for (const pid of familyOf(this.postgres.pid)) signal(pid, 'SIGCONT');
    for (const server of this.redisServers) if (server.running) signal(server.pid, 'SIGCONT');
    for (const server of this.redisServers) if (!server.running) await server.up();
    for (const { child } of [...this.replicas, ...this.groups]) {
      child.resume();
      if (!child.running) child.start();
    }
    for (const { redis, database } of this.replicas) {
      redis?.heal();
      database.heal();
    }
    for (const { control, hosts, namespace } of this.groups) {
      control.heal();
      for (const { proxy } of hosts) {
        proxy.onLink = () => undefined;
        proxy.heal();
      }
      await namespace?.heal();
    }
  }

  get redisServers(): readonly RedisServer[] {
    if (this.single !== null) return [this.single];
    return this.sentinel === null ? [] : [this.sentinel.master, this.sentinel.replica];
  }

  /** Waits until every replica is ready and every host open. */
  async untilUp(): Promise<void> {
    const { groups, hostsPerGroup } = this.options;
    for (const { name, url, child } of this.replicas)
      await until(`${name}, see ${child.logFile}`, async () => (await fetch(`${url}/readyz`)).ok);
    await until('every host to be up', async () => {
      const states = await hostStates(this.urls[0] ?? '');
      return (
        states.length === groups * hostsPerGroup && states.every(({ state }) => state === 'up')
      );
    });
  }

  async stop(): Promise<void> {
    for (const pid of familyOf(this.postgres.pid)) signal(pid, 'SIGCONT');
    await Promise.all([...this.replicas, ...this.groups].map(({ child }) => child.end('SIGKILL')));
    const proxies = [
      ...this.replicas.flatMap(({ redis, database }) => [redis, database]),
      ...this.groups.flatMap(({ control, hosts }) => [control, ...hosts.map((one) => one.proxy)]),
    ];
    for (const proxy of proxies) await proxy?.stop();
    for (const namespace of this.#namespaces) await namespace.remove();
    await this.single?.stop();
    await this.sentinel?.stop();
    await this.postgres.stop();
  }

  async #addReplica(at: number): Promise<void> {
    const name = `replica-${(at + 1).toString()}`;
    const address = `${NET}.${(at + 1).toString()}`;
    const url = `http://${address}:${PORT.toString()}`;
    const database = await TcpProxy.start({ port: Number(new URL(this.databaseUrl).port) });
    const databaseUrl = new URL(this.databaseUrl);
    databaseUrl.port = database.port.toString();
    const redis =
      this.single === null
        ? null
        : await TcpProxy.start({ port: Number(new URL(this.single.url).port) });
    const child = new Child(
      name,
      [process.execPath, BERTH, 'serve'],
      {
        ...(redis === null
          ? sentinelSettings(this.sentinel)
          : { REDIS_URL: `redis://127.0.0.1:${redis.port.toString()}` }),
        PORT: PORT.toString(),
        BIND: address,
        DATABASE_URL: databaseUrl.href,
        BERTH_ADMIN_TOKEN: ADMIN_TOKEN,
        BERTH_DATA_DIR: folder(this.options.folder, name),
        LOG_FORMAT: 'json',
        HEALTH_PERIOD_S: HEALTH_PERIOD_S.toString(),
        // A poll is over before the next one.
        HEALTH_DEADLINE_MS: '1500',
      },
      join(this.options.folder, `${name}.log`),
    );
    this.replicas.push({ name, url, child, redis, database });
    child.start();
    await until(`${name}, see ${child.logFile}`, async () => (await fetch(`${url}/readyz`)).ok);
  }

  async #addGroup(at: number): Promise<void> {
    const name = `agents-${(at + 1).toString()}`;
    // One process of all has a network of its own.
    const namespace = at === 0 ? await Namespace.make() : null;
    if (namespace !== null) this.#namespaces.push(namespace);
    const control = await TcpProxy.start(
      { host: `${NET}.${((at % REPLICAS) + 1).toString()}`, port: PORT },
      { bind: namespace?.outside ?? '127.0.0.1' },
    );
    const bind = namespace?.inside ?? `${NET}.${(at + 101).toString()}`;
    const hosts: { name: string; port: number; proxy: TcpProxy }[] = [];
    for (let nth = 0; nth < this.options.hostsPerGroup; nth += 1) {
      const port = PORT + nth;
      const proxy = await TcpProxy.start({ host: bind, port });
      hosts.push({ name: `${name}-${(nth + 1).toString()}`, port, proxy });
    }
    const settings: AgentsSettings = {
      controlPlaneUrl: `http://${namespace?.outside ?? '127.0.0.1'}:${control.port.toString()}`,
      factsFile: factsFileOf(this.options, at),
      bind,
      hosts: hosts.map(({ name: host, port, proxy }) => ({
        ...{ name: host, port, totals: HOST_TOTALS },
        address: `http://127.0.0.1:${proxy.port.toString()}`,
        dataDir: folder(this.options.folder, host),
      })),
    };
    const command: [string, ...string[]] = [process.execPath, '--import', 'tsx', AGENTS];
    const child = new Child(
      name,
      [...(namespace?.prefix ?? []), ...command, JSON.stringify(settings)] as [string, ...string[]],
      {},
      join(this.options.folder, `${name}.log`),
    );
    this.groups.push({ child, factsFile: settings.factsFile, namespace, control, hosts });
    child.start();
  }
}

export const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended.
  }
};

const factsFileOf = ({ folder: root }: StackOptions, at: number): string =>
  join(root, `facts-${(at + 1).toString()}.jsonl`);

function folder(root: string, name: string): string {
  const path = join(root, name);
  mkdirSync(path, { recursive: true });
  return path;
}

function sentinelSettings(set: SentinelSet | null): Record<string, string> {
  if (set === null) return {};
  const { sentinels, name } = set.target;
  return {
    REDIS_SENTINELS: sentinels.map(({ host, port }) => `${host}:${port.toString()}`).join(','),
    REDIS_SENTINEL_NAME: name,
  };
}

export interface HostState {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly mode: string;
}

export async function hostStates(url: string): Promise<readonly HostState[]> {
  const { status, body } = await call<{ items: HostState[] }>(url, 'GET', '/v1/hosts?limit=100');
  if (status !== 200) throw new Error(`hosts: ${status.toString()}`);
  return body.items;
}
