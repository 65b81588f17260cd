/**
 * The agent's own check of an order against what it really has: the last word on a booking.
 * Pure; the keeper calls it and takes the claim in the same turn of the event loop.
 */
import {
  hostInventoryOf,
  limitsOf,
  shortfalls,
  type CapacityPolicy,
  type InventoryOverrides,
  type Shortfall,
} from '../model/inventory.js';
import type { MeasuredTotals } from '../model/agent-report.js';
import type { ResourceClass, Resources } from '../model/resources.js';

/** What VMs hold, by id: every VM that is not proven absent, one under removal too. */
export type Held = ReadonlyMap<string, Resources>;

/** Sum of what all VMs hold, one of them left out where wanted. */
export function sumOfHeld(held: Held, exceptVmId?: string): Resources {
  const sum: Record<ResourceClass, number> = {};
  for (const [vmId, resources] of held) {
    if (vmId === exceptVmId) continue;
    for (const [resource, amount] of Object.entries(resources)) {
      sum[resource] = (sum[resource] ?? 0) + amount;
    }
  }
  return sum;
}

/**
 * Every class in which a VM does not fit beside the others. What the same VM holds already is not
 * counted against it.
 */
export const claimShortfalls = (
  limits: Resources,
  held: Held,
  vmId: string,
  requested: Resources,
): readonly Shortfall[] => shortfalls(limits, sumOfHeld(held, vmId), requested);

/** What may be booked of a machine: under what the operator says of it, and the policy of all. */
export const bookableOf = (
  totals: MeasuredTotals,
  overrides: InventoryOverrides,
  policy: CapacityPolicy,
): Resources => limitsOf(hostInventoryOf(totals, overrides, policy));
