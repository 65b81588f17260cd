/**
 * A real PostgreSQL for tests: a throw-away cluster on a free loopback port, stopped and removed at
 * the end. The whole test run shares one server; each suite has a database of its own.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { freePort } from './free-port.js';

const run = promisify(execFile);

/** Where the test run's server is told to the suites. */
export const SERVER_VARIABLE = 'TEST_POSTGRES_URL';

const READY_LIMIT_MS = 30_000;
const POLL_MS = 50;

export interface TestPostgres {
  /** URL of the server's maintenance database. */
  readonly url: string;
  /** Of the postmaster. */
  readonly pid: number;
  /** Makes an empty database. @returns its URL */
  freshDatabase(): Promise<string>;
  /** Ends the server and keeps its data. SIGINT is fast, SIGQUIT immediate. */
  down(signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): Promise<void>;
  /** Starts it again, on the same port. */
  up(): Promise<void>;
  stop(): Promise<void>;
}

export interface PostgresOptions {
  /** Whether commits wait for the disk; tests that kill nothing need not. */
  readonly fsync?: boolean;
  /** More settings of the server: `['max_wal_size=8GB']`. */
  readonly settings?: readonly string[];
}

export async function startPostgres({
  fsync = false,
  settings = [],
}: PostgresOptions = {}): Promise<TestPostgres> {
  const bin = binaries();
  const owner = await serverUser();
  const dir = await mkdtemp(join(tmpdir(), 'berth-postgres-'));
  if (owner !== null) await chown(dir, owner.uid, owner.gid);
  const data = join(dir, 'data');
  const as = owner ?? {};
  await run(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'berth', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    { ...as, cwd: dir },
  );
  const port = await freePort();
  const all = [
    `fsync=${fsync ? 'on' : 'off'}`,
    'max_connections=200',
    'shared_buffers=64MB',
    ...settings,
  ];
  const launch = () =>
    spawn(
      join(bin, 'postgres'),
      [
        ...['-D', data, '-p', port.toString(), '-h', '127.0.0.1', '-k', dir],
        ...all.flatMap((setting) => ['-c', setting]),
      ],
      { ...as, cwd: dir, stdio: 'ignore' },
    );
  const url = `postgres://berth@127.0.0.1:${port.toString()}/postgres`;
  let server = launch();
  await ready(url, server);
  const down = async (signal: NodeJS.Signals) => {
    if (hasEnded(server)) return;
    const exit = once(server, 'exit');
    server.kill(signal);
    await exit;
  };
  return {
    url,
    get pid() {
      return server.pid ?? 0;
    },
    freshDatabase: () => createDatabase(url),
    down,
    async up() {
      // After a kill -9 the first tries end at once, until its last process is gone.
      const end = Date.now() + READY_LIMIT_MS;
      for (;;) {
        server = launch();
        try {
          await ready(url, server);
          return;
        } catch (error) {
          if (!hasEnded(server) || Date.now() > end) throw error;
          await sleep(POLL_MS);
        }
      }
    },
    async stop() {
      await down('SIGINT');
      await rm(dir, { recursive: true, force: true });
    },
  };
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean =>
  exitCode !== null || signalCode !== null;

/** A new, empty database on the test run's server. @returns its URL */
export function freshDatabase(): Promise<string> {
  const url = process.env[SERVER_VARIABLE];
  if (url === undefined) throw new Error('the test run has no PostgreSQL; see global-setup.mjs');
  return createDatabase(url);
}

async function createDatabase(url: string): Promise<string> {
  const name = `t_${randomUUID().replaceAll('-', '')}`;
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(`create database ${name}`);
  } finally {
    await client.end();
  }
  return url.replace(/\/postgres$/, `/${name}`);
}

/** The newest server installed; Debian keeps them out of PATH. */
function binaries(): string {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root) : [];
  const debian = versions
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(root, version, 'bin'));
  const path = (process.env.PATH ?? '').split(':');
  const found = [...debian, ...path].find(
    (dir) => existsSync(join(dir, 'postgres')) && existsSync(join(dir, 'initdb')),
  );
  if (found === undefined)
    throw new Error('PostgreSQL is not installed: apt-get install postgresql');
  return found;
}

/** PostgreSQL refuses to run as root. */
async function serverUser(): Promise<{ readonly uid: number; readonly gid: number } | null> {
  if (process.getuid?.() !== 0) return null;
  const id = async (flag: string) => {
    const named = await run('id', [flag, 'postgres']).catch(() => run('id', [flag, 'nobody']));
    return Number(named.stdout.trim());
  };
  return { uid: await id('-u'), gid: await id('-g') };
}

async function ready(url: string, server: ChildProcess): Promise<void> {
  const end = Date.now() + READY_LIMIT_MS;
  for (;;) {
    const client = new pg.Client({ connectionString: url });
    try {
      await client.connect();
      await client.end();
      return;
    } catch (error) {
      if (hasEnded(server) || Date.now() > end) {
        throw new Error('PostgreSQL did not start', { cause: error });
      }
      await sleep(POLL_MS);
    }
  }
}
