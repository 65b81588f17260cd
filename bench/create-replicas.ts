/**
 * Creates through 1, 2 and 4 replicas of one cell, in interleaved rounds; the connections are shared
 * out among them. All four run all the time, so that each round has the same beside it.
 * Prints a table and one JSON line. Options: --hosts 1000 --rounds 5 --seconds 4 --connections 64
 * Few hosts (--hosts 20) make every batch meet the hosts of the others.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { conclude } from './conclude.js';
import { load, medianRatio, medianRun, rowOf, RUN_HEAD, type Run } from './create-load.js';
import { BenchFleet, metric, type Replica } from './fleet.js';

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
const COUNTS = [1, 2, 4];
const WARM_UP_S = 6;
/** What the lifecycle still has to do is not paid for by the next run. */
const REST_MS = 1_500;

/** The total of the replicas; the latencies are those of the slowest. */
async function loadAll(replicas: readonly Replica[], forSeconds: number): Promise<Run> {
  const each = connections / replicas.length;
  const runs = await Promise.all(replicas.map(({ port }) => load(port, forSeconds, each)));
  return {
    perSecond: runs.reduce((sum, { perSecond }) => sum + perSecond, 0),
    p50Ms: Math.max(...runs.map(({ p50Ms }) => p50Ms)),
    p99Ms: Math.max(...runs.map(({ p99Ms }) => p99Ms)),
  };
}

async function refusals(replicas: readonly Replica[], store: 'ledger' | 'catalogue') {
  let sum = 0;
  for (const { url } of replicas) {
    for (const kind of ['over_limit', 'insufficient', 'closed', 'stale_epoch']) {
      sum += await metric(url, `berth_${store}_refusals_total{kind="${kind}"}`);
    }
  }
  return sum;
}

/** Books are compared when nothing is under way any more. */
async function settled(fleet: BenchFleet): Promise<void> {
  for (;;) {
    const [row] = await fleet.rows<{ n: string }>(
      "select count(*) as n from vms where state <> 'running'",
    );
    if (Number(row?.n) === 0) return;
    await sleep(500);
  }
}

const fleet = await BenchFleet.start();
try {
  await fleet.agents(hosts);
  const replicas: Replica[] = [];
  for (let index = 0; index < Math.max(...COUNTS); index += 1) replicas.push(await fleet.replica());
  await fleet.join(replicas[0]?.url ?? '', hosts);
  // Each as much as the one it is compared with: a program runs several times slower when it is new.
  for (const replica of replicas) await load(replica.port, WARM_UP_S, connections);
  await loadAll(replicas, 3);
  const runs = new Map<number, Run[]>(COUNTS.map((count) => [count, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const count of round % 2 === 0 ? COUNTS : COUNTS.toReversed()) {
      runs.get(count)?.push(await loadAll(replicas.slice(0, count), seconds));
      await sleep(REST_MS);
    }
  }
  await settled(fleet);
  const alone = runs.get(1) ?? [];
  const wrong = {
    overbooked: await fleet.overbooked(),
    drifted: await fleet.drifted(),
    deadlocks: await fleet.deadlocks(),
  };
  const placedAgain = await refusals(replicas, 'ledger');
  const table = new Table({ head: [...RUN_HEAD, 'to one'], style: { head: [], border: [] } });
  const results = COUNTS.map((count) => {
    const own = runs.get(count) ?? [];
    const toOne = medianRatio(own, alone);
    const name = `${count.toString()} replica${count === 1 ? '' : 's'}`;
    table.push([...rowOf(name, medianRun(own)), toOne.toFixed(2)]);
    return { replicas: count, ...medianRun(own), toOne };
  });
  conclude(
    { bench: 'create-replicas', hosts, connections, rounds, results, ...wrong, placedAgain },
    `${table.toString()}\n` +
      `${wrong.overbooked.toString()} hosts overbooked, ${wrong.drifted.toString()} with unequal books, ${wrong.deadlocks.toString()} deadlocks; ` +
      `${placedAgain.toString()} bookings placed again\n`,
    await fleet.stores(),
  );
} finally {
  await fleet.stop();
}
process.exit(0);
