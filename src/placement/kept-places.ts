/**
 * Hosts that are kept for large VMs. While many hosts have room for a large shape nothing is kept;
 * when only `places` are left or fewer, a smaller request that would take that room away goes
 * elsewhere if it can. Nobody is refused for it: a host that is kept comes after all others.
 */
import type { PreparedRequest } from './filter.js';
import { RANKED, type HostTable } from './host-table.js';
import { sizeOf, type LargeShape } from './large-shapes.js';
import type { Ranking } from './strategy.js';

/** Rows, and for which shape each is kept. */
export type KeptRows = ReadonlyMap<number, LargeShape>;

const NO_ROWS: KeptRows = new Map();

/** Rows that this request should leave alone. */
export function keptRows(
  table: HostTable,
  { ranked }: PreparedRequest,
  { large, weights }: Ranking,
): KeptRows {
  if (large === undefined) return NO_ROWS;
  const { totals } = table;
  const size = sizeOf(ranked, totals, weights);
  const kept = new Map<number, LargeShape>();
  for (const shape of large.largest(totals, weights)) {
    if (sizeOf(shape, totals, weights) <= size) break;
    const rows = placesIn(table).of(shape);
    if (rows.size > large.places) continue;
    for (const row of rows) {
      if (!kept.has(row) && !hasRoomFor(table, row, shape, ranked)) kept.set(row, shape);
    }
  }
  return kept;
}

/** Whether a row has room for a shape, and for something else before it. */
function hasRoomFor(
  { allocated, limit }: HostTable,
  row: number,
  shape: LargeShape,
  before: Float64Array | null,
): boolean {
  for (let index = 0; index < RANKED; index += 1) {
    const asked = (shape[index] ?? 0) + (before?.[index] ?? 0);
    const at = row * RANKED + index;
    if (asked > 0 && (allocated[at] ?? 0) + asked > (limit[at] ?? 0)) return false;
  }
  return true;
}

/** Shapes of which the rows are remembered: those of today and some that were. */
const SHAPES_MAX = 64;

interface Places {
  readonly rows: Set<number>;
  /** When the table was last looked at for them. */
  mark: number;
}

/** Which open rows have room for a shape, kept from one decision to the next and mended. */
class PlacesFor {
  readonly #table: HostTable;
  /** The one that was asked for last comes last. */
  readonly #byShape = new Map<string, Places>();

  constructor(table: HostTable) {
    this.#table = table;
  }

  of(shape: LargeShape): ReadonlySet<number> {
    const { changes, size } = this.#table;
    const key = shape.join();
    const before = this.#byShape.get(key);
    const isSoon = before !== undefined && changes.since(before.mark) < size;
    const places = isSoon ? before : { rows: new Set<number>(), mark: changes.now };
    if (isSoon) {
      for (let at = places.mark; at < changes.now; at += 1) {
        this.#judge(places.rows, changes.rowAt(at), shape);
      }
      places.mark = changes.now;
    } else {
      for (let row = 0; row < size; row += 1) this.#judge(places.rows, row, shape);
    }
    this.#byShape.delete(key);
    this.#byShape.set(key, places);
    for (const oldest of this.#byShape.keys()) {
      if (this.#byShape.size <= SHAPES_MAX) break;
      this.#byShape.delete(oldest);
    }
    return places.rows;
  }

  #judge(rows: Set<number>, row: number, shape: LargeShape): void {
    const table = this.#table;
    const fits = row < table.size && table.open[row] === 1 && hasRoomFor(table, row, shape, null);
    if (fits) rows.add(row);
    else rows.delete(row);
  }
}

/** One for each table, gone with it. */
const PLACES = new WeakMap<HostTable, PlacesFor>();

function placesIn(table: HostTable): PlacesFor {
  let places = PLACES.get(table);
  if (places === undefined) PLACES.set(table, (places = new PlacesFor(table)));
  return places;
}
