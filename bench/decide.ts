/**
 * Decisions in process, on fleets that are half full, against a plain scan of the same requests in
 * the same run. Prints a table and one JSON line.
 * Options: --hosts 1000,10000,100000 --classes 3,6 --fill 0.5 --strategy cosine --seed 1
 *          --traces FOLDER (nodes.csv and requests_default.csv of openb; made ones without it)
 */
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { NO_CONSTRAINTS } from '../src/model/constraints.js';
import type { PlacementRequest } from '../src/model/decision.js';
import type { Resources } from '../src/model/resources.js';
import { STRATEGY_NAMES } from '../src/model/strategies.js';
import { choose } from '../src/placement/choose.js';
import type { HostTable } from '../src/placement/host-table.js';
import { STRATEGIES } from '../src/placement/strategies.js';
import { weightsOf } from '../src/placement/strategy.js';
import { conclude } from './conclude.js';
import { fleetOf, loadOf, type Load } from './decide-load.js';
import { plainChoice } from './plain-scan.js';

const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '1000,10000,100000' },
    classes: { type: 'string', default: '3,6' },
    fill: { type: 'string', default: '0.5' },
    strategy: { type: 'string', default: 'cosine' },
    seed: { type: 'string', default: '1' },
    traces: { type: 'string' },
  },
});
const sizes = values.hosts.split(',').map(Number);
const classCounts = values.classes.split(',').map((text) => (text === '6' ? 6 : 3));
const fill = Number(values.fill);
const seed = Number(values.seed);
const strategy = STRATEGY_NAMES.find((name) => name === values.strategy) ?? 'cosine';
const RANKING = { strategy: STRATEGIES[strategy], weights: weightsOf({}) };

/** Requests of a kind that nobody has asked for before. */
const FIRSTS = 400;
/** Equal requests in a row, and how often. */
const BURST = 500;
const BURSTS = 60;
const MIXED = 6_000;
const MIXED_WARM_UP = 2_000;
/** Plain decisions that are compared with and timed. */
const PLAIN = 200;
/** Thousandths of a vCPU: more than any host of the loads has. */
const TOO_MUCH_CPU = 1_000_000;

interface Figures {
  readonly hosts: number;
  readonly classes: number;
  readonly kinds: number;
  readonly firstP50Us: number;
  readonly firstP99Us: number;
  readonly plainP50Us: number;
  readonly emptyP50Us: number;
  readonly repeatUs: number;
  readonly mixedP50Us: number;
  readonly mixedP99Us: number;
  readonly mixedPerSecond: number;
  readonly plainPerSecond: number;
  readonly refusalP50Us: number;
}

const requestFor = (resources: Resources): PlacementRequest => ({
  resources,
  constraints: NO_CONSTRAINTS,
  path: 'root',
});

const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;

function timed(task: () => void): number {
  const begun = performance.now();
  task();
  return (performance.now() - begun) * 1_000;
}

/** Requests of the load, each a little other than any before it. */
function* unseen(load: Load): Generator<PlacementRequest> {
  for (let at = 1; ; at += 1) {
    const resources = load.requests[(at * 7) % load.requests.length]!;
    yield requestFor({ ...resources, memory: (resources.memory ?? 0) + at });
  }
}

const rowChosen = (table: HostTable, request: PlacementRequest): number => {
  const decision = choose(table, request, RANKING);
  return decision.kind === 'placed' ? decision.row : -1;
};

/** µs of each decision; with a plain one for each, which has to be the same. */
function measureFirsts(table: HostTable, requests: Iterator<PlacementRequest>) {
  const ours: number[] = [];
  const plain: number[] = [];
  for (let at = 0; at < FIRSTS + PLAIN; at += 1) {
    const request = requests.next().value as PlacementRequest;
    // A refusal is explained host by host, which is no part of a decision that finds one.
    if (plainChoice(table, request, RANKING) < 0) continue;
    let row = -1;
    const took = timed(() => (row = rowChosen(table, request)));
    if (at >= PLAIN) ours.push(took);
    if (at >= FIRSTS) continue;
    const tookPlain = timed(() => {
      if (plainChoice(table, request, RANKING) !== row) throw new Error('another host was chosen');
    });
    if (at >= PLAIN) plain.push(tookPlain);
  }
  return { ours: ours.sort((a, b) => a - b), plain: plain.sort((a, b) => a - b) };
}

/** µs per decision of a burst of equal requests, the first one and each booking included. */
function measureRepeats(table: HostTable, requests: Iterator<PlacementRequest>): number {
  const took: number[] = [];
  for (let burst = 0; burst < BURSTS; burst += 1) {
    const request = requests.next().value as PlacementRequest;
    if (plainChoice(table, request, RANKING) < 0) continue;
    const booked: number[] = [];
    const micros = timed(() => {
      for (let at = 0; at < BURST; at += 1) {
        const row = rowChosen(table, request);
        if (row < 0) return;
        table.book(row, request.resources);
        booked.push(row);
      }
    });
    took.push(micros / booked.length);
    for (const row of booked.reverse()) table.unbook(row, request.resources);
  }
  return percentile(
    took.sort((a, b) => a - b),
    0.5,
  );
}

/** Requests that find a host at first: a refusal tells of every host, and is no decision to time. */
function takeable(table: HostTable, load: Load): readonly PlacementRequest[] {
  const found = new Map<string, boolean>();
  return load.requests.map(requestFor).filter((request) => {
    const shape = JSON.stringify(request.resources);
    const isTaken = found.get(shape) ?? plainChoice(table, request, RANKING) >= 0;
    found.set(shape, isTaken);
    return isTaken;
  });
}

/** Requests as they come; each that is placed lets the oldest go, so that the fleet stays as full. */
function measureMixed(
  table: HostTable,
  requests: readonly PlacementRequest[],
  decide: (request: PlacementRequest) => number,
  count: number,
  warmUp: number,
) {
  const took: number[] = [];
  const stay: { readonly row: number; readonly resources: Resources }[] = [];
  let begun = 0;
  for (let at = 0; at < count + warmUp; at += 1) {
    if (at === warmUp) begun = performance.now();
    const request = requests[at % requests.length]!;
    let row = -1;
    const micros = timed(() => (row = decide(request)));
    if (row < 0) continue;
    if (at >= warmUp) took.push(micros);
    table.book(row, request.resources);
    stay.push({ row, resources: request.resources });
    const oldest = stay.length > 500 ? stay.shift() : undefined;
    if (oldest !== undefined) table.unbook(oldest.row, oldest.resources);
  }
  const perSecond = took.length / ((performance.now() - begun) / 1_000);
  for (const { row, resources } of stay) table.unbook(row, resources);
  return { sorted: took.sort((a, b) => a - b), perSecond };
}

/** µs to say that no host has room, and which comes nearest. */
function measureRefusals(table: HostTable, requests: Iterator<PlacementRequest>): number {
  const took: number[] = [];
  for (let at = 0; at < PLAIN; at += 1) {
    const { resources, ...rest } = requests.next().value as PlacementRequest;
    const request = { ...rest, resources: { ...resources, cpu: TOO_MUCH_CPU } };
    took.push(timed(() => choose(table, request, RANKING)));
  }
  return percentile(
    took.sort((a, b) => a - b),
    0.5,
  );
}

function measure(load: Load, hosts: number, classes: number): Figures {
  const table = fleetOf(load, hosts, fill, seed);
  const requests = unseen(load);
  const { ours, plain } = measureFirsts(table, requests);
  const repeatUs = measureRepeats(table, requests);
  const taken = takeable(table, load);
  const mixed = measureMixed(table, taken, (one) => rowChosen(table, one), MIXED, MIXED_WARM_UP);
  const plainly = (one: PlacementRequest) => plainChoice(table, one, RANKING);
  const plainMixed = measureMixed(table, taken, plainly, PLAIN, 0);
  const empty = fleetOf(load, hosts, 0, seed);
  const ofEmpty = measureFirsts(empty, requests).ours;
  return {
    hosts,
    classes,
    kinds: table.kinds.size,
    firstP50Us: percentile(ours, 0.5),
    firstP99Us: percentile(ours, 0.99),
    plainP50Us: percentile(plain, 0.5),
    emptyP50Us: percentile(ofEmpty, 0.5),
    repeatUs,
    mixedP50Us: percentile(mixed.sorted, 0.5),
    mixedP99Us: percentile(mixed.sorted, 0.99),
    mixedPerSecond: mixed.perSecond,
    plainPerSecond: plainMixed.perSecond,
    refusalP50Us: measureRefusals(table, requests),
  };
}

function report(loadName: string, figures: readonly Figures[]): void {
  const table = new Table({
    head: [
      ...['hosts', 'classes', 'kinds of hosts', 'first p50', 'p99', 'plain p50', 'first, empty'],
      ...['repeat', 'mixed p50', 'p99', 'mixed /s', 'plain /s', 'refusal'],
    ],
    style: { head: [], border: [] },
  });
  for (const one of figures) {
    const micros = [one.firstP50Us, one.firstP99Us, one.plainP50Us, one.emptyP50Us, one.repeatUs];
    table.push([
      one.hosts,
      one.classes,
      one.kinds,
      ...[...micros, one.mixedP50Us, one.mixedP99Us].map((value) => value.toFixed(1)),
      one.mixedPerSecond.toFixed(0),
      one.plainPerSecond.toFixed(0),
      one.refusalP50Us.toFixed(0),
    ]);
  }
  const summary = { bench: 'decide', load: loadName, strategy, fill, figures };
  conclude(summary, `${table.toString()}\nTimes in µs. ${strategy}, ${loadName}`);
}

const all: Figures[] = [];
let loadName = '';
for (const classes of classCounts) {
  const load = loadOf(values.traces ?? null, classes, seed);
  loadName = load.name;
  for (const hosts of sizes) all.push(measure(load, hosts, classes));
}
report(loadName, all);
