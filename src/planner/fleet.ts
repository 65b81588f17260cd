/**
 * The fleet as the planner looks at it: hosts, and which VM is where. A copy of the real one, or
 * read from files; what is planned on it is booked nowhere.
 */
import type { Constraints } from '../model/constraints.js';
import { membershipsOf } from '../model/groups.js';
import type { FleetHost } from '../model/host.js';
import type { Resources } from '../model/resources.js';
import { HostTable } from '../placement/host-table.js';

export interface PlannedVm {
  readonly id: string;
  readonly name: string;
  readonly path: string;
  readonly resources: Resources;
  readonly constraints: Constraints;
  readonly hostId: string;
  /** Whether it may be moved at all: one that is on its way already, or must stay, may not. */
  readonly isMovable: boolean;
}

export interface PlannedFleet {
  /** With all that is booked on them, also what no VM of `vms` holds: reservations. */
  readonly hosts: readonly FleetHost[];
  readonly vms: readonly PlannedVm[];
}

/** Work that tells after each slice how much of it is done (0 to 1), and its result at the end. */
export type SlicedWork<Result> = Generator<number, Result>;

/** The hosts with their bookings, and who is where of which group. */
export function tableOf({ hosts, vms }: PlannedFleet): HostTable {
  const table = HostTable.of(hosts);
  for (const vm of vms) table.groups.count(groupsOf(vm), vm.hostId, 1);
  return table;
}

export const groupsOf = ({ path, constraints }: Pick<PlannedVm, 'path' | 'constraints'>) =>
  membershipsOf(path, constraints.groups);

/** VMs by the host that they are on. */
export function vmsByHost(vms: readonly PlannedVm[]): Map<string, PlannedVm[]> {
  const byHost = new Map<string, PlannedVm[]>();
  for (const vm of vms) {
    const there = byHost.get(vm.hostId);
    if (there === undefined) byHost.set(vm.hostId, [vm]);
    else there.push(vm);
  }
  return byHost;
}

/** Classes that any host has, in order of first mention. */
export const classesOf = (hosts: readonly FleetHost[]): readonly string[] => [
  ...new Set(
    hosts.flatMap(({ limits }) => Object.keys(limits).filter((name) => (limits[name] ?? 0) > 0)),
  ),
];

/** Limits of all hosts together. */
export function totalLimits(hosts: readonly FleetHost[]): Record<string, number> {
  const totals: Record<string, number> = {};
  for (const { limits } of hosts) {
    for (const [name, amount] of Object.entries(limits)) {
      totals[name] = (totals[name] ?? 0) + amount;
    }
  }
  return totals;
}
