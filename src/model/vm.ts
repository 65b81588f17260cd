/** A VM: what is wanted of it, what is seen of it, and where it is booked. */
import type { Constraints } from './constraints.js';
import type { GroupRule, Membership } from './groups.js';
import type { Resources } from './resources.js';
import type { StrategyName } from './strategies.js';

export const DESIRED_STATES = ['running', 'stopped', 'deleted'] as const;
export type DesiredState = (typeof DESIRED_STATES)[number];

export const VM_STATES = [
  'waiting',
  'placed',
  'creating',
  'running',
  'stopping',
  'stopped',
  'starting',
  'deleting',
  'deleted',
  'failed',
  'unknown',
] as const;
export type VmState = (typeof VM_STATES)[number];

/** Why a VM is in the state it is in; a stable code and a sentence. */
export interface Reason {
  readonly code: string;
  readonly detail: string;
}

/**
 * What becomes of a VM when an operator says that its host is off.
 * - `keep`: it waits for its host, where its disk is.
 * - `restart`: it is made anew from its image elsewhere; what was on its disk is given up.
 */
export const ON_HOST_LOSS = ['keep', 'restart'] as const;
export type OnHostLoss = (typeof ON_HOST_LOSS)[number];

/**
 * `moved`: it was taken away from a host that is being drained. `fenced`: an operator said that its
 * host is off, and it is made anew elsewhere.
 */
export const ATTEMPT_OUTCOMES = ['placed', 'refused', 'failed', 'moved', 'fenced'] as const;
export type AttemptOutcome = (typeof ATTEMPT_OUTCOMES)[number];

/** One try to place a VM on a host, or the end of its time there. */
export interface Attempt {
  readonly host: { readonly id: string; readonly name: string };
  readonly at: Date;
  readonly outcome: AttemptOutcome;
  readonly detail: string | null;
}

/** Somebody who may log in to the guest of a VM, by any of the keys. */
export interface VmUser {
  readonly name: string;
  /** Public keys, as in a line of an authorized_keys file. */
  readonly sshKeys: readonly string[];
}

/** What somebody asks for. */
export interface VmSpec {
  readonly id: string;
  readonly name: string;
  readonly path: string;
  readonly resources: Resources;
  readonly image: string | null;
  /** Made in the guest at its first boot, where the image heeds cloud-init. */
  readonly users: readonly VmUser[];
  readonly constraints: Constraints;
  readonly onHostLoss: OnHostLoss;
}

/** The booking under which a VM runs on a host, or under which a reservation holds room there. */
export interface Allocation {
  /** Names this booking and no other: an undo of it can never undo a later one. */
  readonly bookingId: string;
  /** The VM or the reservation that holds it. */
  readonly vmId: string;
  readonly hostId: string;
  /**
   * Grows with every placement in the whole fleet; an agent obeys only the newest it has seen.
   * 0 for a reservation: no agent hears of it.
   */
  readonly assignment: number;
  readonly path: string;
  readonly resources: Resources;
  readonly groups: readonly Membership[];
}

export interface Vm extends VmSpec {
  readonly desiredState: DesiredState;
  readonly state: VmState;
  readonly host: { readonly id: string; readonly name: string } | null;
  readonly allocation: Pick<Allocation, 'bookingId' | 'assignment'> | null;
  readonly reason: Reason | null;
  readonly attempts: readonly Attempt[];
  /** Soft rules that its present place breaks. */
  readonly violations: readonly GroupRule[];
  /** Strategy that an operator asked for; null for the configured one. */
  readonly strategy: StrategyName | null;
  /** Until when it waits for room; null when it does not wait. */
  readonly waitUntil: Date | null;
  /** The reservation that holds its room on another host while it moves there. */
  readonly movingTo: string | null;
  /** Whether it has ever run: only a VM that never did may be given up and removed. */
  readonly hasRun: boolean;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}
