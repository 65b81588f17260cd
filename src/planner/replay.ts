/**
 * Arrivals, lifetimes and departures of a load, decided by the very code that decides in production
 * (choose on a HostTable), and what became of them. Nothing waits: what is refused is gone.
 */
import type { DecisionSummary } from '../model/decision.js';
import type { FleetHost } from '../model/host.js';
import type { Resources } from '../model/resources.js';
import type { StrategyName } from '../model/strategies.js';
import { choose } from '../placement/choose.js';
import { rankedAmounts } from '../placement/ranked-classes.js';
import type { HostTable } from '../placement/host-table.js';
import type { Ranking } from '../placement/strategy.js';
import { classesOf, groupsOf, tableOf, totalLimits, type SlicedWork } from './fleet.js';
import { meanRequest, type LoadRequest } from './load.js';
import { fragmentationOf, shareOf, tightestShare, utilisationOf } from './measures.js';
import { rankingOn } from './strategies.js';

/** How the fleet was at one moment; shares from 0 to 1. */
export interface ReplaySample {
  readonly atS: number;
  /** What everybody who would be there by then asks for, refused ones included: tightest class. */
  readonly load: number;
  readonly utilisation: Readonly<Record<string, number>>;
  readonly fragmentation: number;
  readonly emptyHosts: number;
  /** So far. */
  readonly placed: number;
  readonly refused: number;
}

export interface ReplayResult {
  readonly strategy: StrategyName;
  readonly hosts: number;
  readonly requests: number;
  readonly placed: number;
  readonly refused: number;
  /** Per refused request one reason: `insufficient memory`, `zone`, … */
  readonly refusedByReason: Readonly<Record<string, number>>;
  /** Of the amounts asked for, the share that was refused: mean over the classes. */
  readonly refusedVolume: number;
  /** The first that was refused: which (from 1), and the load it met; null when none was. */
  readonly firstRefusal: { readonly request: number; readonly load: number } | null;
  /** The load when 1 % of all requests so far were refused; null when it never came to that. */
  readonly onePercent: { readonly request: number; readonly load: number } | null;
  readonly peak: Readonly<Record<string, number>>;
  readonly mean: Readonly<Record<string, number>>;
  /** Means over the samples. */
  readonly fragmentation: number;
  readonly emptyHosts: number;
  readonly samples: readonly ReplaySample[];
}

export interface ReplayInput {
  readonly hosts: readonly FleetHost[];
  readonly requests: readonly LoadRequest[];
  readonly strategy: StrategyName;
  /** Places that are kept for each of the largest shapes; 0: none. */
  readonly reserveLarge?: number;
}

/** Points of a chart. */
const SAMPLES = 200;

/** Events between two looks of whoever drives the work. */
const SLICE_EVENTS = 16;

/** Refusals below this share of all are few. */
const FEW = 0.01;
/** Of fewer requests, one per cent says nothing. */
const ONE_PERCENT_FROM = 100;

/** One arrival or departure. */
interface LoadEvent {
  readonly atS: number;
  readonly isArrival: boolean;
  readonly index: number;
}

/** In order of time; those who leave make room for those who come at the same moment. */
function eventsOf(requests: readonly LoadRequest[]): readonly LoadEvent[] {
  const events = requests.flatMap(({ arrivalS, lifetimeS }, index): LoadEvent[] => [
    { atS: arrivalS, isArrival: true, index },
    ...(lifetimeS === null ? [] : [{ atS: arrivalS + lifetimeS, isArrival: false, index }]),
  ]);
  return events.sort(
    (a, b) => a.atS - b.atS || Number(a.isArrival) - Number(b.isArrival) || a.index - b.index,
  );
}

/** Replays a load on a copy of the hosts; what is booked on them already stays. */
export function* replay(input: ReplayInput): SlicedWork<ReplayResult> {
  const { hosts, requests, strategy, reserveLarge = 0 } = input;
  const events = eventsOf(requests);
  const run = new Replay(hosts, requests, rankingOn(hosts, strategy, reserveLarge));
  const sampleEvery = Math.max(1, Math.ceil(events.length / SAMPLES));
  for (const [count, event] of events.entries()) {
    if (event.isArrival) run.arrive(event.index);
    else run.depart(event.index);
    if ((count + 1) % sampleEvery === 0 || count + 1 === events.length) run.sample(event.atS);
    if (count % SLICE_EVENTS === 0) yield count / events.length;
  }
  return run.result(strategy);
}

/** The fleet on its way through the load. */
class Replay {
  readonly #table: HostTable;
  readonly #requests: readonly LoadRequest[];
  readonly #ranking: Ranking;
  readonly #classes: readonly string[];
  readonly #limits: Resources;
  readonly #mean: Resources;
  /** Per request the row that it is on; -1 where it is not. Rows stay: no host is removed. */
  readonly #rows: Int32Array;
  readonly #vmsOf: Int32Array;
  /** Of everybody who would be there. */
  readonly #present: Record<string, number> = {};
  readonly #offered: Record<string, number> = {};
  readonly #lost: Record<string, number> = {};
  readonly #reasons: Record<string, number> = {};
  readonly #samples: ReplaySample[] = [];
  #emptyHosts = 0;
  #placed = 0;
  #refused = 0;
  #firstRefusal: ReplayResult['firstRefusal'] = null;
  #onePercent: ReplayResult['onePercent'] = null;

  constructor(hosts: readonly FleetHost[], requests: readonly LoadRequest[], ranking: Ranking) {
    this.#table = tableOf({ hosts, vms: [] });
    this.#requests = requests;
    this.#ranking = ranking;
    this.#classes = classesOf(hosts);
    this.#limits = totalLimits(hosts);
    this.#mean = meanRequest(requests);
    this.#rows = new Int32Array(requests.length).fill(-1);
    this.#vmsOf = new Int32Array(this.#table.size);
    for (let row = 0; row < this.#table.size; row += 1) {
      // What is booked already counts as a VM that stays.
      const isEmpty = Object.values(this.#table.allocatedAt(row)).every((amount) => amount === 0);
      if (isEmpty) this.#emptyHosts += 1;
      else this.#vmsOf[row] = 1;
    }
  }

  arrive(index: number): void {
    const request = this.#request(index);
    add(this.#present, request.resources, 1);
    add(this.#offered, request.resources, 1);
    this.#ranking.large?.note(rankedAmounts(request.resources));
    const decision = choose(this.#table, request, this.#ranking);
    if (decision.kind === 'nowhere') {
      this.#refuse(request, decision.summary);
      return;
    }
    const { row } = decision;
    this.#table.book(row, request.resources, groupsOf(request));
    this.#rows[index] = row;
    this.#placed += 1;
    if (this.#vmsOf[row] === 0) this.#emptyHosts -= 1;
    this.#vmsOf[row] = (this.#vmsOf[row] ?? 0) + 1;
  }

  depart(index: number): void {
    const request = this.#request(index);
    add(this.#present, request.resources, -1);
    const row = this.#rows[index] ?? -1;
    if (row < 0) return;
    this.#table.unbook(row, request.resources, groupsOf(request));
    this.#rows[index] = -1;
    this.#vmsOf[row] = (this.#vmsOf[row] ?? 0) - 1;
    if (this.#vmsOf[row] === 0) this.#emptyHosts += 1;
  }

  sample(atS: number): void {
    this.#samples.push({
      atS,
      load: tightestShare(this.#present, this.#limits),
      utilisation: utilisationOf(this.#table, this.#classes),
      fragmentation: fragmentationOf(this.#table, this.#mean),
      emptyHosts: this.#emptyHosts,
      placed: this.#placed,
      refused: this.#refused,
    });
  }

  result(strategy: StrategyName): ReplayResult {
    const samples = this.#samples;
    const over = (join: (values: readonly number[]) => number): Record<string, number> =>
      Object.fromEntries(
        this.#classes.map((name) => [
          name,
          join(samples.map(({ utilisation }) => utilisation[name] ?? 0)),
        ]),
      );
    return {
      strategy,
      hosts: this.#table.size,
      requests: this.#requests.length,
      placed: this.#placed,
      refused: this.#refused,
      refusedByReason: this.#reasons,
      refusedVolume: meanOf(
        Object.entries(this.#offered)
          .filter(([, amount]) => amount > 0)
          .map(([name, amount]) => (this.#lost[name] ?? 0) / amount),
      ),
      firstRefusal: this.#firstRefusal,
      onePercent: this.#onePercent,
      peak: over((values) => values.reduce((left, right) => Math.max(left, right), 0)),
      mean: over(meanOf),
      fragmentation: meanOf(samples.map(({ fragmentation }) => fragmentation)),
      emptyHosts: meanOf(samples.map(({ emptyHosts }) => emptyHosts)),
      samples,
    };
  }

  #refuse({ resources }: LoadRequest, summary: DecisionSummary): void {
    this.#refused += 1;
    add(this.#lost, resources, 1);
    const reason = mainReason(summary);
    this.#reasons[reason] = (this.#reasons[reason] ?? 0) + 1;
    const request = this.#placed + this.#refused;
    const met = { request, load: tightestShare(this.#present, this.#limits) };
    this.#firstRefusal ??= met;
    if (request >= ONE_PERCENT_FROM && shareOf(this.#refused, request) >= FEW) {
      this.#onePercent ??= met;
    }
  }

  #request(index: number): LoadRequest {
    const request = this.#requests[index];
    if (request === undefined) throw new RangeError(`no request ${index.toString()}`);
    return request;
  }
}

function add(sums: Record<string, number>, amounts: Resources, by: 1 | -1): void {
  for (const [name, amount] of Object.entries(amounts))
    sums[name] = (sums[name] ?? 0) + by * amount;
}

const meanOf = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((left, right) => left + right, 0) / values.length;

/**
 * The one reason of a refusal: what the host that comes nearest lacks; where none lacks room only,
 * what kept most hosts away.
 */
export function mainReason({ considered, byReason, nearest }: DecisionSummary): string {
  if (considered === 0) return 'no hosts';
  if (nearest !== null) return `insufficient ${Object.keys(nearest.missing).sort().join(' + ')}`;
  const [most] = Object.entries(byReason).sort(
    ([a, left], [b, right]) => right - left || (a < b ? -1 : 1),
  );
  return most?.[0] ?? 'no hosts';
}
