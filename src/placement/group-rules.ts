/**
 * What groups demand of a host and what they wish. The demands are checked again wherever a VM is
 * booked (reserve.lua, record_bookings); this is where they are worked out for a whole fleet.
 */
import {
  membershipsOf,
  type GroupCount,
  type GroupPolicy,
  type GroupRule,
} from '../model/groups.js';
import type { RejectReason } from '../model/decision.js';
import { NO_MEMBERS, type GroupHosts, type GroupTable } from './group-table.js';

/** A rule of a request with where its group has members. */
export interface PlacedRule {
  readonly rule: GroupRule;
  readonly hosts: GroupHosts;
}

/** @returns null for a request without groups, so that the scan need not look */
export function placedRules(
  table: GroupTable,
  path: string,
  groups: readonly GroupRule[] | undefined,
): readonly PlacedRule[] | null {
  if (groups === undefined || groups.length === 0) return null;
  const memberships = membershipsOf(path, groups);
  return groups.map((rule, index) => ({
    rule,
    hosts: table.hostsOf(memberships[index]?.key ?? ''),
  }));
}

type Broken = 'affinity' | 'anti_affinity' | null;

/** The demand of a group that a host with `here` members does not meet. */
function brokenDemand(policy: GroupPolicy, here: GroupCount, isSomewhere: boolean): Broken {
  // A member with a hard anti-affinity is joined by nobody, whatever the newcomer asks for.
  if (here.exclusive > 0) return 'anti_affinity';
  if (policy === 'anti-affinity' && here.members > 0) return 'anti_affinity';
  if (policy === 'affinity' && isSomewhere && here.members === 0) return 'affinity';
  return null;
}

function isWishBroken(policy: GroupPolicy, here: GroupCount, isSomewhere: boolean): boolean {
  if (policy === 'soft-anti-affinity') return here.members > 0;
  return policy === 'soft-affinity' && isSomewhere && here.members === 0;
}

const demandBrokenAt = ({ rule, hosts }: PlacedRule, hostId: string): Broken =>
  brokenDemand(rule.policy, hosts.get(hostId) ?? NO_MEMBERS, hosts.size > 0);

const wishBrokenAt = ({ rule, hosts }: PlacedRule, hostId: string): boolean =>
  isWishBroken(rule.policy, hosts.get(hostId) ?? NO_MEMBERS, hosts.size > 0);

/** Whether a host meets every demand. */
export function meetsDemands(rules: readonly PlacedRule[], hostId: string): boolean {
  for (const rule of rules) if (demandBrokenAt(rule, hostId) !== null) return false;
  return true;
}

/** What the rules say of every host that has no member of any of their groups. */
export function elsewhere(rules: readonly PlacedRule[]): {
  readonly isAllowed: boolean;
  /** Wishes that such a host does not meet. */
  readonly broken: number;
} {
  let isAllowed = true;
  let broken = 0;
  for (const { rule, hosts } of rules) {
    const isSomewhere = hosts.size > 0;
    if (brokenDemand(rule.policy, NO_MEMBERS, isSomewhere) !== null) isAllowed = false;
    if (isWishBroken(rule.policy, NO_MEMBERS, isSomewhere)) broken += 1;
  }
  return { isAllowed, broken };
}

/** Every demand that a host does not meet, with the group's name. */
export const demandReasons = (
  rules: readonly PlacedRule[],
  hostId: string,
): readonly RejectReason[] =>
  rules.flatMap((placed) => {
    const code = demandBrokenAt(placed, hostId);
    return code === null ? [] : [{ code, group: placed.rule.name }];
  });

/** How many wishes a host does not meet. */
export function brokenWishCount(rules: readonly PlacedRule[], hostId: string): number {
  let count = 0;
  for (const rule of rules) if (wishBrokenAt(rule, hostId)) count += 1;
  return count;
}

/** The wishes that a host does not meet. */
export const brokenWishes = (rules: readonly PlacedRule[], hostId: string): readonly GroupRule[] =>
  rules.filter((placed) => wishBrokenAt(placed, hostId)).map(({ rule }) => rule);
