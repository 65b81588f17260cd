/**
 * Amounts of resource classes: what a VM asks for and what a host has booked.
 * Limits, reserves and overcommit are not here; see inventory.ts.
 */

/** A named dimension: one of the standard classes, or one that an operator defines. */
export type ResourceClass = string;

/** The unit in which amounts of the standard classes are counted. */
export const UNIT_OF_CLASS: Readonly<Record<string, string>> = {
  cpu: 'vCPU',
  memory: 'MiB',
  disk: 'MiB',
  network: 'bytes/s',
  disk_io: 'bytes/s',
  gpu: 'slots',
};

/** Unit of a class; a class that an operator defined counts plain units. */
export const unitOf = (resource: ResourceClass): string => UNIT_OF_CLASS[resource] ?? 'units';

/** Classes that the ranking looks at, in the order in which its sums are taken. */
export const RANKED_CLASSES = ['cpu', 'memory', 'disk'] as const;
export type RankedClass = (typeof RANKED_CLASSES)[number];

/** Largest amount of one class: sums of a whole host stay exact in a double. */
export const AMOUNT_MAX = Number.MAX_SAFE_INTEGER;

/** Amount per class: non-negative safe integers. A class that is absent counts as 0. */
export type Resources = Readonly<Record<ResourceClass, number>>;

export const NO_RESOURCES: Resources = Object.freeze({});

/** Sum of two amounts, class by class. */
export function addResources(left: Resources, right: Resources): Resources {
  const sum: Record<ResourceClass, number> = { ...left };
  for (const [resource, amount] of Object.entries(right)) {
    sum[resource] = (sum[resource] ?? 0) + amount;
  }
  return sum;
}

/** `left − right`, class by class. A result may be negative: drift is reported with it. */
export function subtractResources(left: Resources, right: Resources): Resources {
  const difference: Record<ResourceClass, number> = { ...left };
  for (const [resource, amount] of Object.entries(right)) {
    difference[resource] = (difference[resource] ?? 0) - amount;
  }
  return difference;
}

/** The same amounts without the classes that are 0. */
export function withoutZeros(resources: Resources): Resources {
  return Object.fromEntries(Object.entries(resources).filter(([, amount]) => amount !== 0));
}

/** What is said of each class, but for some classes. */
export function withoutClasses<T>(
  said: Readonly<Record<ResourceClass, T>>,
  classes: readonly ResourceClass[],
): Readonly<Record<ResourceClass, T>> {
  return Object.fromEntries(
    Object.entries(said).filter(([resource]) => !classes.includes(resource)),
  );
}
