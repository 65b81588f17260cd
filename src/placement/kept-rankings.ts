/**
 * The ranking of all hosts for a shape of request, kept from one decision to the next and mended
 * where rows have changed: a burst of equal requests costs one scan, and then a few matches each.
 * Nothing hangs on what is kept: without it, every decision is a scan with the same answer.
 */
import { hasOtherRoom, type PreparedRequest } from './filter.js';
import { demandKey, HostSets, isIn, type HostSet } from './host-sets.js';
import { RANKED, type HostTable } from './host-table.js';
import { judge, Scanner, type Best } from './scan.js';
import type { Ranking, Sight, Strategy } from './strategy.js';
import { WinnerTree } from './winner-tree.js';

export interface KeptLimits {
  /** Shapes of requests that are remembered. */
  readonly shapesMax: number;
  /** Memory of all trees together. */
  readonly bytesMax: number;
}

/** Enough for all shapes of 10,000 hosts, or 75 of 100,000. */
const LIMITS: KeptLimits = { shapesMax: 512, bytesMax: 64 * 1024 * 1024 };

/** To mend one row costs about as much as to scan so many; so little is always mended. */
const ROWS_PER_MEND = 8;
const MENDS_MIN = 16;

/** Classes beyond the ranked ones and their amounts; null when none is asked for. */
type Others = readonly { readonly name: string; readonly amount: number }[] | null;

/** All requests that are the same to every host, under one ranking. */
interface Shape {
  readonly strategy: Strategy;
  readonly weights: Float64Array;
  readonly ranked: Float64Array;
  /** Other classes that are asked for. */
  readonly others: Others;
  /** Zone and labels; empty for most. */
  readonly demand: string;
  /** The number of the question that last asked for it. */
  askedIn: number;
  /** When the table was last looked at for it; the tree is as of then. */
  mark: number;
  /** The same, of what the strategy sees of the fleet as a whole. */
  fleetRevision: number;
  tree: WinnerTree | null;
}

export class KeptRankings {
  readonly #table: HostTable;
  readonly #limits: KeptLimits;
  readonly #scanner: Scanner;
  readonly #sets: HostSets;
  /** By a number made of the amounts; shapes that share it stand in a list. */
  readonly #shapes = new Map<number, Shape[]>();
  #shapeCount = 0;
  #bytes = 0;
  #questions = 0;

  constructor(table: HostTable, limits = LIMITS) {
    this.#table = table;
    this.#limits = limits;
    this.#scanner = new Scanner(table);
    this.#sets = new HostSets(table);
  }

  /** What is kept at present. */
  get kept(): { readonly shapes: number; readonly bytes: number } {
    return { shapes: this.#shapeCount, bytes: this.#bytes };
  }

  /** The best of all rows but some, groups, `host` and `exclude` left aside. */
  best(request: PreparedRequest, ranking: Ranking, beside: ReadonlySet<number>): Best {
    const { demand, among } = this.#demandOf(request);
    const tree = this.#treeFor(request, ranking, demand, among);
    return tree === null
      ? this.#scanner.best(request, ranking, { among, beside })
      : bestIn(tree, beside);
  }

  /** The best few in the same way, best first; all tell the same number of feasible rows. */
  bestFew(
    request: PreparedRequest,
    ranking: Ranking,
    beside: ReadonlySet<number>,
    count: number,
  ): readonly Best[] {
    const { demand, among } = this.#demandOf(request);
    const tree =
      this.#treeFor(request, ranking, demand, among) ?? this.#treeOf(request, ranking, among);
    const { feasible } = bestIn(tree, beside);
    const few: Best[] = [];
    const taken = new Set(beside);
    while (few.length < Math.min(count, feasible)) {
      const best = bestIn(tree, taken);
      few.push({ ...best, feasible });
      taken.add(best.row);
    }
    return few;
  }

  #demandOf({ constrained, constraints }: PreparedRequest): {
    readonly demand: string;
    readonly among: HostSet | null;
  } {
    const demand = constrained ? demandKey(constraints) : '';
    return { demand, among: demand === '' ? null : this.#sets.of(demand, constraints) };
  }

  /** @returns null when a scan is as good: for a shape that is new, or comes seldom */
  #treeFor(
    request: PreparedRequest,
    ranking: Ranking,
    demand: string,
    among: HostSet | null,
  ): WinnerTree | null {
    const table = this.#table;
    const { sees } = ranking.strategy;
    if (sees === undefined || sees === 'anything') return null;
    this.#questions += 1;
    const shape = this.#shapeOf(request, ranking, demand);
    const changes = table.changes.since(shape.mark);
    const fleetRevision = revisionOf(table, sees);
    const isSame = shape.fleetRevision === fleetRevision;
    const isSoon = changes <= MENDS_MIN + table.size / ROWS_PER_MEND;
    const before = shape.mark;
    shape.mark = table.changes.now;
    shape.fleetRevision = fleetRevision;
    // What hangs on sums may be other again soon: it is kept from the second look on.
    if (!isSoon || (sees === 'fleet' && !isSame)) {
      this.#drop(shape);
      return null;
    }
    const { tree } = shape;
    if (tree !== null && isSame && table.size <= tree.rows) {
      this.#mend(tree, before, request, ranking, among);
      return tree;
    }
    return this.#build(shape, request, ranking, among);
  }

  #mend(
    tree: WinnerTree,
    since: number,
    request: PreparedRequest,
    ranking: Ranking,
    among: HostSet | null,
  ): void {
    const table = this.#table;
    const { changes } = table;
    const { others } = request;
    for (let change = since; change < changes.now; change += 1) {
      const row = changes.rowAt(change);
      const isOpenToIt =
        row < table.size &&
        table.open[row] === 1 &&
        (among === null || isIn(among, row)) &&
        (others === null || hasOtherRoom(row, others));
      if (row < tree.rows) tree.replay(row, isOpenToIt ? judge(table, request, ranking, row) : NaN);
    }
  }

  #build(
    shape: Shape,
    request: PreparedRequest,
    ranking: Ranking,
    among: HostSet | null,
  ): WinnerTree | null {
    this.#drop(shape);
    if (!this.#hasRoomFor(WinnerTree.bytesOf(this.#table.size))) return null;
    const tree = this.#treeOf(request, ranking, among);
    shape.tree = tree;
    this.#bytes += tree.bytes;
    return tree;
  }

  /** A tree of all rows as they are; it is not kept here. */
  #treeOf(request: PreparedRequest, ranking: Ranking, among: HostSet | null): WinnerTree {
    const tree = new WinnerTree(this.#table, this.#table.size);
    this.#scanner.play(request, ranking, among, tree);
    return tree;
  }

  /**
   * Lets go what nobody has asked for of late, and nothing else: were the oldest to go, more shapes
   * than there is room for would push each other out and none would ever be of use.
   */
  #hasRoomFor(bytes: number): boolean {
    const { bytesMax, shapesMax } = this.#limits;
    if (this.#bytes + bytes <= bytesMax) return true;
    for (const shape of [...this.#shapes.values()].flat()) {
      if (shape.askedIn < this.#questions - shapesMax) this.#forget(shape);
    }
    return this.#bytes + bytes <= bytesMax;
  }

  #drop(shape: Shape): void {
    this.#bytes -= shape.tree?.bytes ?? 0;
    shape.tree = null;
  }

  #shapeOf(request: PreparedRequest, { strategy, weights }: Ranking, demand: string): Shape {
    const { ranked, others } = request;
    const number = numberOf(ranked);
    const alike = this.#shapes.get(number) ?? [];
    for (const shape of alike) {
      if (
        shape.strategy === strategy &&
        shape.demand === demand &&
        isEqual(shape.ranked, ranked) &&
        isAlike(shape.others, others) &&
        isEqual(shape.weights, weights)
      ) {
        shape.askedIn = this.#questions;
        return shape;
      }
    }
    if (this.#shapeCount === this.#limits.shapesMax) this.#forgetOldest();
    const shape: Shape = {
      strategy,
      weights: weights.slice(),
      ranked,
      others: others?.map(({ name, amount }) => ({ name, amount })) ?? null,
      demand,
      askedIn: this.#questions,
      mark: -Infinity,
      fleetRevision: 0,
      tree: null,
    };
    this.#shapes.set(number, [...(this.#shapes.get(number) ?? []), shape]);
    this.#shapeCount += 1;
    return shape;
  }

  /** Forgets a quarter, those first that nobody has asked for the longest. */
  #forgetOldest(): void {
    const shapes = [...this.#shapes.values()].flat();
    shapes.sort((a, b) => a.askedIn - b.askedIn);
    for (const shape of shapes.slice(0, Math.ceil(shapes.length / 4))) this.#forget(shape);
  }

  #forget(shape: Shape): void {
    const number = numberOf(shape.ranked);
    const left = (this.#shapes.get(number) ?? []).filter((one) => one !== shape);
    if (left.length === 0) this.#shapes.delete(number);
    else this.#shapes.set(number, left);
    this.#drop(shape);
    this.#shapeCount -= 1;
  }
}

/** Grows when something of the fleet as a whole has changed that a strategy sees. */
function revisionOf(table: HostTable, sees: Sight): number {
  if (sees === 'largest') return table.largestRevision;
  // Neither ever shrinks: the sum is the same only if both are.
  return sees === 'fleet' ? table.largestRevision + table.totals.revision : 0;
}

/** The best of all rows of a tree but some. */
function bestIn(tree: WinnerTree, beside: ReadonlySet<number>): Best {
  const { scores } = tree;
  const row = beside.size === 0 ? tree.best : tree.bestBeside(beside);
  let feasible = tree.contenders;
  for (const left of beside) if (!Number.isNaN(scores[left] ?? NaN)) feasible -= 1;
  return { row, score: row < 0 ? 0 : (scores[row] ?? 0), feasible };
}

/** Spreads shapes well enough; those that share a number are told apart by their amounts. */
const numberOf = (ranked: Float64Array): number =>
  (ranked[0] ?? 0) * 1_000_003 + (ranked[1] ?? 0) * 1_009 + (ranked[2] ?? 0);

function isEqual(some: Float64Array, others: Float64Array): boolean {
  for (let index = 0; index < RANKED; index += 1) {
    if (some[index] !== others[index]) return false;
  }
  return true;
}

/** Whether the same is asked of the other classes. */
function isAlike(some: Others, others: Others): boolean {
  if (some === null || others === null) return some === others;
  return (
    some.length === others.length &&
    some.every(({ name, amount }, at) => {
      const other = others[at];
      return other?.name === name && other.amount === amount;
    })
  );
}

/** One for each table, gone with it. */
const KEPT = new WeakMap<HostTable, KeptRankings>();

export function keptFor(table: HostTable): KeptRankings {
  let kept = KEPT.get(table);
  if (kept === undefined) KEPT.set(table, (kept = new KeptRankings(table)));
  return kept;
}
