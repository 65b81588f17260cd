/**
 * The ledger made anew from 1,000 hosts and 100,000 VMs while creates go on: how long it takes, and
 * for how long nobody is placed. Prints a table and one JSON line.
 * Options: --hosts 1000 --vms 100000 --rounds 5 --callers 16
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { conclude } from './conclude.js';
import { BenchFleet, HEADERS, median } from './fleet.js';

const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '1000' },
    vms: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '5' },
    callers: { type: 'string', default: '16' },
  },
});
const hosts = Number(values.hosts);
const vms = Number(values.vms);
const rounds = Number(values.rounds);
const callers = Number(values.callers);
const BODY = JSON.stringify({ resources: { cpu: 1, memory: 256, disk: 1024 } });
/** Creates are watched for so long before and after a rebuild. */
const MARGIN_MS = 1_500;
/** Before a refused caller tries again. */
const PAUSE_MS = 20;

interface Round {
  readonly tookMs: number;
  readonly vms: number;
  /** Longest time in which nobody got an answer to a create. */
  readonly blockedMs: number;
  /** The same in the time before, when nothing is being rebuilt. */
  readonly usualMs: number;
  readonly refusals: number;
}

/** Creates one after the other until told to stop; notes when each was answered. */
class Callers {
  readonly answeredAt: number[] = [];
  refusals = 0;
  #isOver = false;
  readonly #running: Promise<unknown>;

  constructor(url: string) {
    this.#running = Promise.all(Array.from({ length: callers }, () => this.#call(url)));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  async #call(url: string): Promise<void> {
    while (!this.#isOver) {
      const answer = await fetch(`${url}/v1/vms`, { method: 'POST', headers: HEADERS, body: BODY });
      await answer.arrayBuffer();
      if (answer.status === 202) this.answeredAt.push(performance.now());
      else if (answer.status === 503) {
        this.refusals += 1;
        await sleep(PAUSE_MS);
      } else throw new Error(`a create was answered ${answer.status.toString()}`);
    }
  }
}

/** Between two answers, or an end and an answer. */
function longestGap(answeredAt: readonly number[], from: number, to: number): number {
  const marks = [from, ...answeredAt.filter((at) => at > from && at < to), to];
  return Math.max(...marks.slice(1).map((at, index) => at - (marks[index] ?? at)));
}

async function measure(url: string): Promise<Round> {
  const load = new Callers(url);
  await sleep(MARGIN_MS);
  const began = performance.now();
  const { vms: found } = await fleet.rebuild(url);
  const ended = performance.now();
  await sleep(MARGIN_MS);
  await load.stop();
  return {
    tookMs: ended - began,
    vms: found,
    blockedMs: longestGap(load.answeredAt, began, ended + MARGIN_MS),
    usualMs: longestGap(load.answeredAt, began - MARGIN_MS / 2, began),
    refusals: load.refusals,
  };
}

const fleet = await BenchFleet.start();
try {
  await fleet.agents(hosts);
  const { url } = await fleet.replica();
  await fleet.join(url, hosts);
  await fleet.fill(hosts, vms);
  process.stderr.write(
    `${Math.ceil(vms / hosts).toString()} VMs on each of ${hosts.toString()} hosts\n`,
  );
  // The ledger does not know of them yet.
  await fleet.rebuild(url);
  const results: Round[] = [];
  for (let round = 0; round < rounds; round += 1) {
    results.push(await measure(url));
    await sleep(3_000);
  }
  const wrong = { overbooked: await fleet.overbooked(), drifted: await fleet.drifted() };
  const table = new Table({
    head: ['rebuild', 'VMs', 'took ms', 'nobody placed ms', 'usual gap ms', '503'],
    style: { head: [], border: [] },
  });
  for (const [round, one] of results.entries()) {
    const times = [one.tookMs, one.blockedMs, one.usualMs].map((ms) => ms.toFixed(0));
    table.push([round + 1, one.vms, ...times, one.refusals]);
  }
  const medianTookMs = median(results.map(({ tookMs }) => tookMs));
  const medianBlockedMs = median(results.map(({ blockedMs }) => blockedMs));
  conclude(
    {
      bench: 'rebuild',
      hosts,
      vms,
      callers,
      rounds: results,
      medianTookMs,
      medianBlockedMs,
      ...wrong,
    },
    `${table.toString()}\n` +
      `median ${medianTookMs.toFixed(0)} ms, nobody placed for ${medianBlockedMs.toFixed(0)} ms; ` +
      `${wrong.overbooked.toString()} hosts overbooked, ${wrong.drifted.toString()} with unequal books\n`,
    await fleet.stores(),
  );
} finally {
  await fleet.stop();
}
process.exit(0);
