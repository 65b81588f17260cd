/**
 * A look at 1,000 and at 10,000 agents, served by one process, of which 1 % take the connection and
 * never answer: when the last of the others was asked, and when what they said was saved, which is not
 * to wait for the deadline of those that hang. Also what the joins of all of them take, and the memory
 * of the replica with ten VMs on each host, after a rebuild and the looks.
 * Prints a table and one JSON line. Options: --sizes 1000,10000 --looks 3 --deadline-ms 4000
 */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { conclude, type Stores } from './conclude.js';
import { BenchFleet, median, residentMb, seen } from './fleet.js';

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '1000,10000' },
    looks: { type: 'string', default: '3' },
    'deadline-ms': { type: 'string', default: '4000' },
  },
});
const looks = Number(values.looks);
const HANGING_SHARE = 0.01;
const PERIOD_S = 30;
const VMS_PER_HOST = 10;

interface Look {
  readonly asked: number;
  /** From the first question to the last one to an agent that answers. */
  readonly heardMs: number;
  /** From the first question until all answers are in the catalogue. */
  readonly savedMs: number;
}

async function look(fleet: BenchFleet, agents: ChildProcess, answering: number): Promise<Look> {
  await seen(agents, 'forget');
  let told = await seen(agents, 'seen');
  while (told.asked < answering) {
    await sleep(100);
    told = await seen(agents, 'seen');
  }
  for (;;) {
    const [row] = await fleet.rows<{ saved: string; at: Date }>(
      `select count(*) as saved, max(last_seen_at) as at from hosts
       where last_seen_at >= to_timestamp(${(told.firstAt / 1000).toString()})`,
    );
    if (row !== undefined && Number(row.saved) >= answering) break;
    await sleep(50);
  }
  return {
    asked: told.asked,
    heardMs: told.lastAt - told.firstAt,
    savedMs: Date.now() - told.firstAt,
  };
}

/** Longer than a look has a pause. */
const PAUSE_MS = 5_000;

/** One that is under way would be counted to the next one. */
async function betweenLooks(agents: ChildProcess): Promise<void> {
  do {
    await seen(agents, 'forget');
    await sleep(PAUSE_MS);
  } while ((await seen(agents, 'seen')).asked > 0);
}

let stores: Stores = {};

async function measure(hosts: number) {
  const fleet = await BenchFleet.start();
  try {
    stores = await fleet.stores();
    const agents = await fleet.agents(hosts);
    const { url, process: replica } = await fleet.replica({
      HEALTH_PERIOD_S: PERIOD_S.toString(),
      HEALTH_DEADLINE_MS: values['deadline-ms'],
    });
    const { joinedMs, upMs } = await fleet.join(url, hosts);
    const joined = await residentMb(replica);
    await fleet.fill(hosts, hosts * VMS_PER_HOST);
    const { vms } = await fleet.rebuild(url);
    const hanging = Math.round(hosts * HANGING_SHARE);
    agents.send({ hang: hanging });
    await betweenLooks(agents);
    const results: Look[] = [];
    for (let round = 0; round < looks; round += 1) {
      results.push(await look(fleet, agents, hosts - hanging));
    }
    return {
      hosts,
      vms,
      hanging,
      joinedMs,
      upMs,
      heardMs: median(results.map(({ heardMs }) => heardMs)),
      savedMs: median(results.map(({ savedMs }) => savedMs)),
      memory: { joined, after: await residentMb(replica) },
      looks: results,
    };
  } finally {
    await fleet.stop();
  }
}

const table = new Table({
  head: [
    'agents',
    'hang',
    'last one asked after ms',
    'all saved after ms',
    'all joined and up after s',
    'memory MB (most)',
  ],
  style: { head: [], border: [] },
});
const sizes = [];
for (const hosts of values.sizes.split(',').map(Number)) {
  const size = await measure(hosts);
  sizes.push(size);
  const { nowMb, mostMb } = size.memory.after;
  table.push([
    hosts,
    size.hanging,
    size.heardMs.toFixed(0),
    size.savedMs.toFixed(0),
    (size.upMs / 1_000).toFixed(0),
    `${nowMb.toString()} (${mostMb.toString()})`,
  ]);
}
conclude(
  { bench: 'health', deadlineMs: Number(values['deadline-ms']), sizes },
  table.toString(),
  stores,
);
process.exit(0);
