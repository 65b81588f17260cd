/** Random small fleets with VMs on them, for properties of the planner. */
import fc from 'fast-check';
import type { FleetHost } from '../../src/model/host.js';
import { isOverFull } from '../../src/model/host.js';
import { addResources, type Resources } from '../../src/model/resources.js';
import type { PlannedFleet, PlannedVm } from '../../src/planner/fleet.js';
import { fleetHost } from '../support/hosts.js';

/** A host whose totals are what may be booked. */
export const plainHost = (
  id: string,
  total: Resources,
  changes: Partial<FleetHost> = {},
): FleetHost => fleetHost({ id, name: id, total, noReserve: true, ...changes });

export const plainVm = (
  id: string,
  hostId: string,
  resources: Resources,
  changes: Partial<PlannedVm> = {},
): PlannedVm => ({
  ...{ id, name: id, hostId, resources, path: 'root', constraints: {}, isMovable: true },
  ...changes,
});

/** The hosts with what the VMs book on them; VMs that do not fit are left out. */
export function fleetWith(hosts: readonly FleetHost[], vms: readonly PlannedVm[]): PlannedFleet {
  const booked = new Map<string, Resources>(hosts.map(({ id, allocated }) => [id, allocated]));
  const kept = vms.filter(({ hostId, resources }) => {
    const host = hosts.find(({ id }) => id === hostId);
    if (host === undefined) return false;
    const sum = addResources(booked.get(hostId) ?? {}, resources);
    if (isOverFull(host.limits, sum)) return false;
    booked.set(hostId, sum);
    return true;
  });
  return {
    hosts: hosts.map((host) => ({ ...host, allocated: booked.get(host.id) ?? {} })),
    vms: kept,
  };
}

const size = (most: number) =>
  fc.record({
    cpu: fc.integer({ min: 1, max: most }),
    memory: fc.integer({ min: 1, max: most }),
    disk: fc.integer({ min: 1, max: most }),
  });

const vmDraw = fc.record({
  at: fc.nat(),
  resources: size(8),
  isMovable: fc.integer({ min: 0, max: 9 }).map((chance) => chance > 0),
  constraints: fc.oneof(
    { weight: 4, arbitrary: fc.constant({}) },
    { weight: 1, arbitrary: fc.constantFrom({ zone: 'a' }, { zone: 'b' }) },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom('anti-affinity' as const, 'soft-anti-affinity' as const)
        .map((policy) => ({ groups: [{ name: 'g', policy }] })),
    },
  ),
});

const hostDraw = fc.record({
  total: size(40),
  zone: fc.constantFrom('a', 'b'),
  isOpen: fc.integer({ min: 0, max: 9 }).map((chance) => chance > 0),
});

/** Up to eight hosts, some closed, and up to forty VMs, some bound to zones, groups or their place. */
export const anyFleet: fc.Arbitrary<PlannedFleet> = fc
  .record({
    hosts: fc.array(hostDraw, { minLength: 1, maxLength: 8 }),
    vms: fc.array(vmDraw, { maxLength: 40 }),
  })
  .map(({ hosts, vms }) => {
    const made = hosts.map(({ total, zone, isOpen }, index) =>
      plainHost(`h${index.toString()}`, total, {
        zone,
        seq: index,
        mode: isOpen ? 'enabled' : 'cordoned',
      }),
    );
    const placed = vms.map(({ at, ...vm }, index) =>
      plainVm(`v${index.toString()}`, made[at % made.length]?.id ?? '', vm.resources, vm),
    );
    return fleetWith(made, placed);
  });

/** Runs planned work to its end. */
export function resultOf<Result>(work: Generator<number, Result>): Result {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    if (step.value < 0) throw new RangeError('less than nothing is done');
  }
}
