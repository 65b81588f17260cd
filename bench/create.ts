/**
 * Creates through the API, against a bare Express echo of the same body and against the plain way
 * of booking, in interleaved rounds on the same machine. PostgreSQL runs with fsync on.
 * Prints a table and one JSON line. Options: --hosts 1000 --rounds 5 --seconds 4 --connections 64
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { freePort } from '../tests/support/free-port.js';
import { conclude, type Stores } from './conclude.js';
import { load, medianRatio, medianRun, rowOf, RUN_HEAD, type Run } from './create-load.js';
import { BenchFleet, HEADERS } from './fleet.js';

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
    await load(ECHO, 1, connections);
    await load(port, 2, connections);

    const create: Run[] = [];
    const echo: Run[] = [];
    for (let round = 0; round < rounds; round += 1) {
      echo.push(await load(ECHO, seconds, connections));
      create.push(await load(port, seconds, connections));
      // What the lifecycle still has to do must not be paid for by the next round's echo.
      await sleep(1_500);
    }
    const stages = await stagesOf(url);
    const plain = await load(PLAIN, Math.max(seconds, 6), connections);
    report(create, echo, plain, stages, await fleet.stores());
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
  stores: Stores,
): void {
  const toEcho = medianRatio(create, echo);
  const toPlain = medianRun(create).perSecond / plain.perSecond;
  const table = new Table({ head: RUN_HEAD, style: { head: [], border: [] } });
  table.push(
    rowOf('Express echo of the body', medianRun(echo)),
    rowOf('Berth create', medianRun(create)),
    rowOf('plain booking', plain),
  );
  conclude(
    {
      bench: 'create',
      hosts,
      connections,
      create: medianRun(create),
      echo: medianRun(echo),
      plain,
      stages,
      toEcho,
      toPlain,
    },
    `${table.toString()}\n` +
      `create / echo: ${toEcho.toFixed(2)} (median of ${rounds.toString()} pairs), ` +
      `create / plain: ${toPlain.toFixed(0)}\n` +
      `per batch: ${Object.entries(stages)
        .map(([name, value]) => `${name} ${value.toFixed(1)}`)
        .join(', ')}\n`,
    stores,
  );
}

await main();
process.exit(0);
