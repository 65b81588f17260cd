/**
 * What a look at all hosts costs when nothing is new: the processor time of Berth, PostgreSQL and
 * Redis from the first question until all is saved, less what they use between two looks.
 * Prints a table and one JSON line. Options: --hosts 1000 --vms 30 (on each) --looks 3
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { conclude } from './conclude.js';
import { BenchFleet, median, residentMb, seen } from './fleet.js';
import { familyProcessorMs, processorMs } from './processor-time.js';

const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '1000' },
    vms: { type: 'string', default: '30' },
    looks: { type: 'string', default: '3' },
  },
});
const hosts = Number(values.hosts);
const vms = hosts * Number(values.vms);

const PERIOD_S = 20;
/** Long enough for all of a look, and short enough that some of the period is left. */
const LOOK_MS = 11_000;
const QUIET_MS = 5_000;
/** Plans are made and code is compiled in the first ones. */
const WARM_LOOKS = 2;

interface Used {
  readonly berthMs: number;
  readonly postgresMs: number;
  readonly redisMs: number;
}

const combined = (one: Used, other: Used, of: (one: number, other: number) => number): Used => ({
  berthMs: of(one.berthMs, other.berthMs),
  postgresMs: of(one.postgresMs, other.postgresMs),
  redisMs: of(one.redisMs, other.redisMs),
});

const fleet = await BenchFleet.start();
try {
  const agents = await fleet.agents(hosts);
  const { url, process: replica } = await fleet.replica({ HEALTH_PERIOD_S: PERIOD_S.toString() });
  const used = (): Used => ({
    berthMs: processorMs(replica.pid ?? 0),
    postgresMs: familyProcessorMs(fleet.postgres.pid),
    redisMs: processorMs(fleet.redis.pid),
  });
  const during = async (ms: number): Promise<Used> => {
    const before = used();
    await sleep(ms);
    return combined(used(), before, (now, then) => now - then);
  };
  /** Waits for the first question of a look. @returns when that was */
  const begun = async (): Promise<number> => {
    await seen(agents, 'forget');
    for (;;) {
      const { firstAt } = await seen(agents, 'seen');
      if (firstAt > 0) return firstAt;
      await sleep(50);
    }
  };

  await fleet.join(url, hosts);
  await fleet.fill(hosts, vms);
  await fleet.letRun(agents);
  await fleet.rebuild(url);
  for (let round = 0; round < WARM_LOOKS; round += 1) {
    await begun();
    await sleep(LOOK_MS);
  }
  const looks: Used[] = [];
  while (looks.length < Number(values.looks)) {
    const between = await during(QUIET_MS);
    const before = used();
    const sinceMs = Date.now();
    await begun();
    await sleep(LOOK_MS);
    const share = (Date.now() - sinceMs) / QUIET_MS;
    const all = combined(used(), before, (now, then) => now - then);
    looks.push(combined(all, between, (one, idle) => one - idle * share));
  }
  const middle = (of: (look: Used) => number) => median(looks.map(of));
  const { nowMb, mostMb } = await residentMb(replica);
  const table = new Table({
    head: [
      'hosts',
      'VMs',
      'Berth ms',
      'PostgreSQL ms',
      'Redis ms',
      'Berth and PostgreSQL ms',
      'MB (most)',
    ],
    style: { head: [], border: [] },
  });
  table.push([
    hosts,
    vms,
    middle(({ berthMs }) => berthMs).toFixed(0),
    middle(({ postgresMs }) => postgresMs).toFixed(0),
    middle(({ redisMs }) => redisMs).toFixed(0),
    middle(({ berthMs, postgresMs }) => berthMs + postgresMs).toFixed(0),
    `${nowMb.toString()} (${mostMb.toString()})`,
  ]);
  conclude(
    { bench: 'look', hosts, vms, nowMb, mostMb, looks },
    table.toString(),
    await fleet.stores(),
  );
} finally {
  await fleet.stop();
}
process.exit(0);
