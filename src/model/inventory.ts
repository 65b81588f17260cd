/**
 * What a host has, per resource class, and what of it may be booked.
 * `capacityOf`, `limitOf` and `shortfalls` are the only places where these formulas stand:
 * filter, explanation, agent claim and catalogue all go through them (or repeat them in SQL/Lua
 * on numbers that were computed here).
 */
import { AMOUNT_MAX, type ResourceClass, type Resources } from './resources.js';

/**
 * Where a total comes from: read off the machine, told by an operator, or from nowhere. One that is
 * unknown is 0 and keeps nothing away: what cannot be measured is not thereby missing.
 */
export const INVENTORY_SOURCES = ['detected', 'configured', 'unknown'] as const;
export type InventorySource = (typeof INVENTORY_SOURCES)[number];

export interface InventoryEntry {
  /** What the machine has, in the class's unit. */
  readonly total: number;
  /** What is kept back from booking, in the class's unit, before overcommit. */
  readonly reserved: number;
  /** How many times the physical amount may be promised; 1 = never more than there is. */
  readonly overcommit: number;
  /** What may be booked at most, whatever the formula gives; absent where there is no such limit. */
  readonly max?: number | undefined;
  readonly source: InventorySource;
}

/** What is said of one class of a machine, before reserve and overcommit. */
export interface MeasuredTotal extends Pick<InventoryEntry, 'total' | 'max' | 'source'> {
  /** The host's own factor, which goes before that of the policy. */
  readonly overcommit?: number | undefined;
}

export type Inventory = Readonly<Record<ResourceClass, InventoryEntry>>;

/** The operator's share of each host that is not booked, and how often the rest may be sold. */
export interface CapacityPolicy {
  /** Factor per class; 1 where absent. */
  readonly overcommit: Readonly<Record<ResourceClass, number>>;
  /** Share of the total (0 to 1) per class; 0 where absent. */
  readonly reserve: Readonly<Record<ResourceClass, number>>;
}

/** The scale on which the ranking looks at a host: `total × overcommit`. */
export const capacityOf = (entry: InventoryEntry): number => entry.total * entry.overcommit;

/**
 * What may be booked: `min(max, floor((total − reserved) × overcommit))`, never below 0. Of a class
 * whose total is unknown, anything up to `max`.
 */
export function limitOf({ total, reserved, overcommit, max, source }: InventoryEntry): number {
  const byFormula = source === 'unknown' ? AMOUNT_MAX : Math.floor((total - reserved) * overcommit);
  return Math.max(0, Math.min(byFormula, max ?? AMOUNT_MAX));
}

/** Whether nobody can say how much there is; then neither capacity nor limit is a number to show. */
export const isUnknown = (entry: Pick<InventoryEntry, 'source'> | undefined): boolean =>
  entry?.source === 'unknown';

/**
 * An inventory from measured totals and the operator's policy: `reserved = ceil(total × share)`.
 * A host's own factor goes before that of the policy.
 */
export function inventoryOf(
  totals: Readonly<Record<ResourceClass, MeasuredTotal>>,
  policy: CapacityPolicy,
): Inventory {
  return Object.fromEntries(
    Object.entries(totals).map(([resource, { total, overcommit, max, source }]) => [
      resource,
      {
        total,
        reserved: Math.ceil(total * (policy.reserve[resource] ?? 0)),
        overcommit: overcommit ?? policy.overcommit[resource] ?? 1,
        ...(max === undefined ? {} : { max }),
        source,
      },
    ]),
  );
}

/** What an operator says of one host, over the configuration and what its agent measures. */
export interface InventoryOverrides {
  /** Factor per class. */
  readonly overcommit?: Resources | undefined;
  /** Share of the total (0 to below 1) per class. */
  readonly reserve?: Resources | undefined;
  /** Totals per class, in the class's unit, instead of the measured ones. */
  readonly totals?: Resources | undefined;
}

/**
 * The inventory of one host: totals that its operator gave replace (or add to) the measured ones,
 * and count as `configured`; its factors and shares by the operator go before the host's own, and
 * those before the policy's.
 */
export function hostInventoryOf(
  measured: Readonly<Record<ResourceClass, MeasuredTotal>>,
  { overcommit = {}, reserve = {}, totals = {} }: InventoryOverrides,
  policy: CapacityPolicy,
): Inventory {
  const said: Record<ResourceClass, MeasuredTotal> = { ...measured };
  for (const [resource, total] of Object.entries(totals)) {
    said[resource] = { ...measured[resource], total, source: 'configured' };
  }
  for (const [resource, factor] of Object.entries(overcommit)) {
    const entry = said[resource];
    if (entry !== undefined) said[resource] = { ...entry, overcommit: factor };
  }
  return inventoryOf(said, { ...policy, reserve: { ...policy.reserve, ...reserve } });
}

/** `limitOf` of every class. */
export const limitsOf = (inventory: Inventory): Resources =>
  Object.fromEntries(
    Object.entries(inventory).map(([resource, entry]) => [resource, limitOf(entry)]),
  );

/** `capacityOf` of every class. */
export const capacitiesOf = (inventory: Inventory): Resources =>
  Object.fromEntries(
    Object.entries(inventory).map(([resource, entry]) => [resource, capacityOf(entry)]),
  );

/** One class in which a request does not fit. */
export interface Shortfall {
  readonly resource: ResourceClass;
  readonly requested: number;
  /** What is left to book: 0 when the host is over-full. */
  readonly available: number;
  readonly limit: number;
}

/**
 * Every class in which `allocated + requested ≤ limit` does not hold. Classes that are not asked
 * for are not looked at; whether a host takes anything at all is isOverFull's question.
 * @returns an empty list when the request fits
 */
export function shortfalls(
  limits: Resources,
  allocated: Resources,
  requested: Resources,
): readonly Shortfall[] {
  const short: Shortfall[] = [];
  for (const [resource, amount] of Object.entries(requested)) {
    if (amount === 0) continue;
    const limit = limits[resource] ?? 0;
    const used = allocated[resource] ?? 0;
    if (used + amount <= limit) continue;
    short.push({
      resource,
      requested: amount,
      available: Math.max(0, limit - used),
      limit,
    });
  }
  return short;
}
