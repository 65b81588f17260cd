/**
 * A refusal in short: how many hosts each reason kept away, and the host that comes nearest. Opens
 * no host that is merely full: a refusal is answered under the placement lock, and on a full fleet
 * there are many of both.
 */
import type {
  DecisionSummary,
  PlacementRequest,
  ReasonCode,
  RejectReason,
} from '../model/decision.js';
import { RANKED_CLASSES } from '../model/resources.js';
import { prepare, reasonsBesideRoom, rejectReasons, type PreparedRequest } from './filter.js';
import { RANKED, type HostTable } from './host-table.js';

const NOTHING: readonly RejectReason[] = [];

/**
 * Counts per reason, and where nobody can take the request the host that comes nearest: of those
 * that lack nothing but room the one that lacks the smallest share of its limits, the first
 * registered among equals. Hosts that are closed or ruled out are no help to anybody.
 */
export function summarise(table: HostTable, request: PlacementRequest): DecisionSummary {
  const prepared = prepare(table, request);
  const isPlain = !prepared.constrained && prepared.groups === null;
  const asked = askedOf(table, prepared);
  const byReason: Partial<Record<ReasonCode, number>> = {};
  let feasible = 0;
  let insufficient = 0;
  let nearest = -1;
  let nearestLack = Infinity;
  for (let row = 0; row < table.size; row += 1) {
    const others =
      isPlain && table.open[row] === 1 ? NOTHING : reasonsBesideRoom(table, row, prepared);
    const lack = lackAt(asked, row);
    if (lack > 0) insufficient += 1;
    if (others.length > 0) {
      for (const code of new Set(others.map((reason) => reason.code))) {
        byReason[code] = (byReason[code] ?? 0) + 1;
      }
    } else if (lack === 0) {
      feasible += 1;
    } else if (lack < nearestLack || (lack === nearestLack && isEarlier(table, row, nearest))) {
      nearest = row;
      nearestLack = lack;
    }
  }
  if (insufficient > 0) byReason.insufficient = insufficient;
  return {
    considered: table.size,
    feasible,
    byReason,
    nearest: feasible > 0 || nearest < 0 ? null : nearestAt(table, nearest, prepared),
  };
}

/** One class that is asked for: what is booked of it in row `r` stands at `r * stride + offset`. */
interface Asked {
  readonly amount: number;
  readonly limit: Float64Array;
  readonly allocated: Float64Array;
  readonly stride: number;
  readonly offset: number;
}

const NO_COLUMN = new Float64Array(0);

function askedOf(table: HostTable, { resources }: PreparedRequest): readonly Asked[] {
  return Object.entries(resources)
    .filter(([, amount]) => amount !== 0)
    .map(([name, amount]): Asked => {
      const offset = (RANKED_CLASSES as readonly string[]).indexOf(name);
      if (offset >= 0) {
        return { amount, limit: table.limit, allocated: table.allocated, stride: RANKED, offset };
      }
      const column = table.columns.of(name);
      const [limit, allocated] = [column?.limit ?? NO_COLUMN, column?.allocated ?? NO_COLUMN];
      return { amount, limit, allocated, stride: 1, offset: 0 };
    });
}

/** What is short in a row, each class as a share of its limit, added up; 0 when nothing is. */
function lackAt(asked: readonly Asked[], row: number): number {
  let sum = 0;
  for (const { amount, limit, allocated, stride, offset } of asked) {
    const at = row * stride + offset;
    const most = limit[at] ?? 0;
    const used = allocated[at] ?? 0;
    if (used + amount <= most) continue;
    sum += (amount - Math.max(0, most - used)) / Math.max(1, most);
  }
  return sum;
}

const isEarlier = (table: HostTable, row: number, other: number): boolean =>
  (table.seq[row] ?? 0) < (table.seq[other] ?? 0);

function nearestAt(
  table: HostTable,
  row: number,
  request: PreparedRequest,
): NonNullable<DecisionSummary['nearest']> {
  const { id, name } = table.factsAt(row);
  const short = rejectReasons(table, row, request).map(
    ({ resource = '', requested = 0, available = 0 }) => [resource, requested - available] as const,
  );
  return { host: { id, name }, missing: Object.fromEntries(short) };
}
