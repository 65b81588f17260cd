/** A host: a machine that runs VMs, as the control plane knows it. */
import {
  capacitiesOf,
  hostInventoryOf,
  isUnknown,
  limitsOf,
  type CapacityPolicy,
  type Inventory,
  type InventoryOverrides,
} from './inventory.js';
import type { MeasuredTotals } from './agent-report.js';
import type { HostState } from './host-liveness.js';
import type { Resources } from './resources.js';

/** The operator's word on a host, beside its liveness. */
export type HostMode = 'enabled' | 'cordoned' | 'draining' | 'retired';

/** What is absent is as the agent or the configuration says. */
export interface HostOverrides extends InventoryOverrides {
  readonly zone?: string | undefined;
  /** Added to the labels that the agent gives, or instead of those of the same key. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** What an operator changes of a host; what is absent stays as it is. */
export interface HostPatch {
  readonly mode?:
    | {
        readonly mode: HostMode;
        readonly reason: string | null;
        readonly owner: string | null;
        /** After how long a cordon ends by itself; null: it does not. */
        readonly endsInMs: number | null;
      }
    | undefined;
  /** Each replaces the whole override of that name; null takes it back. */
  readonly overrides?: { readonly [Name in keyof HostOverrides]: HostOverrides[Name] | null };
}

/** What an agent says of its machine, as far as it counts; see report-order.ts. */
export interface HostSays {
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly totals: MeasuredTotals;
  /** What it cannot hold its VMs to, each a sentence for people; absent: it has not said. */
  readonly notEnforced?: readonly string[] | undefined;
}

/** What an agent has said, with what its newest report cannot hold its VMs to. */
export function withNotEnforced(
  { notEnforced: _before, ...said }: HostSays,
  notEnforced: HostSays['notEnforced'],
): HostSays {
  return notEnforced === undefined ? said : { ...said, notEnforced };
}

/** An operator's word that a host is off; holds until it has come back and was told what it lost. */
export interface Fence {
  readonly at: Date;
  readonly reason: string;
  /** Name of who said so. */
  readonly by: string;
}

export interface Host {
  readonly id: string;
  readonly name: string;
  /** Base URL of the host's agent, without a trailing slash. */
  readonly address: string;
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: HostState;
  readonly mode: HostMode;
  /** Why the operator set the mode; null when enabled. */
  readonly modeReason: string | null;
  /** Whom to ask about the mode. */
  readonly modeOwner: string | null;
  /** When a cordon ends by itself; null when it does not. */
  readonly modeUntil: Date | null;
  /** While it is fenced it does not become `up`, and so takes no VMs; null: it is not. */
  readonly fence: Fence | null;
  /** What the operator says of this host, over what the agent and the configuration say. */
  readonly overrides: HostOverrides;
  /** Polls missed in a row. */
  readonly missedPolls: number;
  readonly inventory: Inventory;
  /** What the machine really uses, as its agent last said. */
  readonly used: Resources;
  /** Size of VMs that run there and are not recorded: not to be booked again. */
  readonly orphaned: Resources;
  /** What the catalogue has booked on this host. */
  readonly allocated: Resources;
  /** Number of VMs that are booked here. */
  readonly vms: number;
  /** Order of registration; breaks ties between equal hosts. */
  readonly seq: number;
  /** Grows with every change of what placement looks at, so that an old view never replaces a newer. */
  readonly revision: number;
  readonly agent: { readonly version: string; readonly bootId: string };
  /** Limits to which it cannot hold its VMs, each a sentence for people. */
  readonly notEnforced: readonly string[];
  readonly lastSeenAt: Date | null;
  readonly createdAt: Date;
}

/** What placement must know of a host, besides what is booked on it. */
export interface HostFacts {
  readonly id: string;
  readonly name: string;
  readonly seq: number;
  readonly revision: number;
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: HostState;
  readonly mode: HostMode;
  readonly capacity: Resources;
  readonly limits: Resources;
}

/** A host as the fleet shows it at an instant: facts and bookings. */
export interface FleetHost extends HostFacts {
  readonly allocated: Resources;
}

/** A host takes new VMs when it answers and the operator lets it. */
export const isOpen = (host: Pick<Host, 'state' | 'mode'>): boolean =>
  host.state === 'up' && host.mode === 'enabled';

/** What may be booked: the limits, less what runs there without a record. */
export const bookableOf = ({
  inventory,
  orphaned,
}: Pick<Host, 'inventory' | 'orphaned'>): Resources =>
  Object.fromEntries(
    Object.entries(limitsOf(inventory)).map(([resource, limit]) => [
      resource,
      Math.max(0, limit - (orphaned[resource] ?? 0)),
    ]),
  );

/** `bookableOf` of the classes of which it is a number that says something; see inventory.ts. */
export const knownLimitsOf = (host: Pick<Host, 'inventory' | 'orphaned'>): Resources =>
  Object.fromEntries(
    Object.entries(bookableOf(host)).filter(([resource]) => !isUnknown(host.inventory[resource])),
  );

/** What a host offers to placement: what its agent says, under what its operator says. */
export const offerOf = (
  said: HostSays,
  overrides: HostOverrides,
  policy: CapacityPolicy,
): Pick<Host, 'zone' | 'labels' | 'inventory'> => ({
  zone: overrides.zone ?? said.zone,
  labels: { ...said.labels, ...overrides.labels },
  inventory: hostInventoryOf(said.totals, overrides, policy),
});

/** The overrides after a patch: null and `{}` take one back. */
export function patchedOverrides(
  before: HostOverrides,
  patch: NonNullable<HostPatch['overrides']>,
): HostOverrides {
  const isKept = ([, value]: readonly [string, unknown]) =>
    value !== undefined &&
    value !== null &&
    (typeof value !== 'object' || Object.keys(value).length > 0);
  const said = Object.entries(patch).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    Object.entries({ ...before, ...Object.fromEntries(said) }).filter(isKept),
  );
}

/** Whether more is booked than may be, in any class: such a host takes nothing new. */
export const isOverFull = (limits: Resources, allocated: Resources): boolean =>
  Object.entries(allocated).some(([resource, amount]) => amount > (limits[resource] ?? 0));

export function factsOf(host: Host): HostFacts {
  const { id, name, seq, revision, zone, labels, state, mode, inventory } = host;
  return {
    id,
    name,
    seq,
    revision,
    zone,
    labels,
    state,
    mode,
    capacity: capacitiesOf(inventory),
    limits: bookableOf(host),
  };
}
