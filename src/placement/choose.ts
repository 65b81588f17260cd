/**
 * One decision: filter every host, rank those that are left, take the best. Pure; books nothing.
 * explain.ts tells the same decision in full.
 *
 * Most hosts are the same to a request but for their amounts: the best of these comes from
 * kept-rankings.ts. The few that it names, or that have members of its groups, are looked at one by
 * one.
 */
import type { DecisionSummary, PlacementRequest } from '../model/decision.js';
import type { GroupRule } from '../model/groups.js';
import { admits, prepare, type PreparedRequest } from './filter.js';
import { brokenWishCount, brokenWishes, elsewhere, type PlacedRule } from './group-rules.js';
import type { HostTable } from './host-table.js';
import { keptRows, type KeptRows } from './kept-places.js';
import { keptFor } from './kept-rankings.js';
import { winsTie } from './order.js';
import type { Ranking } from './strategy.js';
import { summarise } from './summarise.js';

/** A refusal is a value that explains itself. */
export type Decision =
  | {
      readonly kind: 'placed';
      readonly row: number;
      readonly score: number;
      /** Hosts that could have taken it, this one included. */
      readonly feasible: number;
      /** Soft rules that the chosen host breaks. */
      readonly violations: readonly GroupRule[];
    }
  | { readonly kind: 'nowhere'; readonly summary: DecisionSummary };

const NO_VIOLATIONS: readonly GroupRule[] = [];
const NO_ROWS: ReadonlySet<number> = new Set();

/**
 * The host that breaks the fewest soft rules; of those, one that is not kept for large VMs; of those,
 * the one with the highest score, or one of the best few at random.
 */
export function choose(table: HostTable, request: PlacementRequest, ranking: Ranking): Decision {
  const prepared = prepare(table, request);
  const { groups } = prepared;
  const { host } = request.constraints;
  const race = new Race(table, prepared, ranking);
  if (host !== undefined) {
    race.tryEach(table.rowsCalled(host));
  } else {
    const apart = rowsApart(table, prepared, race.kept);
    race.tryEach(apart);
    const { isAllowed, broken } = groups === null ? EVERYWHERE : elsewhere(groups);
    if (isAllowed) race.tryBestBeside(apart, broken);
  }
  const { taken, feasible } = race;
  if (taken === undefined) return { kind: 'nowhere', summary: summarise(table, request) };
  const { row, score } = taken;
  const violations = groups === null ? NO_VIOLATIONS : brokenWishes(groups, table.factsAt(row).id);
  return { kind: 'placed', row, score, feasible, violations };
}

const EVERYWHERE = { isAllowed: true, broken: 0 };

/** Rows that are not like the others to this request: with members of its groups, excluded, or kept. */
function rowsApart(
  table: HostTable,
  { constraints: { exclude }, groups }: PreparedRequest,
  kept: KeptRows,
): ReadonlySet<number> {
  if (groups === null && exclude === undefined && kept.size === 0) return NO_ROWS;
  const rows = new Set(kept.keys());
  for (const name of exclude ?? []) for (const row of table.rowsCalled(name)) rows.add(row);
  for (const { hosts } of groups ?? []) {
    for (const hostId of hosts.keys()) {
      const row = table.rowOf(hostId);
      if (row >= 0) rows.add(row);
    }
  }
  return rows;
}

interface Runner {
  readonly row: number;
  readonly score: number;
  /** Soft rules that it breaks, and half a one if it is kept: fewer come first. */
  readonly drawback: number;
}

/** The best few so far, and how many could have taken the request. */
class Race {
  readonly kept: KeptRows;
  feasible = 0;
  /** Best first. */
  readonly #best: Runner[] = [];
  readonly #count: number;

  constructor(
    readonly table: HostTable,
    readonly request: PreparedRequest,
    readonly ranking: Ranking,
  ) {
    this.kept = keptRows(table, request, ranking);
    this.#count = ranking.top?.count ?? 1;
  }

  tryEach(rows: Iterable<number>): void {
    const { table, request } = this;
    const { strategy, weights } = this.ranking;
    for (const row of rows) {
      if (!admits(table, row, request)) continue;
      this.feasible += 1;
      const score = strategy.score(table, row, request.ranked, weights);
      const broken = brokenAt(request.groups, table.factsAt(row).id);
      this.#offer({ row, score, drawback: broken + (this.kept.has(row) ? KEPT : 0) });
    }
  }

  /** All other rows, which break the same number of wishes each and are not kept. */
  tryBestBeside(apart: ReadonlySet<number>, broken: number): void {
    const rankings = keptFor(this.table);
    if (this.#count === 1) {
      const best = rankings.best(this.request, this.ranking, apart);
      this.feasible += best.feasible;
      if (best.row >= 0) this.#offer({ row: best.row, score: best.score, drawback: broken });
      return;
    }
    const few = rankings.bestFew(this.request, this.ranking, apart, this.#count);
    this.feasible += few[0]?.feasible ?? 0;
    for (const { row, score } of few) this.#offer({ row, score, drawback: broken });
  }

  /** The best, or by lot one of the best few that have no more drawbacks; undefined without any. */
  get taken(): Runner | undefined {
    const [best] = this.#best;
    const { top } = this.ranking;
    if (best === undefined || top === undefined) return best;
    const alike = this.#best.filter(({ drawback }) => drawback === best.drawback);
    return alike[Math.floor(top.random() * alike.length)];
  }

  #offer(runner: Runner): void {
    const at = this.#best.findIndex((other) => this.#isBefore(runner, other));
    this.#best.splice(at < 0 ? this.#best.length : at, 0, runner);
    if (this.#best.length > this.#count) this.#best.pop();
  }

  #isBefore(one: Runner, other: Runner): boolean {
    if (one.drawback !== other.drawback) return one.drawback < other.drawback;
    if (one.score !== other.score) return one.score > other.score;
    return winsTie(this.table, one.row, other.row);
  }
}

/** Being kept weighs less than any soft rule. */
const KEPT = 0.5;

const brokenAt = (groups: readonly PlacedRule[] | null, hostId: string): number =>
  groups === null ? 0 : brokenWishCount(groups, hostId);
