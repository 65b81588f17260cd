/**
 * A fleet of real programs for system tests: Redis, a database, replicas of `berth serve` as
 * processes of their own, simulated hosts. Everything is stopped by `stop()`.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAgent, type Agent, type AgentOptions } from '../../src/agent/agent.js';
import { createSimulatedDriver } from '../../src/agent/drivers/simulated.js';
import type { Resources } from '../../src/model/resources.js';
import { systemClock } from '../../src/std/clock.js';
import type { PlacementBody } from '../../src/wire/placements.js';
import type { VmBody } from '../../src/wire/vms.js';
import { freePort } from './free-port.js';
import { DEFAULT_POLICY } from './hosts.js';
import { freshDatabase } from './postgres.js';
import { silentLog } from './log.js';
import { startRedis } from './redis.js';

const BERTH = resolve('dist/bin/berth.js');
export const ADMIN_TOKEN = 'a-token-for-tests-only';

const POLL_MS = 50;

/** Waits until the check gives something; says what it waited for when it never does. */
export async function until<T>(
  what: string,
  check: () => Promise<T | null | undefined | false>,
  limitMs = 60_000,
): Promise<T> {
  const end = Date.now() + limitMs;
  let trouble: unknown = null;
  for (;;) {
    try {
      const value = await check();
      if (value !== null && value !== undefined && value !== false) return value;
    } catch (error) {
      trouble = error;
    }
    if (Date.now() > end) throw new Error(`waited in vain for: ${what}`, { cause: trouble });
    await sleep(POLL_MS);
  }
}

/** A program under test, with what it has printed so far. */
export class Program {
  readonly process: ChildProcess;
  output = '';

  constructor(args: readonly string[], env: Readonly<Record<string, string>>, cwd = process.cwd()) {
    this.process = spawn(process.execPath, [BERTH, ...args], {
      cwd,
      env: {
        PATH: process.env.PATH ?? '',
        HOME: process.env.HOME ?? '',
        NODE_ENV: 'test',
        AGENT_DRIVER: 'simulated',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    }
  }

  get running(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  /** Sends a signal and waits for the end. @returns the exit code, or the signal */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | NodeJS.Signals | null> {
    if (this.running) {
      const exit = once(this.process, 'exit');
      this.process.kill(signal);
      await exit;
    }
    return this.process.exitCode ?? this.process.signalCode;
  }
}

export interface Answer<Body = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

/** Calls the API of one replica. */
export async function call<Body = Record<string, unknown>>(
  url: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer<Body>> {
  const response = await fetch(url + path, {
    method,
    headers: {
      authorization: `Bearer ${ADMIN_TOKEN}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(60_000),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: (text === '' ? {} : JSON.parse(text)) as Body,
  };
}

export class Cluster {
  readonly #folders: string[] = [];
  readonly programs: Program[] = [];
  readonly hosts: Agent[] = [];

  private constructor(
    readonly redis: Awaited<ReturnType<typeof startRedis>>,
    readonly databaseUrl: string,
  ) {}

  static async start(): Promise<Cluster> {
    return new Cluster(await startRedis(), await freshDatabase());
  }

  /** Starts a replica and waits until it can place VMs. */
  async replica(env: Readonly<Record<string, string>> = {}, port?: number): Promise<Replica> {
    const chosen = port ?? (await freePort());
    const program = new Program(['serve'], {
      PORT: chosen.toString(),
      REDIS_URL: this.redis.url,
      DATABASE_URL: this.databaseUrl,
      BERTH_ADMIN_TOKEN: ADMIN_TOKEN,
      BERTH_DATA_DIR: await this.folder(),
      LOG_FORMAT: 'json',
      HEALTH_PERIOD_S: '2',
      ...env,
    });
    this.programs.push(program);
    const url = `http://127.0.0.1:${chosen.toString()}`;
    await until(
      `a replica that is ready (it printed: ${program.output.slice(-2_000)})`,
      async () => {
        if (!program.running) throw new Error(`the replica ended: ${program.output.slice(-2_000)}`);
        return (await fetch(`${url}/readyz`)).ok;
      },
    );
    return { url, port: chosen, program };
  }

  /**
   * Adds a simulated host of this process, and waits until it is up.
   * @param changes to how its agent is set up
   */
  async host(
    controlPlaneUrl: string,
    name: string,
    totals: Resources,
    bootMs = 20,
    changes: Partial<AgentOptions> = {},
  ): Promise<Agent> {
    const host = createAgent({
      dataDir: await this.folder(),
      bind: '127.0.0.1',
      port: 0,
      name,
      zone: 'default',
      labels: {},
      controlPlaneUrl,
      joinToken: () => Promise.resolve(ADMIN_TOKEN),
      capacityPolicy: DEFAULT_POLICY,
      configuredTotals: totals,
      driver: createSimulatedDriver({ clock: systemClock, given: { bootMs, stopMs: 10 } }),
      log: silentLog,
      clock: systemClock,
      random: Math.random,
      ...changes,
    });
    await host.start();
    this.hosts.push(host);
    await until(`host ${name} open for VMs`, async () => {
      // The catalogue shows a host as up a moment before placement hears of it.
      const { status, body } = await call<PlacementBody>(
        controlPlaneUrl,
        'POST',
        '/v1/placements',
        {
          resources: { cpu: 1, memory: 1, disk: 1 },
          constraints: { host: name },
        },
      );
      const reasons = body.rejected.find(({ host: { id } }) => id === host.hostId)?.reasons;
      const closed = reasons?.some(({ code }) => code.startsWith('host_')) ?? false;
      const known = reasons !== undefined || body.chosen === host.hostId;
      return status === 200 && known && !closed;
    });
    return host;
  }

  /** A folder that is removed at the end. */
  async folder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'berth-test-'));
    this.#folders.push(folder);
    return folder;
  }

  async stop(): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.stop()));
    await Promise.all(this.programs.map((program) => program.end('SIGKILL')));
    await this.redis.stop();
    await Promise.all(this.#folders.map((folder) => rm(folder, { recursive: true, force: true })));
  }
}

export interface Replica {
  readonly url: string;
  readonly port: number;
  readonly program: Program;
}

/** Every VM that the API lists. */
export async function allVms(url: string): Promise<VmBody[]> {
  const vms: VmBody[] = [];
  let cursor: string | null = null;
  do {
    const at: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const { body } = await call<{ items: VmBody[]; nextCursor: string | null }>(
      url,
      'GET',
      `/v1/vms?limit=100${at}`,
    );
    vms.push(...body.items);
    cursor = body.nextCursor;
  } while (cursor !== null);
  return vms;
}
