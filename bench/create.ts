/**
 * Creates through the API, against a bare Express echo of the same body and against the plain way
 * of booking, in interleaved rounds on the same machine. PostgreSQL runs with fsync on.
 * Prints a table and one JSON line. Options: --hosts 1000 --rounds 5 --seconds 4 --connections 64
 */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import Table from 'cli-table3';
import { freePort } from '../tests/support/free-port.js';
import { startPostgres } from '../tests/support/postgres.js';
import { startRedis } from '../tests/support/redis.js';
import { addressOf, hostIdOf, TOTALS } from './null-agents.js';

const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    connections: { type: 'string', default: '64' },
  },
});
const hosts = Number(values.hosts);
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const connections = Number(values.connections);

const TOKEN = 'a-token-for-the-benchmark';
const BERTH = await freePort();
const ECHO = await freePort();
const PLAIN = await freePort();
const AGENTS = await freePort();
const BODY = JSON.stringify({ resources: { cpu: 1, memory: 256, disk: 1024 } });
const LOADER = ['--import', 'tsx'];
/** A fifth of a second each. */
const UP_LOOKS_MAX = 600;

interface Run {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const children: ChildProcess[] = [];

async function forked(script: string, args: readonly string[]): Promise<void> {
  const child = fork(new URL(script, import.meta.url), args, { execArgv: LOADER });
  children.push(child);
  await once(child, 'message');
}

async function load(port: number, forSeconds: number): Promise<Run> {
  const result = await autocannon({
    url: `http://127.0.0.1:${port.toString()}/v1/vms`,
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: BODY,
    connections,
    duration: forSeconds,
  });
  const ok = result['2xx'];
  if (result.non2xx > 0 || ok === 0) {
    throw new Error(`${result.non2xx.toString()} answers were refusals, ${ok.toString()} were not`);
  }
  return { perSecond: ok / result.duration, p50Ms: result.latency.p50, p99Ms: result.latency.p99 };
}

async function startBerth(redisUrl: string, databaseUrl: string, dataDir: string): Promise<void> {
  const child = spawn(process.execPath, ['dist/bin/berth.js', 'serve'], {
    env: {
      PATH: process.env.PATH,
      PORT: BERTH.toString(),
      REDIS_URL: redisUrl,
      DATABASE_URL: databaseUrl,
      BERTH_ADMIN_TOKEN: TOKEN,
      BERTH_DATA_DIR: dataDir,
      LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  children.push(child);
  const url = `http://127.0.0.1:${BERTH.toString()}`;
  while (
    !(await fetch(`${url}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    ))
  )
    await sleep(100);
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
  for (let index = 0; index < hosts; index += 1) {
    const answer = await fetch(`${url}/v1/hosts`, {
      method: 'POST',
      headers,
      body: JSON.stringify({
        id: hostIdOf(index),
        name: hostIdOf(index),
        address: `http://${addressOf(index)}:${AGENTS.toString()}`,
        credential: 'a-credential-for-the-benchmark-only',
        totals: TOTALS,
        agent: { version: 'null', bootId: 'null' },
      }),
    });
    if (!answer.ok) throw new Error(`join: ${answer.status.toString()} ${await answer.text()}`);
  }
  let up = 0;
  for (let looks = 0; up < hosts; looks += 1) {
    if (looks > UP_LOOKS_MAX) throw new Error(`only ${up.toString()} hosts came up`);
    await sleep(200);
    const answer = await fetch(`${url}/v1/placements`, { method: 'POST', headers, body: BODY });
    up = ((await answer.json()) as { summary: { feasible: number } }).summary.feasible;
  }
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;

async function main(): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'berth-bench-'));
  const redis = await startRedis({ appendonly: true });
  const postgres = await startPostgres({ fsync: true });
  try {
    const databaseUrl = await postgres.freshDatabase();
    await forked('./null-agents.ts', [hosts.toString(), AGENTS.toString()]);
    await forked('./baselines.ts', ['echo', ECHO.toString()]);
    await forked('./baselines.ts', [
      'plain',
      PLAIN.toString(),
      redis.url,
      await postgres.freshDatabase(),
      hosts.toString(),
    ]);
    await startBerth(redis.url, databaseUrl, dataDir);
    await load(ECHO, 1);
    await load(BERTH, 2);

    const create: Run[] = [];
    const echo: Run[] = [];
    for (let round = 0; round < rounds; round += 1) {
      echo.push(await load(ECHO, seconds));
      create.push(await load(BERTH, seconds));
      // What the lifecycle still has to do must not be paid for by the next round's echo.
      await sleep(1_500);
    }
    const stages = await stagesOf();
    const plain = await load(PLAIN, Math.max(seconds, 6));
    report(create, echo, plain, stages);
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await redis.stop();
    await postgres.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** Mean milliseconds per batch of each stage, and the mean size of a batch, from the metrics. */
async function stagesOf(): Promise<Readonly<Record<string, number>>> {
  const answer = await fetch(`http://127.0.0.1:${BERTH.toString()}/metrics`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  const text = await answer.text();
  const value = (name: string) => Number(new RegExp(`^${name} (.+)$`, 'm').exec(text)?.[1]);
  const mean = (name: string, labels = '') =>
    value(`${name}_sum${labels}`) / value(`${name}_count${labels}`);
  const stage = (name: string) => mean('berth_stage_seconds', `\\{stage="${name}"\\}`) * 1000;
  return {
    vmsPerBatch: mean('berth_placement_batch_size'),
    lockMs: stage('lock'),
    placeMs: stage('place'),
    bookMs: stage('book'),
    recordMs: stage('record'),
  };
}

function report(
  create: readonly Run[],
  echo: readonly Run[],
  plain: Run,
  stages: Readonly<Record<string, number>>,
): void {
  const of = (runs: readonly Run[]): Run => ({
    perSecond: median(runs.map(({ perSecond }) => perSecond)),
    p50Ms: median(runs.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(runs.map(({ p99Ms }) => p99Ms)),
  });
  const toEcho = create.map(({ perSecond }, round) => perSecond / (echo[round]?.perSecond ?? NaN));
  const toPlain = of(create).perSecond / plain.perSecond;
  const table = new Table({
    head: ['', 'per second', 'p50 ms', 'p99 ms'],
    style: { head: [], border: [] },
  });
  for (const [name, run] of [
    ['Express echo of the body', of(echo)],
    ['Berth create', of(create)],
    ['plain booking', plain],
  ] as const) {
    table.push([name, run.perSecond.toFixed(0), run.p50Ms.toString(), run.p99Ms.toString()]);
  }
  process.stdout.write(
    `${table.toString()}\n` +
      `create / echo: ${median(toEcho).toFixed(2)} (median of ${rounds.toString()} pairs), ` +
      `create / plain: ${toPlain.toFixed(0)}\n` +
      `per batch: ${Object.entries(stages)
        .map(([name, value]) => `${name} ${value.toFixed(1)}`)
        .join(', ')}\n` +
      `${JSON.stringify({ bench: 'create', hosts, connections, create: of(create), echo: of(echo), plain, stages, toEcho: median(toEcho), toPlain })}\n`,
  );
}

await main();
process.exit(0);
