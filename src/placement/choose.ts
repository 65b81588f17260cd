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

/** The host that breaks the fewest soft rules; of those, the one with the highest score. */
export function choose(table: HostTable, request: PlacementRequest, ranking: Ranking): Decision {
  const prepared = prepare(table, request);
  const { groups } = prepared;
  const { host } = request.constraints;
  const race = new Race(table, prepared, ranking);
  if (host !== undefined) {
    race.tryEach(table.rowsCalled(host));
  } else {
    const apart = rowsApart(table, prepared);
    race.tryEach(apart);
    const { isAllowed, broken } = groups === null ? EVERYWHERE : elsewhere(groups);
    if (isAllowed) race.tryBestBeside(apart, broken);
  }
  const { row, score, feasible } = race;
  if (row < 0) return { kind: 'nowhere', summary: summarise(table, request) };
  const violations = groups === null ? NO_VIOLATIONS : brokenWishes(groups, table.factsAt(row).id);
  return { kind: 'placed', row, score, feasible, violations };
}

const EVERYWHERE = { isAllowed: true, broken: 0 };

/** Rows that are not like the others to this request: with members of its groups, or excluded. */
function rowsApart(
  table: HostTable,
  { constraints: { exclude }, groups }: PreparedRequest,
): ReadonlySet<number> {
  if (groups === null && exclude === undefined) return NO_ROWS;
  const rows = new Set<number>();
  for (const name of exclude ?? []) for (const row of table.rowsCalled(name)) rows.add(row);
  for (const { hosts } of groups ?? []) {
    for (const hostId of hosts.keys()) {
      const row = table.rowOf(hostId);
      if (row >= 0) rows.add(row);
    }
  }
  return rows;
}

/** The best so far, and how many could have taken the request. */
class Race {
  row = -1;
  score = 0;
  feasible = 0;
  #broken = 0;

  constructor(
    readonly table: HostTable,
    readonly request: PreparedRequest,
    readonly ranking: Ranking,
  ) {}

  tryEach(rows: Iterable<number>): void {
    const { table, request } = this;
    const { strategy, weights } = this.ranking;
    for (const row of rows) {
      if (!admits(table, row, request)) continue;
      this.feasible += 1;
      const score = strategy.score(table, row, request.ranked, weights);
      this.#offer(row, score, brokenAt(request.groups, table.factsAt(row).id));
    }
  }

  /** All other rows, which break the same number of wishes each. */
  tryBestBeside(apart: ReadonlySet<number>, broken: number): void {
    const best = keptFor(this.table).best(this.request, this.ranking, apart);
    this.feasible += best.feasible;
    if (best.row >= 0) this.#offer(best.row, best.score, broken);
  }

  #offer(row: number, score: number, broken: number): void {
    const wins =
      this.row < 0 ||
      broken < this.#broken ||
      (broken === this.#broken &&
        (score > this.score || (score === this.score && winsTie(this.table, row, this.row))));
    if (!wins) return;
    this.row = row;
    this.score = score;
    this.#broken = broken;
  }
}

const brokenAt = (groups: readonly PlacedRule[] | null, hostId: string): number =>
  groups === null ? 0 : brokenWishCount(groups, hostId);
