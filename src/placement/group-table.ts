/**
 * How many members every group has on which host. Kept by host id and not by row: members on a
 * host that has left the table still count where a rule asks whether the group is anywhere.
 */
import type { GroupCount, Membership } from '../model/groups.js';

/** Members per host id; hosts without members are absent. */
export type GroupHosts = ReadonlyMap<string, GroupCount>;

export const NO_MEMBERS: GroupCount = Object.freeze({ members: 0, exclusive: 0 });

const NOWHERE: GroupHosts = new Map();

export class GroupTable {
  readonly #groups = new Map<string, Map<string, GroupCount>>();

  /** Where a group has members; empty when it has none. */
  hostsOf(key: string): GroupHosts {
    return this.#groups.get(key) ?? NOWHERE;
  }

  /** Replaces what is known of a group on a host. */
  set(key: string, hostId: string, count: GroupCount): void {
    const hosts = this.#groups.get(key);
    if (count.members !== 0 || count.exclusive !== 0) {
      if (hosts === undefined) this.#groups.set(key, new Map([[hostId, count]]));
      else hosts.set(hostId, count);
    } else if (hosts?.delete(hostId) === true && hosts.size === 0) {
      this.#groups.delete(key);
    }
  }

  /** Counts a VM in (`by` 1) or out (`by` −1) on a host. */
  count(memberships: readonly Membership[], hostId: string, by: 1 | -1): void {
    for (const { key, policy } of memberships) {
      const { members, exclusive } = this.hostsOf(key).get(hostId) ?? NO_MEMBERS;
      this.set(key, hostId, {
        members: members + by,
        exclusive: exclusive + (policy === 'anti-affinity' ? by : 0),
      });
    }
  }

  clear(): void {
    this.#groups.clear();
  }
}
