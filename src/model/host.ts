/** A host: a machine that runs VMs, as the control plane knows it. */
import { capacitiesOf, limitsOf, type Inventory } from './inventory.js';
import type { HostState } from './host-liveness.js';
import type { Resources } from './resources.js';

/** The operator's word on a host, beside its liveness. */
export type HostMode = 'enabled' | 'cordoned' | 'draining' | 'retired';

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
  /** Polls missed in a row. */
  readonly missedPolls: number;
  readonly inventory: Inventory;
  /** What the catalogue has booked on this host. */
  readonly allocated: Resources;
  /** Number of VMs that are booked here. */
  readonly vms: number;
  /** Order of registration; breaks ties between equal hosts. */
  readonly seq: number;
  /** Grows with every change of what placement looks at, so that an old view never replaces a newer. */
  readonly revision: number;
  readonly agent: { readonly version: string; readonly bootId: string };
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
    limits: limitsOf(inventory),
  };
}
