/**
 * Most hosts vanish at once: how soon Berth takes itself to be cut off, and what it does to their
 * VMs (nothing). Prints a table and one JSON line.
 * Options: --hosts 100 --share 0.6 --vms 500 --period-s 2 --watch-periods 8
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import Table from 'cli-table3';
import { conclude } from './conclude.js';
import { BenchFleet, HEADERS } from './fleet.js';

const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '100' },
    share: { type: 'string', default: '0.6' },
    vms: { type: 'string', default: '500' },
    'period-s': { type: 'string', default: '2' },
    'watch-periods': { type: 'string', default: '8' },
  },
});
const hosts = Number(values.hosts);
const gone = Math.round(hosts * Number(values.share));
const periodMs = Number(values['period-s']) * 1_000;
const watchMs = Number(values['watch-periods']) * periodMs;

interface VmRow {
  readonly id: string;
  readonly state: string;
  readonly host_id: string | null;
  readonly assignment: string | null;
}

const vmsOf = (fleet: BenchFleet): Promise<readonly VmRow[]> =>
  fleet.rows<VmRow>(
    `select vms.id, vms.state, vms.host_id, a.assignment
     from vms left join allocations a on a.vm_id = vms.id order by vms.id`,
  );

/** What became of the VMs that ran before. */
function changes(before: readonly VmRow[], after: readonly VmRow[]) {
  const now = new Map(after.map((vm) => [vm.id, vm]));
  const count = (has: (was: VmRow, is: VmRow | undefined) => boolean): number =>
    before.filter((was) => has(was, now.get(was.id))).length;
  return {
    restarted: count((was, is) => is?.assignment !== was.assignment),
    removed: count((_was, is) => is === undefined || is.state.startsWith('delet')),
    unknown: count((_was, is) => is?.state === 'unknown'),
    otherwise: count((was, is) => is?.state !== was.state),
  };
}

async function breakerIsOpen(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/v1/ops/breaker`, { headers: HEADERS });
  if (!answer.ok) throw new Error(`the breaker: ${answer.status.toString()}`);
  return ((await answer.json()) as { state: string }).state === 'open';
}

async function untilRunning(fleet: BenchFleet): Promise<readonly VmRow[]> {
  for (;;) {
    const vms = await vmsOf(fleet);
    if (vms.every(({ state }) => state === 'running')) return vms;
    await sleep(500);
  }
}

const fleet = await BenchFleet.start();
try {
  const agents = await fleet.agents(hosts);
  const { url } = await fleet.replica({ HEALTH_PERIOD_S: values['period-s'] });
  await fleet.join(url, hosts);
  await autocannon({
    url: `${url}/v1/vms`,
    method: 'POST',
    headers: HEADERS,
    body: JSON.stringify({ resources: { cpu: 1, memory: 256, disk: 1_024 } }),
    connections: 16,
    amount: Number(values.vms),
  });
  const before = await untilRunning(fleet);
  await sleep(2 * periodMs);

  const started = performance.now();
  agents.send(gone);
  let openMs: number | null = null;
  while (performance.now() - started < watchMs) {
    if (openMs === null && (await breakerIsOpen(url))) {
      openMs = performance.now() - started;
    }
    await sleep(50);
  }
  const found = changes(before, await vmsOf(fleet));
  const states = await fleet.rows<{ state: string; n: string }>(
    'select state, count(*) as n from hosts group by 1 order by 1',
  );
  const periods = openMs === null ? null : openMs / periodMs;
  const table = new Table({ style: { head: [] } });
  table.push(
    ['hosts gone', `${gone.toString()} of ${hosts.toString()}`],
    ['breaker open after', periods === null ? 'never' : `${periods.toFixed(2)} periods`],
    ['hosts by state', states.map(({ state, n }) => `${state} ${n}`).join(', ')],
    ...Object.entries(found).map(([what, times]) => [`VMs ${what}`, times.toString()]),
  );
  conclude(
    { bench: 'vanish', hosts, gone, vms: before.length, periodMs, openMs, periods, ...found },
    table.toString(),
    await fleet.stores(),
  );
  const touched = Object.values(found).some((times) => times > 0);
  if (periods === null || periods > 2 || touched) process.exitCode = 1;
} finally {
  await fleet.stop();
}
process.exit();
