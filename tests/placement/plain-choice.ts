/**
 * The choice as the contract words it, on a table that has seen nothing else: every host judged by
 * its objects, one after another. Nothing is kept, shared or left out.
 */
import type { PlacementRequest } from '../../src/model/decision.js';
import { prepare, rejectReasons } from '../../src/placement/filter.js';
import { brokenWishes } from '../../src/placement/group-rules.js';
import { HostTable } from '../../src/placement/host-table.js';
import type { Ranking } from '../../src/placement/strategy.js';

export interface PlainChoice {
  /** null when nobody can take it. */
  readonly hostId: string | null;
  readonly score: number;
  readonly feasible: number;
}

/** A table of the same hosts, without a past; it shares the groups. */
export function freshCopy(table: HostTable): HostTable {
  const copy = HostTable.of(structuredClone([...table.hosts()]));
  return Object.assign(copy, { groups: table.groups });
}

export function plainChoice(
  worn: HostTable,
  request: PlacementRequest,
  { strategy, weights }: Ranking,
): PlainChoice {
  const table = freshCopy(worn);
  const prepared = prepare(table, request);
  const contenders = [...table.hosts()]
    .map(({ id, seq, capacity, allocated }) => {
      const row = table.rowOf(id);
      const shares = ['cpu', 'memory', 'disk'].map((name) => {
        const whole = capacity[name] ?? 0;
        const left = whole - (allocated[name] ?? 0);
        return whole <= 0 || left < 0 ? 0 : left / whole;
      });
      return {
        id,
        seq,
        mayTake: rejectReasons(table, row, prepared).length === 0,
        broken: prepared.groups === null ? 0 : brokenWishes(prepared.groups, id).length,
        score: strategy.score(table, row, prepared.ranked, weights),
        room: Math.sqrt(shares.reduce((sum, share) => sum + share * share, 0)),
      };
    })
    .filter(({ mayTake }) => mayTake)
    .sort((a, b) => a.broken - b.broken || b.score - a.score || b.room - a.room || a.seq - b.seq);
  const [best] = contenders;
  return { hostId: best?.id ?? null, score: best?.score ?? 0, feasible: contenders.length };
}
