/**
 * Which rows meet a zone and labels, a bit per row: worked out once for each distinct demand, then
 * mended where the facts of a row have changed.
 */
import type { Constraints } from '../model/constraints.js';
import { suits } from './filter.js';
import type { HostTable } from './host-table.js';

/** Demands that are remembered. */
const SETS_MAX = 64;

type Demand = Pick<Constraints, 'zone' | 'labels'>;

/** Row `r` is bit `r & 31` of word `r >> 5`. */
export type HostSet = Uint32Array;

export const isIn = (set: HostSet, row: number): boolean =>
  (((set[row >>> 5] ?? 0) >>> (row & 31)) & 1) === 1;

interface Kept {
  readonly set: HostSet;
  /** When it was last brought up to date. */
  mark: number;
}

export class HostSets {
  readonly #table: HostTable;
  /** The one that was asked for last comes last. */
  readonly #kept = new Map<string, Kept>();

  constructor(table: HostTable) {
    this.#table = table;
  }

  /**
   * The rows that meet a demand, as they are now.
   * @param key the same for the same demand; see demandKey
   */
  of(key: string, demand: Demand): HostSet {
    const { factChanges, size } = this.#table;
    const before = this.#kept.get(key);
    this.#kept.delete(key);
    const isCurrent =
      before !== undefined &&
      size <= before.set.length * 32 &&
      factChanges.since(before.mark) < size;
    const kept = isCurrent ? this.#mended(before, demand) : this.#made(demand);
    this.#kept.set(key, kept);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= SETS_MAX) break;
      this.#kept.delete(oldest);
    }
    return kept.set;
  }

  #made(demand: Demand): Kept {
    const { factChanges, size } = this.#table;
    // Room for hosts to come, so that each does not make all sets anew.
    const set = new Uint32Array(Math.ceil((size + size / 8 + 1) / 32));
    for (let row = 0; row < size; row += 1) this.#judge(set, row, demand);
    return { set, mark: factChanges.now };
  }

  #mended(kept: Kept, demand: Demand): Kept {
    const { factChanges } = this.#table;
    for (let at = kept.mark; at < factChanges.now; at += 1) {
      this.#judge(kept.set, factChanges.rowAt(at), demand);
    }
    kept.mark = factChanges.now;
    return kept;
  }

  #judge(set: HostSet, row: number, demand: Demand): void {
    const bit = 1 << (row & 31);
    const word = set[row >>> 5] ?? 0;
    const isMet = row < this.#table.size && suits(this.#table.factsAt(row), demand);
    set[row >>> 5] = isMet ? word | bit : word & ~bit;
  }
}

/** What tells one demand from another; empty when every host meets it. */
export const demandKey = ({ zone, labels }: Demand): string =>
  zone === undefined && labels === undefined ? '' : JSON.stringify([zone, labels]);
