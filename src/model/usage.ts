/** How much of the fleet there is, may be booked, is booked, and is really used. Pure. */
import type { HostState } from './host-liveness.js';
import type { HostMode } from './host.js';
import { knownLimitsOf, type Host } from './host.js';
import { capacitiesOf } from './inventory.js';
import type { ResourceClass } from './resources.js';

/** One class, of a host or of many. */
export interface ClassUsage {
  /** Total times overcommit. */
  readonly capacity: number;
  /** What may be booked; 0 of a class that is unknown, as its capacity. */
  readonly limit: number;
  readonly booked: number;
  /** What the machines really use, where their agents tell; null where none does. */
  readonly used: number | null;
}

export type Usage = Readonly<Record<ResourceClass, ClassUsage>>;

export interface HostUsage {
  readonly host: { readonly id: string; readonly name: string };
  readonly zone: string;
  readonly state: HostState;
  readonly mode: HostMode;
  readonly resources: Usage;
}

export interface ZoneUsage {
  readonly zone: string;
  readonly hosts: number;
  readonly resources: Usage;
}

const NOTHING: ClassUsage = { capacity: 0, limit: 0, booked: 0, used: null };

type Counted = Pick<Host, 'inventory' | 'orphaned' | 'allocated' | 'used'>;

/** Of one host, in every class that it has, books or uses. */
export function usageOf(host: Counted): Usage {
  const capacities = capacitiesOf(host.inventory);
  const limits = knownLimitsOf(host);
  const classes = [capacities, host.allocated, host.used].flatMap((amounts) =>
    Object.keys(amounts),
  );
  return Object.fromEntries(
    [...new Set(classes)].map((resource) => [
      resource,
      {
        capacity: capacities[resource] ?? 0,
        limit: limits[resource] ?? 0,
        booked: host.allocated[resource] ?? 0,
        used: host.used[resource] ?? null,
      },
    ]),
  );
}

/** The sum, class by class. */
export function sumUsage(parts: Iterable<Usage>): Usage {
  const sum: Record<ResourceClass, ClassUsage> = {};
  for (const part of parts) {
    for (const [resource, more] of Object.entries(part)) {
      const before = sum[resource] ?? NOTHING;
      sum[resource] = {
        capacity: before.capacity + more.capacity,
        limit: before.limit + more.limit,
        booked: before.booked + more.booked,
        used: more.used === null ? before.used : (before.used ?? 0) + more.used,
      };
    }
  }
  return sum;
}

/** Hosts summed by zone, zones in order of their names. */
export function usageByZone(hosts: readonly HostUsage[]): readonly ZoneUsage[] {
  const zones = new Map<string, Usage[]>();
  for (const { zone, resources } of hosts) {
    const known = zones.get(zone);
    if (known === undefined) zones.set(zone, [resources]);
    else known.push(resources);
  }
  return [...zones]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([zone, parts]) => ({ zone, hosts: parts.length, resources: sumUsage(parts) }));
}

// History.

export const USAGE_STEPS = ['5m', '1h'] as const;
export type UsageStep = (typeof USAGE_STEPS)[number];

export const USAGE_SCOPES = ['total', 'zone', 'host'] as const;
export type UsageScope = (typeof USAGE_SCOPES)[number];

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

export const STEP_MS: Readonly<Record<UsageStep, number>> = {
  '5m': 5 * MINUTE_MS,
  '1h': 60 * MINUTE_MS,
};

/** How long samples are kept. */
export const KEPT_MS: Readonly<Record<UsageStep, number>> = {
  '5m': 7 * DAY_MS,
  '1h': 365 * DAY_MS,
};

/** The instant to which a sample belongs: the beginning of the step that `atMs` lies in. */
export const stepStartMs = (atMs: number, step: UsageStep): number =>
  Math.floor(atMs / STEP_MS[step]) * STEP_MS[step];

/** One class in a sample: means over the step, and the highest that was seen. */
export interface SampledClass extends ClassUsage {
  readonly bookedMax: number;
  readonly usedMax: number | null;
}

export interface UsageSample {
  /** Beginning of the step. */
  readonly at: Date;
  readonly resources: Readonly<Record<ResourceClass, SampledClass>>;
}
