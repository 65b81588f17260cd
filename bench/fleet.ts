/**
 * What benchmarks run on: Redis and PostgreSQL that write to disk, agents that run nothing, and
 * replicas of `berth serve` as processes of their own. `stop()` ends all of it.
 */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from '../tests/support/free-port.js';
import type { TestPostgres } from '../tests/support/postgres.js';
import { startRedis, type RedisServer } from '../tests/support/redis.js';
import { storesAt, type Stores } from './conclude.js';
import { addressOf, hostIdOf, TOTALS, totalsWith } from './null-agents.js';
import { startSeasonedPostgres } from './seasoned-postgres.js';

export const TOKEN = 'a-token-for-the-benchmark';
export const HEADERS = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
const LOADER = ['--import', 'tsx'];
const SMALL = JSON.stringify({ resources: { cpu: 1, memory: 256, disk: 1024 } });
/** A fifth of a second each. */
const UP_LOOKS_MAX = 600;
const JOINS_AT_ONCE = 8;

/** As docker-compose.yml has it: what Redis loses is made anew from the catalogue. */
const REDIS = ['--appendfsync', 'everysec'];

export interface Replica {
  readonly url: string;
  readonly port: number;
  readonly process: ChildProcess;
  /** What it has logged so far. */
  readonly output: () => string;
}

/** Amounts by class. */
type Amounts = Readonly<Record<string, number>>;

export class BenchFleet {
  readonly agentsPort: number;
  readonly #dataDir: string;
  #totals = TOTALS;
  readonly #children: ChildProcess[] = [];

  private constructor(
    readonly redis: RedisServer,
    readonly postgres: TestPostgres,
    readonly databaseUrl: string,
    dataDir: string,
    agentsPort: number,
  ) {
    this.#dataDir = dataDir;
    this.agentsPort = agentsPort;
  }

  static async start(): Promise<BenchFleet> {
    const redis = await startRedis({ appendonly: true, args: REDIS });
    const postgres = await startSeasonedPostgres();
    const dataDir = await mkdtemp(join(tmpdir(), 'berth-bench-'));
    const database = await postgres.freshDatabase();
    return new BenchFleet(redis, postgres, database, dataDir, await freePort());
  }

  /** Starts a program of this folder and waits until it says that it is ready. */
  async fork(script: string, args: readonly string[]): Promise<ChildProcess> {
    const child = fork(new URL(script, import.meta.url), args, { execArgv: LOADER });
    this.#children.push(child);
    await once(child, 'message');
    return child;
  }

  /** @param cores of each host; as many as a middling one has when nothing is said */
  agents(count: number, cores = TOTALS.cpu.total): Promise<ChildProcess> {
    this.#totals = totalsWith(cores);
    const args = [count, this.agentsPort, cores].map((number) => number.toString());
    return this.fork('./null-agents.ts', args);
  }

  async replica(env: Readonly<Record<string, string>> = {}): Promise<Replica> {
    const port = await freePort();
    const child = spawn(process.execPath, ['dist/bin/berth.js', 'serve'], {
      env: {
        PATH: process.env.PATH,
        PORT: port.toString(),
        REDIS_URL: this.redis.url,
        DATABASE_URL: this.databaseUrl,
        BERTH_ADMIN_TOKEN: TOKEN,
        BERTH_DATA_DIR: join(this.#dataDir, port.toString()),
        LOG_LEVEL: 'warn',
        LOG_FORMAT: 'json',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#children.push(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    }
    const url = `http://127.0.0.1:${port.toString()}`;
    while (!(await isReady(url))) {
      if (child.exitCode !== null) throw new Error(`the replica ended: ${output.slice(-2_000)}`);
      await sleep(100);
    }
    return { url, port, process: child, output: () => output };
  }

  /**
   * Hosts `from` to `to - 1` join, and VMs may be placed on them.
   * @returns until the last join was answered, and until the last host was up
   */
  async join(
    url: string,
    to: number,
    from = 0,
  ): Promise<{ readonly joinedMs: number; readonly upMs: number }> {
    const begunAt = Date.now();
    let next = from;
    const joinSome = async () => {
      while (next < to) await this.joinOne(url, next++);
    };
    await Promise.all(Array.from({ length: JOINS_AT_ONCE }, joinSome));
    const joinedMs = Date.now() - begunAt;
    let up = 0;
    for (let looks = 0; up < to; looks += 1) {
      if (looks > UP_LOOKS_MAX) throw new Error(`only ${up.toString()} hosts came up`);
      await sleep(200);
      const [row] = await this.rows<{ n: string }>(
        "select count(*) as n from hosts where state = 'up'",
      );
      up = Number(row?.n);
    }
    const upMs = Date.now() - begunAt;
    // An explanation lists every host: it is asked for when all are there.
    for (let feasible = 0; feasible < to - from;) {
      const request = { method: 'POST', headers: HEADERS, body: SMALL };
      const answer = await fetch(`${url}/v1/placements`, request);
      ({ feasible } = ((await answer.json()) as { summary: { feasible: number } }).summary);
    }
    return { joinedMs, upMs };
  }

  private async joinOne(url: string, index: number): Promise<void> {
    const answer = await fetch(`${url}/v1/hosts`, {
      method: 'POST',
      headers: HEADERS,
      body: JSON.stringify({
        id: hostIdOf(index),
        name: hostIdOf(index),
        address: `http://${addressOf(index)}:${this.agentsPort.toString()}`,
        credential: 'a-credential-for-the-benchmark-only',
        totals: this.#totals,
        agent: { version: 'null', bootId: 'null' },
      }),
    });
    if (!answer.ok) throw new Error(`join: ${answer.status.toString()} ${await answer.text()}`);
  }

  /**
   * VMs that are where they should be, on the first hosts, written past the program: through the API
   * it would take an hour. They have never run, so that hosts which do not know them raise no alarm.
   * The ledger does not know of them until it is rebuilt.
   */
  async fill(hosts: number, vms: number): Promise<void> {
    const resources = `'{"cpu": 1, "memory": 256, "disk": 1024}'::jsonb`;
    await this.rows(`
      set session_replication_role = replica;
      insert into vms (id, name, path, resources, constraints, request_hash, desired_state, state, host_id)
        select 'filled-' || i, 'filled-' || i, 'root', ${resources}, '{}', '', 'running', 'running',
               'bench-' || i % ${hosts.toString()}
        from generate_series(0, ${(vms - 1).toString()}) as i;
      insert into allocations (vm_id, assignment, booking_id, host_id, path, resources)
        select id, nextval('assignments'), 'booking-' || id, host_id, path, resources
        from vms where id like 'filled-%';
      update hosts set allocated = (
        select jsonb_build_object('cpu', count(*), 'memory', count(*) * 256, 'disk', count(*) * 1024)
        from allocations where host_id = hosts.id);
      analyze`);
  }

  /** From now on the agents say that they run what was filled in, and the catalogue knows it. */
  async letRun(agents: ChildProcess): Promise<void> {
    await this.rows(`
      set session_replication_role = replica;
      update vms set has_run = true where id like 'filled-%'`);
    // Otherwise the database does it by itself, while something is measured.
    await this.rows('vacuum analyze');
    const rows = await this.rows<{ vm_id: string; host_id: string; assignment: string }>(
      "select vm_id, host_id, assignment from allocations where vm_id like 'filled-%'",
    );
    agents.send({
      run: rows.map(({ vm_id, host_id, assignment }) => [
        Number(host_id.slice('bench-'.length)),
        vm_id,
        Number(assignment),
      ]),
    });
  }

  /** The ledger made anew from the catalogue. */
  async rebuild(url: string): Promise<{ readonly vms: number }> {
    const answer = await fetch(`${url}/v1/ops/rebuild`, {
      method: 'POST',
      headers: HEADERS,
      body: JSON.stringify({ dryRun: false }),
    });
    if (!answer.ok) throw new Error(`rebuild: ${answer.status.toString()} ${await answer.text()}`);
    return (await answer.json()) as { readonly vms: number };
  }

  /** Rows of the catalogue, read past the program under test. */
  async rows<Row extends pg.QueryResultRow>(text: string): Promise<readonly Row[]> {
    const client = new pg.Client({ connectionString: this.databaseUrl });
    await client.connect();
    try {
      return (await client.query<Row>(text)).rows;
    } finally {
      await client.end();
    }
  }

  /** Versions and durability of Redis and PostgreSQL. */
  stores(): Promise<Stores> {
    return storesAt({ redisUrl: this.redis.url, databaseUrl: this.databaseUrl });
  }

  /** Hosts with more booked than may be, by the rows of their bookings. */
  async overbooked(): Promise<number> {
    const booked = await this.bookedPerHost();
    const hosts = await this.rows<{ id: string; limits: Amounts }>('select id, limits from hosts');
    return hosts.filter(({ id, limits }) =>
      Object.entries(booked.get(id) ?? {}).some(([name, sum]) => sum > (limits[name] ?? 0)),
    ).length;
  }

  /** Hosts whose sums in the ledger are not those of the catalogue's bookings. */
  async drifted(): Promise<number> {
    const booked = await this.bookedPerHost();
    const client = this.redis.client();
    const hosts = await this.rows<{ id: string }>('select id from hosts');
    const incarnation = await client.hget('berth:{main}:ledger', 'incarnation');
    let drifted = 0;
    for (const { id } of hosts) {
      const hash = await client.hgetall(`berth:{main}:${incarnation ?? ''}:host:${id}`);
      const sums = booked.get(id) ?? {};
      const names = ['cpu', 'memory', 'disk'];
      const same = names.every((name) => Number(hash[`used:${name}`] ?? 0) === (sums[name] ?? 0));
      if (!same) drifted += 1;
    }
    client.disconnect();
    return drifted;
  }

  async stop(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await this.redis.stop();
    await this.postgres.stop();
    await rm(this.#dataDir, { recursive: true, force: true });
  }

  /** Transactions that PostgreSQL has ended because they waited for each other. */
  async deadlocks(): Promise<number> {
    const [row] = await this.rows<{ deadlocks: string }>(
      'select deadlocks from pg_stat_database where datname = current_database()',
    );
    return Number(row?.deadlocks);
  }

  private async bookedPerHost(): Promise<ReadonlyMap<string, Amounts>> {
    const rows = await this.rows<{ host_id: string; name: string; sum: string }>(
      `select host_id, r.key as name, sum(r.value::bigint) as sum
       from allocations, jsonb_each_text(resources) as r group by 1, 2`,
    );
    const booked = new Map<string, Record<string, number>>();
    for (const { host_id, name, sum } of rows) {
      booked.set(host_id, { ...booked.get(host_id), [name]: Number(sum) });
    }
    return booked;
  }
}

const isReady = (url: string): Promise<boolean> =>
  fetch(`${url}/readyz`).then(
    ({ ok }) => ok,
    () => false,
  );

/** Questions for the status that the agents saw since they were told to forget; times since the epoch. */
export interface Seen {
  readonly asked: number;
  readonly firstAt: number;
  readonly lastAt: number;
}

export async function seen(agents: ChildProcess, what: 'seen' | 'forget'): Promise<Seen> {
  agents.send(what);
  const [told] = (await once(agents, 'message')) as [Seen];
  return told;
}

/** What a process holds in memory, and the most that it ever held. */
export async function residentMb({ pid = 0 }: ChildProcess): Promise<{
  readonly nowMb: number;
  readonly mostMb: number;
}> {
  const status = await readFile(`/proc/${pid.toString()}/status`, 'utf8');
  const mbOf = (name: string) =>
    Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1_024);
  return { nowMb: mbOf('VmRSS'), mostMb: mbOf('VmHWM') };
}

/** Value of a metric, with its labels as they are written; 0 when it is not there. */
export async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`, { headers: HEADERS })).text();
  const line = text.split('\n').find((found) => found.startsWith(`${name} `));
  return Number(line?.split(' ').at(-1) ?? 0);
}

export const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;
