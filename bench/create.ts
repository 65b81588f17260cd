/**
 * Creates through the API, against a bare Express echo of the same body and against the plain way
 * of booking, in interleaved rounds on the same machine. PostgreSQL runs with fsync on.
 * Prints a table and one JSON line. Options: --hosts 1000 --rounds 5 --seconds 4 --connections 64
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import Table from 'cli-table3';
import { freePort } from '../tests/support/free-port.js';
import { BenchFleet, HEADERS, median } from './fleet.js';

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

const ECHO = await freePort();
const PLAIN = await freePort();
const BODY = JSON.stringify({ resources: { cpu: 1, memory: 256, disk: 1024 } });

interface Run {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function load(port: number, forSeconds: number): Promise<Run> {
  const result = await autocannon({
    url: `http://127.0.0.1:${port.toString()}/v1/vms`,
    method: 'POST',
    headers: HEADERS,
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

async function main(): Promise<void> {
  const fleet = await BenchFleet.start();
  try {
    await fleet.agents(hosts);
    await fleet.fork('./baselines.ts', ['echo', ECHO.toString()]);
    await fleet.fork('./baselines.ts', [
      'plain',
      PLAIN.toString(),
      fleet.redis.url,
      await fleet.postgres.freshDatabase(),
      hosts.toString(),
    ]);
    const { url, port } = await fleet.replica();
    await fleet.join(url, hosts);
    await load(ECHO, 1);
    await load(port, 2);

    const create: Run[] = [];
    const echo: Run[] = [];
    for (let round = 0; round < rounds; round += 1) {
      echo.push(await load(ECHO, seconds));
      create.push(await load(port, seconds));
      // What the lifecycle still has to do must not be paid for by the next round's echo.
      await sleep(1_500);
    }
    const stages = await stagesOf(url);
    const plain = await load(PLAIN, Math.max(seconds, 6));
    report(create, echo, plain, stages);
  } finally {
    await fleet.stop();
  }
}

/** Mean milliseconds per batch of each stage, and the mean size of a batch, from the metrics. */
async function stagesOf(url: string): Promise<Readonly<Record<string, number>>> {
  const answer = await fetch(`${url}/metrics`, { headers: HEADERS });
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
