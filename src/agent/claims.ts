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
import type { VmRecord } from './vm-store.js';

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
 * What a VM is counted with, whether it runs or not:
 *
 *   memory  = size + what may be plugged in later
 *   network = max(asked for, download, upload)     both directions share one link
 */
export function chargeOf({ resources, hotplugMib = 0, bandwidth }: ChargedVm): Resources {
  const rates = [resources.network ?? 0, bandwidth?.download ?? 0, bandwidth?.upload ?? 0];
  const network = Math.max(...rates);
  return {
    ...resources,
    ...(hotplugMib === 0 ? {} : { memory: (resources.memory ?? 0) + hotplugMib }),
    ...(network === 0 ? {} : { network }),
  };
}

type ChargedVm = Pick<VmRecord, 'resources' | 'hotplugMib' | 'bandwidth'>;

/**
 * What is left to VMs of the memory that may be booked, as the processes of all of them take some
 * for themselves:
 *
 *   limit = max(0, limit − Σ overhead(memory of a VM))     in MiB, over those that count
 */
export function besideOverhead(
  limits: Resources,
  held: Held,
  overheadMib: (guestMib: number) => number,
): Resources {
  const { memory } = limits;
  if (memory === undefined) return limits;
  let overhead = 0;
  for (const charge of held.values()) overhead += overheadMib(charge.memory ?? 0);
  return { ...limits, memory: Math.max(0, memory - overhead) };
}

/** What a claim is held against. */
export interface Books {
  /** What may be booked, per class. */
  readonly limits: Resources;
  readonly held: Held;
  /** What one VM may have at most, per class. */
  readonly maxPerVm: Resources;
}

export interface ClaimRequest {
  readonly vmId: string;
  /** As `chargeOf` gives it. */
  readonly charge: Resources;
}

/**
 * Every class in which a VM does not fit beside the others, or is more than one VM may be; each
 * class once, with what is tighter. What the same VM holds already is not counted against it.
 * @returns an empty list when it fits
 */
export function evaluate(books: Books, { vmId, charge }: ClaimRequest): readonly Shortfall[] {
  const beside = shortfalls(books.limits, sumOfHeld(books.held, vmId), charge);
  const found = new Map(beside.map((short) => [short.resource, short]));
  for (const [resource, requested] of Object.entries(charge)) {
    const max = books.maxPerVm[resource];
    if (max === undefined || requested <= max) continue;
    const before = found.get(resource);
    if (before !== undefined && before.available <= max) continue;
    found.set(resource, { resource, requested, available: max, limit: max });
  }
  return [...found.values()];
}

/** What may be booked of a machine: under what the operator says of it, and the policy of all. */
export const bookableOf = (
  totals: MeasuredTotals,
  overrides: InventoryOverrides,
  policy: CapacityPolicy,
): Resources => limitsOf(hostInventoryOf(totals, overrides, policy));
