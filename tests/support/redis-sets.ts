/** Redis as people run it, for tests: a master with a replica and three Sentinels, and a cluster. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { NodeAddress, SentinelRedis } from '../../src/ledger/redis-target.js';
import { freePort } from './free-port.js';
import { startRedis, type RedisServer } from './redis.js';

const READY_LIMIT_MS = 120_000;
const POLL_MS = 50;
const HOST = '127.0.0.1';

/** Under which the Sentinels know the master. */
const MASTER = 'main';
/** Less, and on a busy machine a healthy master is called down, and a new one again. */
const DOWN_AFTER_MS = 2_000;
const FAILOVER_TIMEOUT_MS = 3_000;

export const portOf = ({ url }: RedisServer): number => Number(new URL(url).port);

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + READY_LIMIT_MS;
  while (!(await check().catch(() => false))) {
    if (Date.now() > end) throw new Error(`waited in vain for: ${what}`);
    await sleep(POLL_MS);
  }
}

/** Answers of one server that may be away. */
async function ask<T>(port: number, question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis({ host: HOST, port, lazyConnect: true, retryStrategy: null });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await question(client);
  } finally {
    if (client.status !== 'end') client.disconnect();
  }
}

export interface SentinelSet {
  readonly target: SentinelRedis;
  readonly master: RedisServer;
  readonly replica: RedisServer;
  /** Resolves when every Sentinel names this server as the master, and it says so itself. */
  untilMaster(server: RedisServer): Promise<void>;
  stop(): Promise<void>;
}

/** Each write is at the replica when it is asked of the master a moment later. */
export async function startSentinelSet(): Promise<SentinelSet> {
  const master = await startRedis();
  const replica = await startRedis({
    args: ['--replicaof', HOST, portOf(master).toString(), '--repl-timeout', '5'],
  });
  const folder = await mkdtemp(join(tmpdir(), 'berth-sentinels-'));
  const ports = [await freePort(), await freePort(), await freePort()];
  const processes: ChildProcess[] = [];
  for (const port of ports) {
    const file = join(folder, `${port}.conf`);
    const lines = [
      `port ${port}`,
      `bind ${HOST}`,
      `dir ${folder}`,
      `sentinel monitor ${MASTER} ${HOST} ${portOf(master)} 2`,
      `sentinel down-after-milliseconds ${MASTER} ${DOWN_AFTER_MS}`,
      `sentinel failover-timeout ${MASTER} ${FAILOVER_TIMEOUT_MS}`,
    ];
    await writeFile(file, lines.join('\n'));
    const child = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' });
    preferred(child);
    processes.push(child);
  }
  const target = { sentinels: ports.map((port) => ({ host: HOST, port })), name: MASTER };
  for (const port of ports) await until('a Sentinel that knows the others', () => knowsAll(port));
  return {
    target,
    master,
    replica,
    untilMaster: (server) => untilMaster(ports, server),
    async stop() {
      for (const child of processes) {
        const exit = once(child, 'exit');
        child.kill('SIGKILL');
        await exit;
      }
      await Promise.all([master.stop(), replica.stop()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/**
 * A Sentinel that gets no processor for two seconds distrusts its clock and does nothing for 30 s
 * (TILT). Where it is allowed, busy neighbours do not bring it there.
 */
function preferred({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) setPriority(pid, -10);
  } catch {
    // Only root may; the tests' limits leave time for it.
  }
}

const knowsAll = (port: number): Promise<boolean> =>
  ask(port, async (client) => {
    const info = await client.info('sentinel');
    return info.includes('slaves=1,sentinels=3');
  });

async function untilMaster(ports: readonly number[], server: RedisServer): Promise<void> {
  for (const port of ports) {
    await until('a new master', () =>
      ask(port, async (client) => {
        const address = await client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER);
        return Array.isArray(address) && Number(address[1]) === portOf(server);
      }),
    );
  }
  await until('a server that is master', () =>
    ask(portOf(server), async (client) => (await client.role())[0] === 'master'),
  );
}

export interface ClusterNode {
  readonly server: RedisServer;
  readonly address: NodeAddress;
}

/** A cluster of one node that has every slot: what is told of slots and keys holds there, too. */
export async function startRedisCluster(): Promise<ClusterNode> {
  const server = await startRedis({
    args: [
      ...['--cluster-enabled', 'yes', '--cluster-announce-ip', HOST],
      ...['--cluster-port', (await freePort()).toString()],
    ],
  });
  const port = portOf(server);
  await ask(port, (client) => client.cluster('ADDSLOTSRANGE', 0, 16_383));
  await until('a cluster that is whole', () =>
    ask(port, async (client) => (await client.cluster('INFO')).includes('cluster_state:ok')),
  );
  return { server, address: { host: HOST, port } };
}
