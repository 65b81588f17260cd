/** Members of groups as the ledger keeps them in a hash per group, and as the mirrors read them. */
import type { GroupCount } from '../model/groups.js';
import type { Allocation } from '../model/vm.js';
import { GroupTable } from '../placement/group-table.js';

/** A group on a host: its key, the host's id, and how many of it are there. */
export type GroupEntry = readonly [key: string, hostId: string, count: GroupCount];

/** `<members> <exclusive>`, as books.lua writes it. */
export const textOfCount = ({ members, exclusive }: GroupCount): string =>
  `${members.toString()} ${exclusive.toString()}`;

/** What the hash of a group holds. */
export function* entriesOfHash(
  key: string,
  hash: Readonly<Record<string, string>>,
): Generator<GroupEntry> {
  for (const [hostId, text] of Object.entries(hash)) {
    const [members, exclusive] = text.split(' ').map(Number);
    yield [key, hostId, { members: members ?? 0, exclusive: exclusive ?? 0 }];
  }
}

/** Counts as scripts write them: JSON of key → host id → [members, exclusive]. */
export function* entriesOf(json: string): Generator<GroupEntry> {
  const groups = JSON.parse(json) as Record<string, Record<string, readonly [number, number]>>;
  for (const [key, hosts] of Object.entries(groups)) {
    for (const [hostId, [members, exclusive]] of Object.entries(hosts)) {
      yield [key, hostId, { members, exclusive }];
    }
  }
}

/** The hashes of all groups that these allocations make, by key. */
export function hashesOfGroups(
  allocations: readonly Allocation[],
): ReadonlyMap<string, Readonly<Record<string, string>>> {
  const table = new GroupTable();
  const keys = new Set<string>();
  for (const { groups, hostId } of allocations) {
    table.count(groups, hostId, 1);
    for (const { key } of groups) keys.add(key);
  }
  return new Map(
    [...keys].map((key) => [
      key,
      Object.fromEntries(
        [...table.hostsOf(key)].map(([hostId, count]) => [hostId, textOfCount(count)]),
      ),
    ]),
  );
}
