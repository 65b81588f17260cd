/**
 * Which hosts may take a request at all. `admits` is the scan's yes or no; `rejectReasons` spells
 * out every reason for the same answer. A property test holds the two together.
 */
import type { Constraints } from '../model/constraints.js';
import type { PlacementRequest, ReasonCode, RejectReason } from '../model/decision.js';
import { isOverFull, type HostFacts, type HostMode } from '../model/host.js';
import type { HostState } from '../model/host-liveness.js';
import { shortfalls } from '../model/inventory.js';
import { RANKED_CLASSES, type ResourceClass, type Resources } from '../model/resources.js';
import { demandReasons, meetsDemands, placedRules, type PlacedRule } from './group-rules.js';
import { RANKED, type HostTable } from './host-table.js';

const REASON_OF_STATE: Readonly<Record<HostState, ReasonCode | null>> = {
  joining: 'host_joining',
  up: null,
  suspect: 'host_suspect',
  down: 'host_down',
};

const REASON_OF_MODE: Readonly<Record<HostMode, ReasonCode | null>> = {
  enabled: null,
  cordoned: 'cordoned',
  draining: 'draining',
  retired: 'retired',
};

/** A request laid out for one look over the host table; stale once the table has changed. */
export interface PreparedRequest extends PlacementRequest {
  /** Amounts of the ranked classes, in their order. */
  readonly ranked: Float64Array;
  /** Classes beyond the ranked ones that are asked for. */
  readonly others: Resources | null;
  readonly constrained: boolean;
  /** null when it belongs to no group. */
  readonly groups: readonly PlacedRule[] | null;
}

export function prepare(table: HostTable, request: PlacementRequest): PreparedRequest {
  const { groups, ...constraints } = request.constraints;
  const ranked = Float64Array.from(RANKED_CLASSES, (name) => request.resources[name] ?? 0);
  const others = Object.entries(request.resources).filter(
    ([name, amount]) => amount > 0 && !isRanked(name),
  );
  return {
    ...request,
    ranked,
    others: others.length === 0 ? null : Object.fromEntries(others),
    constrained: Object.keys(constraints).length > 0,
    groups: placedRules(table.groups, request.path, groups),
  };
}

const isRanked = (name: ResourceClass): boolean =>
  (RANKED_CLASSES as readonly ResourceClass[]).includes(name);

/** Whether the host in this row may take the request. Allocates nothing for common requests. */
export function admits(table: HostTable, row: number, request: PreparedRequest): boolean {
  if (table.open[row] !== 1) return false;
  const base = row * RANKED;
  for (let index = 0; index < RANKED; index += 1) {
    const asked = request.ranked[index] ?? 0;
    if (asked === 0) continue;
    const booked = table.allocated[base + index] ?? 0;
    if (booked + asked > (table.limit[base + index] ?? 0)) return false;
  }
  if (
    request.others !== null &&
    shortfalls(table.factsAt(row).limits, table.allocatedAt(row), request.others).length > 0
  ) {
    return false;
  }
  if (request.groups !== null && !meetsDemands(request.groups, table.factsAt(row).id)) {
    return false;
  }
  return (
    !request.constrained || constraintReasons(table.factsAt(row), request.constraints).length === 0
  );
}

/** Every reason why the host in this row may not take the request; empty when it may. */
export function rejectReasons(
  table: HostTable,
  row: number,
  request: PreparedRequest,
): readonly RejectReason[] {
  const facts = table.factsAt(row);
  const allocated = table.allocatedAt(row);
  const closed = [
    REASON_OF_STATE[facts.state],
    REASON_OF_MODE[facts.mode],
    isOverFull(facts.limits, allocated) ? ('over_full' as const) : null,
  ].filter((code) => code !== null);
  const short = shortfalls(facts.limits, allocated, request.resources);
  return [
    ...closed.map((code) => ({ code })),
    ...constraintReasons(facts, request.constraints).map((code) => ({ code })),
    ...(request.groups === null ? [] : demandReasons(request.groups, facts.id)),
    ...short.map((shortfall) => ({ code: 'insufficient' as const, ...shortfall })),
  ];
}

function constraintReasons(facts: HostFacts, constraints: Constraints): readonly ReasonCode[] {
  const { zone, labels, host, exclude } = constraints;
  const isNamed = (name: string) => name === facts.id || name === facts.name;
  const carries = ([key, value]: [string, string]) => facts.labels[key] === value;
  const reasons: ReasonCode[] = [];
  if (zone !== undefined && zone !== facts.zone) reasons.push('zone');
  if (
    !Object.entries(labels?.required ?? {}).every(carries) ||
    Object.entries(labels?.forbidden ?? {}).some(carries)
  ) {
    reasons.push('label');
  }
  if (host !== undefined && !isNamed(host)) reasons.push('host');
  if (exclude?.some(isNamed) === true) reasons.push('excluded');
  return reasons;
}
