/**
 * The rules of a legal place, said again and as plainly as can be, apart from the code that keeps
 * them: whoever changes that code does not change what it is measured by.
 */
import type { Constraints } from '../model/constraints.js';
import type { Host } from '../model/host.js';
import type { Resources } from '../model/resources.js';
import type { Allocation } from '../model/vm.js';

/** What may be booked on a host. */
export function limitOf(host: Host, resource: string): number {
  const entry = host.inventory[resource];
  if (entry === undefined) return 0;
  const limit = Math.floor((entry.total - entry.reserved) * entry.overcommit);
  return Math.max(0, limit - (host.orphaned[resource] ?? 0));
}

/** What allocations hold of a class on a host. */
export const sumOn = (
  allocations: readonly Pick<Allocation, 'hostId' | 'resources'>[],
  hostId: string,
  resource: string,
): number =>
  allocations.reduce(
    (sum, each) => (each.hostId === hostId ? sum + (each.resources[resource] ?? 0) : sum),
    0,
  );

/** Why a host is no place for a VM of these constraints; null when it is one. */
export function misplaced(host: Host, constraints: Constraints): string | null {
  const { zone, labels = {}, exclude = [], host: only } = constraints;
  const isNamed = (name: string) => name === host.id || name === host.name;
  if (host.state !== 'up') return `it is ${host.state}`;
  if (host.mode !== 'enabled') return `it is ${host.mode}`;
  if (zone !== undefined && zone !== host.zone) return `it is not in ${zone}`;
  if (only !== undefined && !isNamed(only)) return `it is not ${only}`;
  if (exclude.some(isNamed)) return 'it is excluded';
  const lacks = Object.entries(labels.required ?? {}).find(([key, is]) => host.labels[key] !== is);
  if (lacks !== undefined) return `it lacks label ${lacks[0]}`;
  const has = Object.entries(labels.forbidden ?? {}).find(([key, is]) => host.labels[key] === is);
  return has === undefined ? null : `it has label ${has[0]}`;
}

/** A group whose hard anti-affinity is broken on a host; null when there is none. */
export function crowdedGroup(allocations: readonly Allocation[], hostId: string): string | null {
  const here = allocations.filter((each) => each.hostId === hostId);
  for (const { vmId, groups } of here) {
    for (const { key, policy } of groups) {
      if (policy !== 'anti-affinity') continue;
      const others = here.filter((each) => each.vmId !== vmId);
      if (others.some((each) => each.groups.some((group) => group.key === key))) return key;
    }
  }
  return null;
}

/** Whether a request fits a host beside what is booked there. */
export const fits = (host: Host, allocated: Resources, asked: Resources): boolean =>
  Object.entries(asked).every(
    ([resource, amount]) =>
      amount === 0 || (allocated[resource] ?? 0) + amount <= limitOf(host, resource),
  );
