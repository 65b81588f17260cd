/**
 * One fleet filled to the brim, or kept nearly full while VMs come and go, by the placement code
 * of the product.
 */
import { NO_CONSTRAINTS } from '../src/model/constraints.js';
import { capacitiesOf, inventoryOf, limitsOf } from '../src/model/inventory.js';
import { choose } from '../src/placement/choose.js';
import { HostTable } from '../src/placement/host-table.js';
import { LargeShapes } from '../src/placement/large-shapes.js';
import { type Ranking, type Strategy, weightsOf } from '../src/placement/strategy.js';
import { prngOf } from '../src/std/prng.js';
import { shuffled, sumOf, type Amounts, type Load, type Scenario } from './pack-load.js';

const CLASSES = ['cpu', 'memory', 'disk'] as const;
const LOAD_MAX = 1.3;
const REFUSED_SHARE = 0.01;
const WARM_UP_LIFETIMES = 3;

/** What packs: a strategy, and how many places it keeps for each of the largest shapes. */
export interface Packer {
  readonly strategy: Strategy;
  readonly places: number;
}

export interface Filled {
  /** How many requests came until the first refusal, in percent of those that volume allows. */
  readonly firstRefusal: number;
  /** Load of the tightest class that was on offer when one in a hundred had been refused, in percent. */
  readonly loadAtOnePercent: number;
  /** How much of each class is booked at 130 % offered, in percent. */
  readonly used: Readonly<Record<string, number>>;
  readonly usedOfTightest: number;
}

/** A fleet, and what of it matters. */
class Packed {
  readonly table: HostTable;
  readonly capacity: Amounts;
  readonly tightest: (typeof CLASSES)[number];
  readonly counted: readonly (typeof CLASSES)[number][];
  readonly #ranking: Ranking;
  /** Shapes that had no place; while nobody leaves they have none. */
  readonly #refused = new Set<string>();

  constructor(
    load: Load,
    { cpuOvercommit, withDisk }: Scenario,
    { strategy, places }: Packer,
    readonly seed: number,
  ) {
    const hosts = shuffled(load.hosts, prngOf(seed).fork('hosts')).map((host, index) => {
      const total = withDisk ? host : { ...host, disk: 1 };
      const inventory = inventoryOf(
        Object.fromEntries(
          CLASSES.map((name) => [name, { total: total[name], source: 'detected' }]),
        ),
        { overcommit: { cpu: cpuOvercommit }, reserve: {} },
      );
      const id = index.toString();
      return {
        ...{ id, name: id, seq: index, revision: 1, zone: 'a', labels: {} },
        ...({ state: 'up', mode: 'enabled', allocated: {} } as const),
        capacity: capacitiesOf(inventory),
        limits: limitsOf(inventory),
      };
    });
    this.table = HostTable.of(hosts);
    const weights = weightsOf(withDisk ? {} : { disk: 0 });
    this.#ranking = { strategy, weights };
    if (places > 0) this.#ranking = { strategy, weights, large: new LargeShapes(places) };
    this.counted = withDisk ? CLASSES : ['cpu', 'memory'];
    this.capacity = sumOf(hosts.map(({ capacity }) => capacity as unknown as Amounts));
    const asked = sumOf(load.requests);
    const share = (name: keyof Amounts) => asked[name] / this.capacity[name];
    this.tightest = this.counted.reduce((one, other) => (share(other) > share(one) ? other : one));
  }

  /** The row that took it, or -1. */
  place(resources: Amounts): number {
    const { cpu, memory, disk } = resources;
    this.#ranking.large?.note(Float64Array.of(cpu, memory, disk));
    const shape = `${cpu.toString()}/${memory.toString()}/${disk.toString()}`;
    if (this.#refused.has(shape)) return -1;
    const request = { resources: { ...resources }, constraints: NO_CONSTRAINTS, path: 'root' };
    const decision = choose(this.table, request, this.#ranking);
    if (decision.kind === 'nowhere') {
      this.#refused.add(shape);
      return -1;
    }
    this.table.book(decision.row, request.resources);
    return decision.row;
  }

  leave(row: number, resources: Amounts): void {
    this.table.unbook(row, { ...resources });
    this.#refused.clear();
  }

  /** Share of the fleet that a request is, over the classes that count. */
  volumeOf(resources: Amounts): number {
    const shares = this.counted.map((name) => resources[name] / this.capacity[name]);
    return shares.reduce((sum, share) => sum + share, 0) / shares.length;
  }
}

const withoutDisk = ({ cpu, memory }: Amounts): Amounts => ({ cpu, memory, disk: 0 });

const requestsOf = (load: Load, { withDisk }: Scenario): readonly Amounts[] =>
  withDisk ? load.requests : load.requests.map(withoutDisk);

/** Arrivals only: once in their order, then shuffled again and again, until 130 % were offered. */
export function fill(load: Load, scenario: Scenario, packer: Packer, seed: number): Filled {
  const fleet = new Packed(load, scenario, packer, seed);
  const { tightest, capacity } = fleet;
  const prng = prngOf(seed).fork('requests');
  const inOrder = requestsOf(load, scenario);
  const booked = { cpu: 0, memory: 0, disk: 0 };
  let [offered, count, refused] = [0, 0, 0];
  let [firstRefused, countAtFull, loadAtOnePercent] = [NaN, NaN, NaN];
  for (let pass = inOrder; offered < LOAD_MAX; pass = shuffled(inOrder, prng)) {
    for (const request of pass) {
      if (offered >= LOAD_MAX) break;
      count += 1;
      offered += request[tightest] / capacity[tightest];
      if (offered <= 1) countAtFull = count;
      if (fleet.place(request) >= 0) {
        for (const name of CLASSES) booked[name] += request[name];
        continue;
      }
      refused += 1;
      if (refused === 1) firstRefused = count;
      if (Number.isNaN(loadAtOnePercent) && refused >= count * REFUSED_SHARE) {
        loadAtOnePercent = 100 * offered;
      }
    }
  }
  const used = Object.fromEntries(
    fleet.counted.map((name) => [name, (100 * booked[name]) / capacity[name]]),
  );
  const firstRefusal = (100 * firstRefused) / countAtFull;
  return { firstRefusal, loadAtOnePercent, used, usedOfTightest: used[tightest] ?? NaN };
}

/**
 * VMs come and go: shapes drawn from the requests, exponential lifetimes, so that of m VMs each is
 * the next to leave with the same chance.
 * @returns refused share of the volume that arrived after the warm-up, in percent
 */
export function churn(
  load: Load,
  scenario: Scenario,
  packer: Packer,
  seed: number,
  arrivals: number,
): number {
  const fleet = new Packed(load, scenario, packer, seed);
  const requests = requestsOf(load, scenario);
  const { tightest, capacity } = fleet;
  const meanRequest = sumOf(requests)[tightest] / requests.length;
  /** Arrivals in one mean lifetime. */
  const rate = (scenario.churnLoad * capacity[tightest]) / meanRequest;
  const arriving = prngOf(seed).fork('arrivals');
  const leaving = prngOf(seed).fork('departures');
  const running: { readonly row: number; readonly resources: Amounts }[] = [];
  const warmUp = Math.ceil(WARM_UP_LIFETIMES * rate);
  let [volume, lost] = [0, 0];
  for (let arrived = 0; arrived < warmUp + arrivals;) {
    if (leaving.next() * (rate + running.length) < running.length) {
      const at = leaving.between(0, running.length - 1);
      const gone = running[at];
      const last = running.pop();
      if (gone === undefined || last === undefined) continue;
      if (at < running.length) running[at] = last;
      fleet.leave(gone.row, gone.resources);
      continue;
    }
    arrived += 1;
    const resources = arriving.pick(requests);
    const row = fleet.place(resources);
    if (row >= 0) running.push({ row, resources });
    if (arrived <= warmUp) continue;
    volume += fleet.volumeOf(resources);
    if (row < 0) lost += fleet.volumeOf(resources);
  }
  return (100 * lost) / volume;
}
