/**
 * Redis is emptied under a large fleet whose hosts are full to the last VM: how long until a VM is
 * placed again, and whether anything was granted that must not be. Prints a table and one JSON line.
 * Options: --hosts 1000 --vms-per-host 20 --rounds 5
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import Table from 'cli-table3';
import { conclude } from './conclude.js';
import { BenchFleet, HEADERS, median } from './fleet.js';
import { hostIdOf, TOTALS } from './null-agents.js';

const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '1000' },
    'vms-per-host': { type: 'string', default: '20' },
    rounds: { type: 'string', default: '5' },
  },
});
const hosts = Number(values.hosts);
const perHost = Number(values['vms-per-host']);
const rounds = Number(values.rounds);
const CONNECTIONS = 64;
/** What the default configuration leaves of a host's memory; so many VMs take all of it. */
const MEMORY = Math.floor(Math.floor(TOTALS.memory.total * 0.9) / perHost);
const BODY = JSON.stringify({ resources: { cpu: 1, memory: MEMORY, disk: 1024 } });

interface Round {
  readonly placedAgainMs: number;
  readonly refusals: number;
  /** Placed although the ledger was empty, or on a host that was full. */
  readonly wrong: number;
}

const create = (url: string): Promise<Response> =>
  fetch(`${url}/v1/vms`, { method: 'POST', headers: HEADERS, body: BODY });

/** Every host but the last, which joins when the others are full. */
async function fill(fleet: BenchFleet, url: string): Promise<void> {
  const result = await autocannon({
    url: `${url}/v1/vms`,
    method: 'POST',
    headers: HEADERS,
    body: BODY,
    connections: CONNECTIONS,
    amount: hosts * perHost,
  });
  if (result.non2xx > 0) throw new Error(`${result.non2xx.toString()} VMs found no place`);
  const refused = await create(url);
  if (refused.status !== 409)
    throw new Error(`the fleet is not full: ${refused.status.toString()}`);
  let open = 1;
  while (open > 0) {
    await sleep(500);
    const [row] = await fleet.rows<{ n: string }>(
      "select count(*) as n from vms where state <> 'running'",
    );
    open = Number(row?.n);
  }
}

/** Only the last host has room. */
async function flush(fleet: BenchFleet, url: string): Promise<Round> {
  const client = fleet.redis.client();
  const isEmpty = async () => (await client.hexists('berth:{main}:ledger', 'incarnation')) === 0;
  const started = performance.now();
  await client.flushall();
  let wrong = 0;
  try {
    for (let refusals = 0; ; refusals += 1) {
      const answer = await create(url);
      const body = (await answer.json()) as { id: string; host: { id: string }; code?: string };
      if (answer.status === 202) {
        const placedAgainMs = performance.now() - started;
        // It was booked in a ledger, which stays; an empty one now was empty then.
        if ((await isEmpty()) || body.host.id !== hostIdOf(hosts)) wrong += 1;
        wrong += await fleet.overbooked();
        await fetch(`${url}/v1/vms/${body.id}`, { method: 'DELETE', headers: HEADERS });
        return { placedAgainMs, refusals, wrong };
      }
      if (answer.status !== 503 || answer.headers.get('retry-after') === null) {
        throw new Error(`answered ${answer.status.toString()} ${body.code ?? ''}`);
      }
      await sleep(20);
    }
  } finally {
    client.disconnect();
  }
}

const fleet = await BenchFleet.start();
try {
  await fleet.agents(hosts + 1);
  const { url } = await fleet.replica();
  await fleet.join(url, hosts);
  await fill(fleet, url);
  await fleet.join(url, hosts + 1, hosts);
  const results: Round[] = [];
  for (let round = 0; round < rounds; round += 1) {
    results.push(await flush(fleet, url));
    await sleep(2_000);
  }
  const wrong = {
    grants: results.reduce((sum, one) => sum + one.wrong, 0),
    overbooked: await fleet.overbooked(),
    drifted: await fleet.drifted(),
  };
  const times = results.map(({ placedAgainMs }) => placedAgainMs);
  const table = new Table({
    head: ['flush', 'placed again ms', '503 before', 'wrong grants'],
    style: { head: [] },
  });
  for (const [round, { placedAgainMs, refusals, wrong: granted }] of results.entries()) {
    table.push([round + 1, placedAgainMs.toFixed(0), refusals, granted]);
  }
  conclude(
    {
      bench: 'flushall',
      hosts,
      vms: hosts * perHost,
      rounds: results,
      medianMs: median(times),
      maxMs: Math.max(...times),
      ...wrong,
    },
    `${table.toString()}\n` +
      `${(hosts * perHost).toString()} VMs on ${hosts.toString()} full hosts: median ${median(times).toFixed(0)} ms, ` +
      `longest ${Math.max(...times).toFixed(0)} ms; ${wrong.grants.toString()} wrong grants, ${wrong.overbooked.toString()} hosts overbooked, ${wrong.drifted.toString()} with unequal books\n`,
    await fleet.stores(),
  );
  if (wrong.grants + wrong.overbooked + wrong.drifted > 0) process.exitCode = 1;
} finally {
  await fleet.stop();
}
process.exit();
