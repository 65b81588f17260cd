/** A real Redis for tests: a child process on a free port, with a folder that is thrown away. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';

const READY_LIMIT_MS = 30_000;
const POLL_MS = 10;

export interface RedisOptions {
  /** Keeps writes over a restart. */
  readonly appendonly?: boolean;
  /** More words for the command line: `['--maxmemory-policy', 'allkeys-lru']`. */
  readonly args?: readonly string[];
}

export class RedisServer {
  readonly url: string;
  readonly #port: number;
  readonly #folder: string;
  readonly #options: RedisOptions;
  readonly #clients: Redis[] = [];
  #process: ChildProcess | null = null;

  constructor(port: number, folder: string, options: RedisOptions) {
    this.url = `redis://127.0.0.1:${port.toString()}`;
    this.#port = port;
    this.#folder = folder;
    this.#options = options;
  }

  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error('Redis is not running');
    return pid;
  }

  get running(): boolean {
    return this.#process !== null;
  }

  /** A plain connection; `stop()` closes it. */
  client(): Redis {
    const client = new Redis(this.url);
    // Tests stop the server on purpose; a client without a listener would print every try.
    client.on('error', () => undefined);
    this.#clients.push(client);
    return client;
  }

  async flushAll(): Promise<void> {
    await this.#once((client) => client.flushall());
  }

  /** Starts the process, on the same port every time. */
  async up(): Promise<void> {
    const { appendonly = false, args = [] } = this.#options;
    const child = spawn(
      'redis-server',
      [
        ...['--port', this.#port.toString(), '--bind', '127.0.0.1', '--dir', this.#folder],
        ...['--save', '', '--appendonly', appendonly ? 'yes' : 'no', '--appendfsync', 'always'],
        ...args,
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    this.#process = child;
    const end = Date.now() + READY_LIMIT_MS;
    for (;;) {
      if (child.exitCode !== null) throw new Error(`redis-server ended:\n${output}`);
      if (Date.now() > end) throw new Error(`redis-server is not ready:\n${output}`);
      const pong = await this.#once((client) => client.ping()).catch(() => null);
      if (pong === 'PONG') return;
      await sleep(POLL_MS);
    }
  }

  /** Ends the process and keeps its folder. SIGTERM lets it save, SIGKILL does not. */
  async down(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
  }

  async restart(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.down(signal);
    await this.up();
  }

  /** Ends everything and removes the folder. */
  async stop(): Promise<void> {
    for (const client of this.#clients) client.disconnect();
    await this.down('SIGKILL');
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #once<T>(command: (client: Redis) => Promise<T>): Promise<T> {
    const client = new Redis(this.url, { retryStrategy: null, lazyConnect: true });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await command(client);
    } finally {
      // On a connection that has ended it would leave a timer of two seconds.
      if (client.status !== 'end') client.disconnect();
    }
  }
}

export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-redis-'));
  const server = new RedisServer(await freePort(), folder, options);
  await server.up();
  return server;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
