/** A VM: what is wanted of it, what is seen of it, and where it is booked. */
import type { Constraints } from './constraints.js';
import type { Resources } from './resources.js';

export const DESIRED_STATES = ['running', 'stopped', 'deleted'] as const;
export type DesiredState = (typeof DESIRED_STATES)[number];

export const VM_STATES = [
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

export type AttemptOutcome = 'placed' | 'refused' | 'failed';

/** One try to place a VM on a host. */
export interface Attempt {
  readonly host: { readonly id: string; readonly name: string };
  readonly at: Date;
  readonly outcome: AttemptOutcome;
  readonly detail: string | null;
}

/** What somebody asks for. */
export interface VmSpec {
  readonly id: string;
  readonly name: string;
  readonly path: string;
  readonly resources: Resources;
  readonly image: string | null;
  readonly constraints: Constraints;
}

/** The booking under which a VM runs on a host. */
export interface Allocation {
  /** Names this booking and no other: an undo of it can never undo a later one. */
  readonly bookingId: string;
  readonly vmId: string;
  readonly hostId: string;
  /** Grows with every placement in the whole fleet; an agent obeys only the newest it has seen. */
  readonly assignment: number;
  readonly path: string;
  readonly resources: Resources;
}

export interface Vm extends VmSpec {
  readonly desiredState: DesiredState;
  readonly state: VmState;
  readonly host: { readonly id: string; readonly name: string } | null;
  readonly allocation: Pick<Allocation, 'bookingId' | 'assignment'> | null;
  readonly reason: Reason | null;
  readonly attempts: readonly Attempt[];
  /** Whether it has ever run: only a VM that never did may be given up and removed. */
  readonly hasRun: boolean;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}
