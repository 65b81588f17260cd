/** The classes of faults of a chaos run: what each does to the stack, for how long. */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Redis } from 'ioredis';
import type { Prng } from '../../src/std/prng.js';
import { call, until } from '../support/cluster.js';
import { portOf } from '../support/redis-sets.js';
import type { RedisServer } from '../support/redis.js';
import type { Link, TcpProxy } from '../support/tcp-proxy.js';
import { familyOf, portsOf } from './child.js';
import { machineMs, rebootMarkOf } from './observed-driver.js';
import { hostStates, signal, type Group, type Replica, type Stack } from './stack.js';

export interface Fault {
  readonly name: string;
  /** Two faults of one part never overlap. */
  readonly part: 'replicas' | 'hosts' | 'redis' | 'postgres';
  /** With which Redis it makes sense; with both when absent. */
  readonly redis?: 'single' | 'sentinel';
  /** The replica that clients may have trouble with, where it is one alone. */
  readonly aim?: (nth: number) => number;
  /**
   * Does it, waits, and undoes it.
   * @param nth of its class: variants take turns
   */
  inflict(stack: Stack, nth: number, random: Prng): Promise<void>;
  /** Looks from its beginning until the breaker is open. @returns after how many milliseconds */
  readonly opens?: (stack: Stack, began: number) => Promise<number>;
}

const one = <T>(from: readonly T[], nth: number): T => {
  const found = from[nth % from.length];
  if (found === undefined) throw new Error('there is nothing to choose from');
  return found;
};
const hold = (random: Prng, low: number, high: number) => sleep(random.between(low, high));

/** Long enough to outlive every lease and deadline of a request. */
const PAUSE_OF_REPLICA_MS = 10_000;
const LATENCY = { latencyMs: 40, jitterMs: 60 };

const single = ({ single: server }: Stack): RedisServer => {
  if (server === null) throw new Error('there is no single Redis');
  return server;
};

const REPLICA_FAULTS: readonly Fault[] = [
  {
    name: 'replica killed',
    part: 'replicas',
    aim: (nth) => nth,
    async inflict({ replicas }, nth, random) {
      const { child } = one(replicas, nth);
      await child.end('SIGKILL');
      await hold(random, 500, 3_000);
      child.start();
    },
  },
  {
    name: 'replica paused 10 s',
    part: 'replicas',
    aim: (nth) => nth,
    async inflict({ replicas }, nth) {
      const { child } = one(replicas, nth);
      child.pause();
      await sleep(PAUSE_OF_REPLICA_MS);
      child.resume();
    },
  },
  {
    name: 'replica cut off',
    part: 'replicas',
    aim: (nth) => nth,
    async inflict(stack, nth, random) {
      const replica = one(stack.replicas, nth);
      // From PostgreSQL, from Redis, from the agents; by refusal and by silence.
      const ways = [
        () => spoil(replica.database, (proxy) => proxy.hang(), random),
        () => spoil(replica.redis ?? replica.database, (proxy) => proxy.cut(), random),
        () => cutFromAgents(stack, replica, random),
        () => spoil(replica.database, (proxy) => proxy.cut(), random),
        () => spoil(replica.redis ?? replica.database, (proxy) => proxy.hang(), random),
      ];
      await one(ways, nth)();
    },
  },
  {
    name: 'replies lost after the effect',
    part: 'replicas',
    async inflict(stack, nth, random) {
      const { redis, database } = one(stack.replicas, nth);
      const ways = [
        () => loseReplies([database], random, /commit/i),
        () => loseReplies([redis ?? database], random),
        () =>
          loseReplies(
            stack.hosts.map(({ proxy }) => proxy),
            random,
            /^(PUT|POST|DELETE) /m,
          ),
      ];
      await one(ways, nth)();
    },
  },
  {
    name: 'everything late',
    part: 'replicas',
    async inflict(stack, nth, random) {
      const { redis, database } = one(stack.replicas, nth);
      const proxies = [redis, database, ...stack.hosts.map(({ proxy }) => proxy)];
      for (const proxy of proxies) proxy?.set(LATENCY);
      await hold(random, 3_000, 5_000);
      for (const proxy of proxies) proxy?.heal();
    },
  },
];

async function spoil(proxy: TcpProxy, how: (proxy: TcpProxy) => void, random: Prng): Promise<void> {
  how(proxy);
  await hold(random, 3_000, 5_000);
  proxy.heal();
}

/** The agents share their proxies; which connection is this replica's, its process tells. */
async function cutFromAgents({ hosts }: Stack, replica: Replica, random: Prng): Promise<void> {
  const silence = (link: Link) => {
    const port = link.client.remotePort;
    if (port !== undefined && portsOf(replica.child.pid).has(port))
      link.set({ silent: ['up', 'down'] });
  };
  for (const { proxy } of hosts) {
    proxy.onLink = silence;
    for (const link of proxy.links) silence(link);
  }
  await hold(random, 6_000, 8_000);
  for (const { proxy } of hosts) {
    proxy.onLink = () => undefined;
    proxy.heal();
  }
}

async function loseReplies(proxies: readonly TcpProxy[], random: Prng, to?: RegExp): Promise<void> {
  for (let times = 0; times < 5; times += 1) {
    for (const proxy of proxies) {
      void proxy.loseReply({
        ...(to === undefined ? {} : { to }),
        then: random.chance(0.5) ? 'reset' : 'hang',
      });
    }
    await hold(random, 400, 900);
  }
  for (const proxy of proxies) proxy.heal();
}

const HOST_FAULTS: readonly Fault[] = [
  {
    name: 'agents paused',
    part: 'hosts',
    async inflict({ groups }, nth, random) {
      const { child } = one(groups, nth);
      child.pause();
      await hold(random, 4_000, 7_500);
      child.resume();
    },
  },
  {
    name: 'agents killed',
    part: 'hosts',
    async inflict({ groups }, nth, random) {
      const { child } = one(groups, nth);
      await child.end('SIGKILL');
      await hold(random, 500, 4_000);
      child.start();
    },
  },
  {
    name: 'agents cut off',
    part: 'hosts',
    async inflict({ groups }, nth, random) {
      const group = groups.find(({ namespace }) => namespace !== null) ?? one(groups, nth);
      await cutOff(group, nth % 2 === 0 ? 'both' : 'in');
      await hold(random, 5_000, 7_000);
      await healGroup(group);
    },
  },
  {
    name: '60 % of hosts vanish',
    part: 'hosts',
    async inflict({ groups, hosts }, _nth, random) {
      const away = hosts.slice(0, Math.ceil(hosts.length * 0.6));
      const whole = groups.filter((group) => group.hosts.every((host) => away.includes(host)));
      for (const { control } of whole) control.hang();
      for (const { proxy } of away) proxy.hang();
      await hold(random, 7_000, 9_000);
      for (const { control } of whole) control.heal();
      for (const { proxy } of away) proxy.heal();
    },
    opens: breakerOpens,
  },
  {
    name: 'machines off and fenced',
    part: 'hosts',
    async inflict({ groups, truth, urls }, nth, random) {
      const { child, factsFile, hosts } = one(groups, nth);
      await child.end('SIGKILL');
      truth.read();
      for (const { name } of hosts) truth.switchedOff(name, machineMs());
      writeFileSync(rebootMarkOf(factsFile), '');
      for (const { name } of hosts) await fence(urls, name);
      await hold(random, 1_000, 4_000);
      child.start();
    },
  },
];

const BREAKER_LIMIT_MS = 8_000;

async function breakerOpens({ urls }: Stack, began: number): Promise<number> {
  while (machineMs() - began < BREAKER_LIMIT_MS) {
    const [url = ''] = urls;
    const answer = await call<{ state?: string }>(url, 'GET', '/v1/ops/breaker').catch(() => null);
    if (answer?.body.state === 'open') break;
    await sleep(100);
  }
  return machineMs() - began;
}

/** As soon as Berth has missed the host. */
async function fence(urls: readonly string[], name: string): Promise<void> {
  await until(`a fence of ${name}`, async () => {
    for (const url of urls) {
      const host = (await hostStates(url)).find((state) => state.name === name);
      if (host === undefined || host.state === 'up') return false;
      const path = `/v1/hosts/${name}/fence`;
      const { status } = await call(url, 'POST', path, { reason: 'chaos took its power' });
      if (status === 200) return true;
    }
    return false;
  });
}

async function cutOff({ namespace, control, hosts }: Group, what: 'in' | 'both'): Promise<void> {
  if (namespace !== null) return namespace.cut(what);
  if (what === 'both') control.hang();
  for (const { proxy } of hosts) proxy.hang(what === 'in' ? ['up'] : ['up', 'down']);
}

async function healGroup({ namespace, control, hosts }: Group): Promise<void> {
  await namespace?.heal();
  control.heal();
  for (const { proxy } of hosts) proxy.heal();
}

const REDIS_FAULTS: readonly Fault[] = [
  {
    name: 'Redis flushed',
    part: 'redis',
    redis: 'single',
    async inflict(stack) {
      await single(stack).flushAll();
    },
  },
  {
    name: 'Redis killed',
    part: 'redis',
    redis: 'single',
    async inflict(stack, nth, random) {
      const server = single(stack);
      // Comes back with all its data, or with none.
      if (nth % 2 === 1) await server.flushAll();
      await server.down('SIGKILL');
      await hold(random, 1_000, 4_000);
      await server.up();
    },
  },
  {
    name: 'Redis paused',
    part: 'redis',
    redis: 'single',
    async inflict(stack, _nth, random) {
      const { pid } = single(stack);
      signal(pid, 'SIGSTOP');
      await hold(random, 3_000, 5_000);
      signal(pid, 'SIGCONT');
    },
  },
  {
    name: 'Redis master killed',
    part: 'redis',
    redis: 'sentinel',
    async inflict(stack) {
      const [master, other] = await rolesOf(stack);
      await master.down('SIGKILL');
      await untilMaster(stack, other);
      await master.up();
      await obey(master, other);
    },
  },
  {
    name: 'Redis failover ordered',
    part: 'redis',
    redis: 'sentinel',
    async inflict(stack) {
      const [master, other] = await rolesOf(stack);
      await order(stack, other);
      await untilMaster(stack, other);
      await obey(master, other);
    },
  },
  {
    name: 'Redis master paused and woken',
    part: 'redis',
    redis: 'sentinel',
    async inflict(stack, _nth, random) {
      const [master, other] = await rolesOf(stack);
      signal(master.pid, 'SIGSTOP');
      await untilMaster(stack, other);
      await hold(random, 500, 2_000);
      // It believes to be the master still, until the Sentinels tell it otherwise.
      signal(master.pid, 'SIGCONT');
      await hold(random, 500, 1_500);
      await obey(master, other);
    },
  },
];

const LINK_LOOKS_MAX = 150;
/** Looks; longer than the Sentinels' time for a failover. */
const ORDER_EVERY = 20;

const sentinelsOf = ({ sentinel }: Stack) => {
  if (sentinel === null) throw new Error('there are no Sentinels');
  return sentinel.target;
};

/** Sentinels refuse an order, or give it up, while they have not yet heard of the last failover's end. */
async function order(stack: Stack, master: RedisServer): Promise<void> {
  const { sentinels, name } = sentinelsOf(stack);
  const port = sentinels[0]?.port ?? 0;
  for (let look = 0; look < LINK_LOOKS_MAX; look += 1) {
    if (look % ORDER_EVERY === 0)
      await once(port, (client) => client.call('SENTINEL', 'FAILOVER', name)).catch(() => null);
    const role = await once(portOf(master), (client) => client.role()).catch(() => []);
    if (role[0] === 'master') return;
    await sleep(200);
  }
  throw new Error('the Sentinels do not obey');
}

const untilMaster = ({ sentinel }: Stack, server: RedisServer): Promise<void> =>
  sentinel === null ? Promise.resolve() : sentinel.untilMaster(server);

async function once<T>(port: number, ask: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis({ host: '127.0.0.1', port, lazyConnect: true, retryStrategy: null });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await ask(client);
  } finally {
    if (client.status !== 'end') client.disconnect();
  }
}

/** The master of now, and the other. */
async function rolesOf(stack: Stack): Promise<readonly [RedisServer, RedisServer]> {
  const { sentinel } = stack;
  if (sentinel === null) throw new Error('there are no Sentinels');
  const { master, replica } = sentinel;
  const [role] = await once(portOf(master), (client) => client.role());
  return role === 'master' ? [master, replica] : [replica, master];
}

/** As its own configuration would say after the Sentinels had rewritten it. */
async function obey(server: RedisServer, master: RedisServer): Promise<void> {
  await once(portOf(server), (client) => client.replicaof('127.0.0.1', portOf(master)));
  await untilLinked(server);
}

/** A failover needs a replica that follows its master. */
async function untilLinked(server: RedisServer): Promise<void> {
  for (let look = 0; look < LINK_LOOKS_MAX; look += 1) {
    const info = await once(portOf(server), (client) => client.info('replication')).catch(() => '');
    if (info.includes('master_link_status:up')) return;
    await sleep(200);
  }
  throw new Error('the old master follows nobody');
}

const POSTGRES_FAULTS: readonly Fault[] = [
  {
    name: 'PostgreSQL restarted',
    part: 'postgres',
    async inflict({ postgres }, nth) {
      await postgres.down(nth % 2 === 0 ? 'SIGINT' : 'SIGQUIT');
      await postgres.up();
    },
  },
  {
    name: 'PostgreSQL killed',
    part: 'postgres',
    async inflict({ postgres }, _nth, random) {
      await postgres.down('SIGKILL');
      await hold(random, 0, 2_000);
      await postgres.up();
    },
  },
  {
    name: 'PostgreSQL paused',
    part: 'postgres',
    async inflict({ postgres }, _nth, random) {
      const family = familyOf(postgres.pid);
      for (const pid of family) signal(pid, 'SIGSTOP');
      await hold(random, 4_000, 6_000);
      for (const pid of family) signal(pid, 'SIGCONT');
    },
  },
  {
    name: 'PostgreSQL sessions ended',
    part: 'postgres',
    async inflict({ databaseUrl }, _nth, random) {
      const client = new pg.Client({ connectionString: databaseUrl });
      client.on('error', () => undefined);
      await client.connect();
      for (let times = 0; times < 3; times += 1) {
        await client.query(
          'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
        );
        await hold(random, 200, 600);
      }
      await client.end();
    },
  },
];

export const FAULTS: readonly Fault[] = [
  ...REPLICA_FAULTS,
  ...HOST_FAULTS,
  ...REDIS_FAULTS,
  ...POSTGRES_FAULTS,
];
