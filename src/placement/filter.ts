/**
 * Which hosts may take a request at all. `admits` is a plain yes or no, `hasRoom` and `suits` are
 * its parts; `rejectReasons` spells out every reason for the same answer. A property test holds
 * them together.
 */
import type { Constraints } from '../model/constraints.js';
import type { PlacementRequest, ReasonCode, RejectReason } from '../model/decision.js';
import { isOverFull, type HostFacts, type HostMode } from '../model/host.js';
import type { HostState } from '../model/host-liveness.js';
import { shortfalls } from '../model/inventory.js';
import type { ClassColumn } from './class-columns.js';
import { demandReasons, meetsDemands, placedRules, type PlacedRule } from './group-rules.js';
import { RANKED, type HostTable } from './host-table.js';
import { rankedAmounts, rankOf } from './ranked-classes.js';

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

/** An amount of a class that is not ranked. */
export interface Other {
  readonly name: string;
  readonly amount: number;
  /** undefined when no host has anything of the class. */
  readonly column: ClassColumn | undefined;
}

/** A request laid out for one look over the host table; stale once the table has changed. */
export interface PreparedRequest extends PlacementRequest {
  /** Amounts of the ranked classes, in their order. */
  readonly ranked: Float64Array;
  /** Classes beyond the ranked ones that are asked for. */
  readonly others: readonly Other[] | null;
  readonly constrained: boolean;
  /** null when it belongs to no group. */
  readonly groups: readonly PlacedRule[] | null;
}

export function prepare(table: HostTable, request: PlacementRequest): PreparedRequest {
  const { resources, constraints, path } = request;
  const ranked = rankedAmounts(resources);
  let others: Other[] | null = null;
  for (const name in resources) {
    const amount = resources[name] ?? 0;
    if (amount === 0 || rankOf(name) >= 0) continue;
    (others ??= []).push({ name, amount, column: table.columns.of(name) });
  }
  let constrained = false;
  for (const name in constraints) constrained ||= name !== 'groups';
  const groups = placedRules(table.groups, path, constraints.groups);
  return { resources, constraints, path, ranked, others, constrained, groups };
}

/** Whether the host in this row may take the request. */
export const admits = (table: HostTable, row: number, request: PreparedRequest): boolean =>
  table.open[row] === 1 &&
  hasRoom(table, row, request) &&
  (request.groups === null || meetsDemands(request.groups, table.factsAt(row).id)) &&
  (!request.constrained || suits(table.factsAt(row), request.constraints));

/** Whether it fits into a row, in every class. Allocates nothing. */
export const hasRoom = (table: HostTable, row: number, request: PreparedRequest): boolean =>
  hasRankedRoom(table, row, request) &&
  (request.others === null || hasOtherRoom(row, request.others));

/** As `hasRoom`, for the ranked classes alone: all hosts that are alike answer the same. */
export function hasRankedRoom(
  { allocated, limit }: HostTable,
  row: number,
  { ranked }: PreparedRequest,
): boolean {
  const base = row * RANKED;
  for (let index = 0; index < RANKED; index += 1) {
    const asked = ranked[index] ?? 0;
    if (asked === 0) continue;
    if ((allocated[base + index] ?? 0) + asked > (limit[base + index] ?? 0)) return false;
  }
  return true;
}

export function hasOtherRoom(row: number, others: NonNullable<PreparedRequest['others']>): boolean {
  for (const { amount, column } of others) {
    if (column === undefined) return false;
    if ((column.allocated[row] ?? 0) + amount > (column.limit[row] ?? 0)) return false;
  }
  return true;
}

/** Whether a host meets the constraints, groups left aside. */
export const suits = (facts: HostFacts, constraints: Constraints): boolean =>
  constraintReasons(facts, constraints).length === 0;

/** Every reason why the host in this row may not take the request; empty when it may. */
export const rejectReasons = (
  table: HostTable,
  row: number,
  request: PreparedRequest,
): readonly RejectReason[] => [
  ...reasonsBesideRoom(table, row, request),
  ...shortfalls(table.factsAt(row).limits, table.allocatedAt(row), request.resources).map(
    (shortfall) => ({ code: 'insufficient' as const, ...shortfall }),
  ),
];

/** Those of them that have nothing to do with room. */
export function reasonsBesideRoom(
  table: HostTable,
  row: number,
  request: PreparedRequest,
): readonly RejectReason[] {
  const facts = table.factsAt(row);
  const closed = [
    REASON_OF_STATE[facts.state],
    REASON_OF_MODE[facts.mode],
    isOverFull(facts.limits, table.allocatedAt(row)) ? ('over_full' as const) : null,
  ].filter((code) => code !== null);
  return [
    ...closed.map((code) => ({ code })),
    ...constraintReasons(facts, request.constraints).map((code) => ({ code })),
    ...(request.groups === null ? [] : demandReasons(request.groups, facts.id)),
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
