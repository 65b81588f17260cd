/**
 * Two of three replicas are paused (SIGSTOP) under load while they hold the placement lock, again
 * and again, and woken: what they were about to write must be refused, and the third goes on.
 * Prints a table and one JSON line. Options: --pauses 10 --pause-s 10 --hosts 20 --clients 24
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { conclude } from './conclude.js';
import { BenchFleet, HEADERS, metric, type Replica } from './fleet.js';
import { addressOf } from './null-agents.js';

const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '20' },
    pauses: { type: 'string', default: '10' },
    'pause-s': { type: 'string', default: '10' },
    clients: { type: 'string', default: '24' },
  },
});
const count = 3;
/** The one that is never paused. */
const AWAKE = 2;
const hosts = Number(values.hosts);
const pauses = Number(values.pauses);
const pauseMs = Number(values['pause-s']) * 1_000;
const clients = Number(values.clients);
const BODY = JSON.stringify({ resources: { cpu: 4, memory: 8_192, disk: 1_024 } });
/** VMs that a client keeps; then it deletes its oldest. */
const KEEP = 8;
const HOLD_MS = 300;
const CATCHES_MAX = 200;
const RECOVERY_MS = 3_000;
/** What a replica logs of a late write, by who refused it; the last two are itself. */
const REFUSALS = {
  fence: 'a later turn has begun',
  look: 'a look at the hosts was',
  lease: 'the lock lease has run out',
  deadline: 'Command timed out',
};

interface Asked {
  readonly replica: number;
  readonly outcome: 'placed' | 'full' | 'unavailable' | 'lost';
}

const asked: Asked[] = [];
let stopped = false;

async function client(replicas: readonly Replica[], own: number): Promise<void> {
  const mine: string[] = [];
  // Always the same one: those of the paused replica wait, the others must not notice.
  const replica = own % count;
  const url = replicas[replica]?.url ?? '';
  while (!stopped) {
    const outcome = await create(url, mine);
    asked.push({ replica, outcome });
    if (mine.length > KEEP || outcome === 'full') await remove(replicas, mine.shift());
  }
}

async function create(url: string, mine: string[]): Promise<Asked['outcome']> {
  try {
    const signal = AbortSignal.timeout(pauseMs + 15_000);
    const request = { method: 'POST', headers: HEADERS, body: BODY, signal };
    const answer = await fetch(`${url}/v1/vms`, request);
    const { id } = (await answer.json()) as { id: string };
    if (answer.status === 202) mine.push(id);
    if (answer.status === 202) return 'placed';
    return answer.status === 409 ? 'full' : 'unavailable';
  } catch {
    return 'lost';
  }
}

/** By the replica that is never paused. */
async function remove(replicas: readonly Replica[], id: string | undefined): Promise<void> {
  if (id === undefined) return;
  const request = { method: 'DELETE', headers: HEADERS, signal: AbortSignal.timeout(10_000) };
  await fetch(`${replicas[AWAKE]?.url ?? ''}/v1/vms/${id}`, request).catch(() => null);
}

/** The lock as the last one that was stopped held it; it may not have run out yet. */
let caught = '';
/** One is stopped at a time, or they would be taken for each other. */
let catching = Promise.resolve();

/**
 * Stops the replica while it holds the placement lock. Whoever holds it for so long is the one that
 * was stopped: a turn of the others takes a few milliseconds.
 */
async function stopHolding(replica: Replica, lockOf: () => Promise<string | null>): Promise<void> {
  for (let tries = 0; tries < CATCHES_MAX; tries += 1) {
    await sleep(Math.random() * 100);
    replica.process.kill('SIGSTOP');
    const before = await lockOf();
    await sleep(HOLD_MS);
    if (before !== null && before !== caught && (await lockOf()) === before) {
      caught = before;
      return;
    }
    replica.process.kill('SIGCONT');
  }
  throw new Error('the replica never held the lock');
}

async function pause(fleet: BenchFleet, replica: Replica, lockOf: () => Promise<string | null>) {
  const stale = () => metric(replica.url, 'berth_catalogue_refusals_total{kind="stale_epoch"}');
  const staleBefore = await stale();
  const logged = replica.output().length;
  catching = catching.then(() => stopHolding(replica, lockOf));
  await catching;
  const from = asked.length;
  await sleep(pauseMs);
  const others = asked.slice(from).filter((one) => one.replica === AWAKE);
  replica.process.kill('SIGCONT');
  await sleep(RECOVERY_MS);
  const log = replica.output().slice(logged);
  const refused: Record<string, number> = { epoch: (await stale()) - staleBefore };
  for (const [who, words] of Object.entries(REFUSALS)) refused[who] = log.split(words).length - 1;
  return {
    replica: replica.port,
    othersAnswered: others.filter(({ outcome }) => outcome === 'placed' || outcome === 'full')
      .length,
    othersRefused: others.filter(({ outcome }) => outcome === 'unavailable' || outcome === 'lost')
      .length,
    refused,
    overbooked: await fleet.overbooked(),
  };
}

/** VMs that more than one agent has. */
async function doubles(fleet: BenchFleet): Promise<number> {
  const seen = new Map<string, number>();
  for (let index = 0; index < hosts; index += 1) {
    const answer = await fetch(
      `http://${addressOf(index)}:${fleet.agentsPort.toString()}/v1/status`,
    );
    const { vms } = (await answer.json()) as { vms: { id: string }[] };
    for (const { id } of vms) seen.set(id, (seen.get(id) ?? 0) + 1);
  }
  return [...seen.values()].filter((times) => times > 1).length;
}

/** Ends the load and waits until the books are equal. @returns hosts whose books are not */
async function settle(fleet: BenchFleet): Promise<number> {
  for (let looks = 0; looks < 60; looks += 1) {
    await sleep(1_000);
    if ((await fleet.drifted()) === 0) return 0;
  }
  return fleet.drifted();
}

const fleet = await BenchFleet.start();
try {
  await fleet.agents(hosts);
  const replicas: Replica[] = [];
  for (let index = 0; index < count; index += 1) {
    replicas.push(await fleet.replica({ LOG_LEVEL: 'debug' }));
  }
  await fleet.join(replicas[0]?.url ?? '', hosts);
  const load = Array.from({ length: clients }, (_unused, own) => client(replicas, own));
  const results: Awaited<ReturnType<typeof pause>>[] = [];
  const redis = fleet.redis.client();
  const lockOf = () => redis.get('berth:{main}:lock:placement');
  const pauseAgain = async (replica: Replica, times: number) => {
    for (let time = 0; time < times; time += 1) results.push(await pause(fleet, replica, lockOf));
  };
  await sleep(2_000);
  await Promise.all(
    replicas
      .filter((_one, index) => index !== AWAKE)
      .map((replica) => pauseAgain(replica, Math.ceil(pauses / (count - 1)))),
  );
  stopped = true;
  await Promise.all(load);
  const drifted = await settle(fleet);
  const twice = await doubles(fleet);
  const overbooked = Math.max(await fleet.overbooked(), ...results.map((one) => one.overbooked));
  const sum = (of: (one: (typeof results)[number]) => number) =>
    results.reduce((total, one) => total + of(one), 0);
  const answered = sum(({ othersAnswered }) => othersAnswered);
  const othersRefused = sum((one) => one.othersRefused);
  const table = new Table({
    head: ['pause', 'replica', 'others: answered', 'others: refused', 'late writes refused'],
    style: { head: [] },
  });
  for (const [round, one] of results.entries()) {
    const refused = Object.entries(one.refused).map(([who, times]) => `${who} ${times.toString()}`);
    table.push([round + 1, one.replica, one.othersAnswered, one.othersRefused, refused.join(', ')]);
  }
  const lateWrites = sum(({ refused }) =>
    Object.values(refused).reduce((total, times) => total + times, 0),
  );
  const share = (100 * answered) / (answered + othersRefused);
  conclude(
    {
      bench: 'paused',
      replicas: count,
      hosts,
      pauseMs,
      rounds: results,
      othersAnsweredPercent: share,
      overbooked,
      drifted,
      twice,
      lateWrites,
    },
    `${table.toString()}\n` +
      `others answered ${share.toFixed(2)} %; ${overbooked.toString()} hosts overbooked, ${drifted.toString()} with unequal books; ${twice.toString()} VMs on two hosts; ${lateWrites.toString()} late writes refused\n`,
    await fleet.stores(),
  );
  if (overbooked + drifted + twice > 0 || lateWrites === 0) process.exitCode = 1;
} finally {
  await fleet.stop();
}
process.exit();
