/** Groups of VMs that want to be together or apart. A group is named within the path of its VMs. */

/**
 * - `affinity`: only on a host that has a member, once there is one.
 * - `anti-affinity`: only on a host that has no member, and no other member may join it there.
 * - `soft-…`: the same as a wish; a host that breaks it is taken only when no other can be.
 */
export const GROUP_POLICIES = [
  'affinity',
  'anti-affinity',
  'soft-affinity',
  'soft-anti-affinity',
] as const;
export type GroupPolicy = (typeof GROUP_POLICIES)[number];

export interface GroupRule {
  readonly name: string;
  readonly policy: GroupPolicy;
}

/** A group that a VM belongs to, under the name that the whole fleet knows it by. */
export interface Membership {
  readonly key: string;
  readonly policy: GroupPolicy;
}

/** Members of a group on one host. */
export interface GroupCount {
  readonly members: number;
  /** Of these, those with a hard anti-affinity: nobody of the group may join them. */
  readonly exclusive: number;
}

/** A path holds no slash, so the key says clearly where the name begins. */
export const membershipsOf = (
  path: string,
  groups: readonly GroupRule[] | undefined,
): readonly Membership[] =>
  (groups ?? []).map(({ name, policy }) => ({ key: `${path}/${name}`, policy }));
