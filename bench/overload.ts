/**
 * Does an overload leave it slower afterwards? Measures the capacity for creates, sends five times as
 * many for a while, and measures again. Prints a table and one JSON line.
 * Options: --seconds 60 --hosts 1000
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import autocannon, { type Options, type Result } from 'autocannon';
import Table from 'cli-table3';
import { ADMIN_TOKEN, call, Cluster, until } from '../tests/support/cluster.js';
import { freePort } from '../tests/support/free-port.js';
import { SERVER_VARIABLE } from '../tests/support/postgres.js';
import { conclude, storesAt, type Stores } from './conclude.js';
import { addressOf, hostIdOf, TOTALS } from './null-agents.js';
import { startSeasonedPostgres } from './seasoned-postgres.js';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    hosts: { type: 'string', default: '1000' },
  },
});
const seconds = Number(values.seconds);
const hosts = Number(values.hosts);

const REQUEST = { resources: { cpu: 1, memory: 256, disk: 1024 } };
const FACTOR = 5;
const MEASURED_S = 10;
/** In which it must have come back to itself. */
const RECOVERY_MS = 60_000;

interface Run {
  readonly goodPerS: number;
  readonly refusedPerS: number;
  /** Neither an answer nor a refusal: those that ended otherwise, by why, and those that waited 10 s. */
  readonly lost: number;
  readonly why: Readonly<Record<string, number>>;
  readonly p99Ms: number;
}

async function load(url: string, forS: number, rate?: number): Promise<Run> {
  const options: Options = {
    url: `${url}/v1/vms`,
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify(REQUEST),
    connections: rate === undefined ? 64 : 2_000,
    duration: forS,
    ...(rate === undefined ? {} : { overallRate: rate }),
  };
  const why: Record<string, number> = {};
  const result = await new Promise<Result>((resolve, reject) => {
    const run = autocannon(options, (error: Error | null, measured) => {
      if (error === null) resolve(measured);
      else reject(error);
    });
    run.on('reqError', (error: Error & { readonly code?: string }) => {
      const name = error.code ?? error.message;
      why[name] = (why[name] ?? 0) + 1;
    });
  });
  return {
    goodPerS: result['2xx'] / result.duration,
    refusedPerS: result.non2xx / result.duration,
    // Those that waited in vain are among the errors.
    lost: result.errors,
    why,
    p99Ms: result.latency.p99,
  };
}

async function join(url: string, port: number): Promise<void> {
  for (let index = 0; index < hosts; index += 1) {
    const id = hostIdOf(index);
    const { status } = await call(url, 'POST', '/v1/hosts', {
      id,
      name: id,
      address: `http://${addressOf(index)}:${port.toString()}`,
      credential: 'a-credential-for-the-benchmark-only',
      totals: TOTALS,
      agent: { version: 'null', bootId: 'null' },
    });
    if (status >= 300) throw new Error(`join: ${status.toString()}`);
  }
  await until('hosts that are up', async () => {
    const { body } = await call<{ summary: { feasible: number } }>(
      url,
      'POST',
      '/v1/placements',
      REQUEST,
    );
    return body.summary.feasible === hosts;
  });
}

async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid.toString()}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1_024);
}

async function main(agents: ChildProcess, port: number): Promise<void> {
  await once(agents, 'message');
  const cluster = await Cluster.start();
  try {
    const { url, program } = await cluster.replica({ LOG_LEVEL: 'error', HEALTH_PERIOD_S: '30' });
    const pid = program.process.pid ?? 0;
    await join(url, port);
    await load(url, 3);
    const before = await load(url, MEASURED_S);
    const rssBefore = await residentMiB(pid);
    const overload = await load(url, seconds, Math.ceil(before.goodPerS * FACTOR));
    const ended = Date.now();
    const first = await load(url, MEASURED_S);
    let after = first;
    while (after.goodPerS < before.goodPerS * 0.9 && Date.now() - ended < RECOVERY_MS) {
      await sleep(1_000);
      after = await load(url, MEASURED_S);
    }
    const recoveredMs = Date.now() - ended - MEASURED_S * 1_000;
    const runs = { before, overload, 'at once after': first, after };
    const stores = await storesAt({ redisUrl: cluster.redis.url, databaseUrl: postgres.url });
    report(runs, recoveredMs, [rssBefore, await residentMiB(pid)], stores);
  } finally {
    await cluster.stop();
  }
}

function report(
  runs: Readonly<Record<string, Run>>,
  recoveredMs: number,
  rssMiB: number[],
  stores: Stores,
): void {
  const head = ['', 'good per s', 'refused per s', 'lost', 'p99 ms'];
  const table = new Table({ head, style: { head: [], border: [] } });
  for (const [name, run] of Object.entries(runs)) {
    const rates = [run.goodPerS, run.refusedPerS].map((rate) => rate.toFixed(0));
    table.push([name, ...rates, run.lost, run.p99Ms]);
  }
  const ratioOf = (name: string) => (runs[name]?.goodPerS ?? NaN) / (runs.before?.goodPerS ?? NaN);
  const ratio = ratioOf('after');
  const line = { bench: 'overload', seconds, hosts, ...runs, ratio, recoveredMs, rssMiB };
  conclude(
    line,
    `${table.toString()}\nat once after / before: ${ratioOf('at once after').toFixed(2)}, ` +
      `after / before: ${ratio.toFixed(2)}`,
    stores,
  );
}

const postgres = await startSeasonedPostgres();
process.env[SERVER_VARIABLE] = postgres.url;
const port = await freePort();
const agents = fork(
  new URL('./null-agents.ts', import.meta.url),
  [hosts.toString(), port.toString()],
  { execArgv: ['--import', 'tsx'] },
);
try {
  await main(agents, port);
} finally {
  agents.kill('SIGKILL');
  await postgres.stop();
}
process.exit(0);
