/**
 * The Redis that Berth runs for itself when none is configured: a private child on a unix socket
 * in the data folder. One that a crashed Berth left behind is taken over.
 *
 * Who uses it holds a named connection to it (the keeper) for as long as it lives. That tells a
 * second Berth that the folder is taken, and it can never be out of date as a file would.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, open, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Redis } from 'ioredis';
import type { Log } from '../model/ports.js';
import { systemClock } from '../std/clock.js';
import { fetchRedis, findProgram, type RedisProgram } from './redis-package.js';

export interface EmbeddedRedis {
  /** A redis:// URL or the path of a unix socket: what the ledger's client takes. */
  readonly url: string;
  readonly origin: 'configured' | 'adopted' | 'started';
  /** Stops it, if it is ours, once its data are on disk. May be called twice. */
  stop(): Promise<void>;
}

export interface EmbeddedRedisOptions {
  /** When given, nothing is started. */
  readonly redisUrl: string | undefined;
  readonly dataDir: string;
  readonly log: Log;
  /** Where programs are looked for; PATH when absent. */
  readonly searchPath?: string;
}

/** The kernel's limit is 107 bytes on Linux and 103 on macOS. */
const SOCKET_PATH_BYTES_MAX = 100;

/** From start to ready. Reading a large append-only file takes a while. */
const READY_LIMIT_MS = 60_000;
const ANSWER_LIMIT_MS = 2_000;
const STOP_LIMIT_MS = 8_000;
const RESTART_PAUSE_MS = 500;
const POLL_MS = 20;

const KEEPER = 'berth-keeper';

/**
 * The Redis to use: the configured one, else a private one.
 * @throws Error with one line for people when there is none to be had
 */
export async function ensureRedis(options: EmbeddedRedisOptions): Promise<EmbeddedRedis> {
  const { redisUrl, log } = options;
  if (redisUrl !== undefined) {
    return { url: redisUrl, origin: 'configured', stop: () => Promise.resolve() };
  }
  const dir = resolve(options.dataDir, 'redis');
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await chmod(dir, 0o700);
  const server = new PrivateRedis(dir, await socketPathFor(dir), log, () =>
    programFor(dir, log, options.searchPath ?? process.env.PATH ?? ''),
  );
  const origin = await server.open();
  return { url: server.socketPath, origin, stop: () => server.stop() };
}

async function programFor(dir: string, log: Log, searchPath: string): Promise<RedisProgram> {
  for (const name of ['redis-server', 'valkey-server']) {
    const command = await findProgram(name, searchPath);
    if (command !== null) return { command, env: {} };
  }
  const remedy =
    'install one (apt-get install redis-server, or brew install valkey) or set REDIS_URL';
  try {
    const fetched = await fetchRedis(join(dir, 'package'), { log, searchPath });
    if (fetched !== null) return fetched;
  } catch (cause) {
    throw new Error(`no Redis server was found, and none could be fetched: ${remedy}`, { cause });
  }
  throw new Error(`no Redis server was found: ${remedy}`);
}

/** In the folder itself, or, where that path is too long for a socket, in a short private one. */
async function socketPathFor(dir: string): Promise<string> {
  const near = join(dir, 'redis.sock');
  if (Buffer.byteLength(near) <= SOCKET_PATH_BYTES_MAX) return near;
  const hash = createHash('sha256').update(dir).digest('hex').slice(0, 16);
  const short = join(tmpdir(), `berth-${hash}`);
  await mkdir(short, { mode: 0o700 }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  });
  // Everybody may write to the temporary folder: what stands there may be somebody else's.
  const { uid, mode } = await lstat(short);
  const foreign = uid !== process.getuid?.() || (mode & 0o170000) !== 0o040000;
  if (foreign || (mode & 0o077) !== 0) {
    throw new Error(`${short} is not a private folder of this user: remove it`);
  }
  return join(short, 'redis.sock');
}

class PrivateRedis {
  readonly socketPath: string;
  readonly #dir: string;
  readonly #log: Log;
  readonly #program: () => Promise<RedisProgram>;
  readonly #stopping = new AbortController();
  #keeper: Redis | null = null;
  #pid = 0;
  #restarting: Promise<void> | null = null;
  #stopped: Promise<void> | null = null;

  constructor(dir: string, socketPath: string, log: Log, program: () => Promise<RedisProgram>) {
    this.#dir = dir;
    this.socketPath = socketPath;
    this.#log = log;
    this.#program = program;
  }

  async open(): Promise<'adopted' | 'started'> {
    const running = await this.#connect();
    if (running !== null) {
      await this.#keep(running);
      this.#log.info('took over a Redis that an earlier start left', { pid: this.#pid });
      return 'adopted';
    }
    await this.#start();
    return 'started';
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    await this.#restarting;
    const keeper = this.#keeper;
    if (keeper === null) return;
    // It answers by closing the connection: an error either way.
    await keeper.shutdown().catch(() => undefined);
    close(keeper);
    const until = systemClock.monotonic() + STOP_LIMIT_MS;
    // The socket is the last thing that it lets go of, after its data are on disk.
    for (;;) {
      const running = await this.#connect().catch(() => null);
      if (running === null) return;
      close(running);
      if (systemClock.monotonic() > until) {
        this.#log.warn('Redis did not stop in time and is killed', { pid: this.#pid });
        process.kill(this.#pid, 'SIGKILL');
        return;
      }
      await systemClock.sleep(POLL_MS);
    }
  }

  async #start(): Promise<void> {
    const { command, env } = await this.#program();
    const output = await open(join(this.#dir, 'redis.log'), 'a', 0o600);
    // A process group of its own: Ctrl-C on a terminal must reach us first and only us.
    const child = spawn(command, this.#arguments(), {
      cwd: this.#dir,
      detached: true,
      stdio: ['ignore', output.fd, output.fd],
      env: { ...process.env, ...env },
    });
    const end: { reason: string | null } = { reason: null };
    child.once('error', (error) => (end.reason = error.message));
    child.once('exit', (code, signal) => (end.reason = `ended with ${String(signal ?? code)}`));
    child.unref();
    await output.close();

    const until = systemClock.monotonic() + READY_LIMIT_MS;
    for (;;) {
      const keeper = await this.#connect();
      if (keeper !== null) {
        await this.#keep(keeper);
        this.#log.info('started a private Redis', { command, pid: this.#pid });
        return;
      }
      if (systemClock.monotonic() > until) end.reason ??= 'not ready in time';
      if (this.#stopping.signal.aborted) end.reason ??= 'not wanted any more';
      if (end.reason !== null) {
        child.kill('SIGKILL');
        throw new Error(`${command} does not start: ${end.reason}. ${await this.#lastWords()}`);
      }
      await systemClock.sleep(POLL_MS);
    }
  }

  #arguments(): string[] {
    const settings: readonly (readonly [string, string])[] = [
      ['port', '0'],
      ['unixsocket', this.socketPath],
      ['unixsocketperm', '700'],
      ['dir', this.#dir],
      ['appendonly', 'yes'],
      ['appendfsync', 'everysec'],
      ['save', ''],
      ['maxmemory-policy', 'noeviction'],
      ['daemonize', 'no'],
      ['pidfile', join(this.#dir, 'redis.pid')],
    ];
    return settings.flatMap(([key, value]) => [`--${key}`, value]);
  }

  /** A connection to what answers on the socket, or null when nothing does. */
  async #connect(): Promise<Redis | null> {
    const client = new Redis({
      path: this.socketPath,
      lazyConnect: true,
      enableOfflineQueue: false,
      connectTimeout: ANSWER_LIMIT_MS,
      commandTimeout: ANSWER_LIMIT_MS,
      retryStrategy: null,
      // Ready is asked for below: a server that still loads its data must count as running.
      enableReadyCheck: false,
    });
    // Every failure shows in a command or as the end of the connection.
    client.on('error', () => undefined);
    try {
      await client.connect();
    } catch (error) {
      close(client);
      if (isAbsence(error)) return null;
      throw error;
    }
    return client;
  }

  /** Waits until the server is ready and makes this connection its keeper. */
  async #keep(client: Redis): Promise<void> {
    try {
      await this.#untilLoaded(client);
      const others = String(await client.client('LIST')).split('\n');
      if (others.some((line) => line.includes(` name=${KEEPER} `))) {
        throw new Error(`another Berth is using ${this.#dir}: stop it, or set BERTH_DATA_DIR`);
      }
      await client.client('SETNAME', KEEPER);
      this.#pid = Number(/^process_id:(\d+)/m.exec(await client.info('server'))?.[1] ?? 0);
    } catch (error) {
      close(client);
      throw error;
    }
    this.#keeper = client;
    client.once('end', () => {
      if (this.#stopping.signal.aborted) return;
      this.#log.error('the private Redis is gone and is started again', { pid: this.#pid });
      this.#keeper = null;
      this.#restarting = this.#restart();
    });
  }

  async #untilLoaded(client: Redis): Promise<void> {
    const until = systemClock.monotonic() + READY_LIMIT_MS;
    for (;;) {
      try {
        await client.ping();
        return;
      } catch (error) {
        const loading = error instanceof Error && error.message.startsWith('LOADING');
        if (!loading || systemClock.monotonic() > until) {
          throw new Error(`the Redis at ${this.socketPath} does not answer`, { cause: error });
        }
      }
      await systemClock.sleep(POLL_MS);
    }
  }

  /** Until it runs again or we are stopped. The ledger refuses bookings in the meantime. */
  async #restart(): Promise<void> {
    const { signal } = this.#stopping;
    for (;;) {
      await systemClock.sleep(RESTART_PAUSE_MS, signal);
      if (signal.aborted) return;
      try {
        const running = await this.#connect();
        await (running === null ? this.#start() : this.#keep(running));
        return;
      } catch (error) {
        this.#log.error('the private Redis does not start', { error });
      }
    }
  }

  async #lastWords(): Promise<string> {
    const text = await readFile(join(this.#dir, 'redis.log'), 'utf8').catch(() => '');
    const lines = text.trim().split('\n').slice(-3).join(' | ');
    return lines === '' ? '' : `Its log ends: ${lines}`;
  }
}

/** A connection that has ended already would wait for its end for two seconds. */
function close(client: Redis): void {
  if (client.status !== 'end' && client.status !== 'close') client.disconnect();
}

/** No socket, or one that nobody listens on any more. */
function isAbsence(error: unknown): boolean {
  const codes = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'];
  if (!(error instanceof Error)) return false;
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return codes.includes(code) || error.message === 'Connection is closed.';
}
