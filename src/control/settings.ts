/** What the control plane must be told; bin makes it from the configuration. */
import type { WatchRules } from '../model/fleet-breaker.js';
import type { FlappingRule } from '../model/stores/fleet-watch.js';
import type { OnMissing } from '../model/stores/orphans.js';
import type { Ranking } from '../placement/strategy.js';

export interface SchedulerSettings {
  readonly ranking: Ranking;
  /** Requests that may wait; more are refused with `overloaded`. */
  readonly queueMax: number;
  /** VMs that one batch may hold. */
  readonly batchMax: number;
  /** How long one replica may keep the placement lock while others may want it. */
  readonly holdMs: number;
  /** How long a request may wait for a decision. */
  readonly deadlineMs: number;
}

export interface LifecycleSettings {
  /** How long a VM belongs to the replica that took it. Longer than two agent deadlines. */
  readonly leaseMs: number;
  readonly tickMs: number;
  /** VMs that one replica works on at once. */
  readonly concurrencyMax: number;
  /** Of these, VMs of one host: a slow agent delays only itself. */
  readonly perHostMax: number;
  /** Hosts that a VM is tried on before it has failed. */
  readonly attemptsMax: number;
}

export interface WaitingSettings {
  /** How long a VM waits for room when nobody says. */
  readonly deadlineS: number;
}

export interface HealthSettings {
  readonly periodS: number;
  readonly concurrencyMax: number;
  /** What is done about VMs that their hosts do not have any more. */
  readonly onMissing: OnMissing;
  readonly breaker: WatchRules;
  readonly flapping: FlappingRule;
}

/** How long what has happened is kept. */
export interface KeepSettings {
  readonly eventsMs: number;
  readonly auditMs: number;
}

export interface ControlSettings {
  /** Names this replica in leases; fresh at every start. */
  readonly replicaId: string;
  readonly scheduler: SchedulerSettings;
  readonly lifecycle: LifecycleSettings;
  readonly waiting: WaitingSettings;
  readonly health: HealthSettings;
  /** How long a booking may stay unrecorded before the lease loop asks the catalogue about it. */
  readonly bookingLeaseMs: number;
  readonly keep: KeepSettings;
}
