/** The catalogue's part of the waiting room: VMs that no host could take yet, by order of arrival. */
import type { Actor } from '../actor.js';
import type { StrategyName } from '../strategies.js';
import type { Vm, VmSpec } from '../vm.js';

/** A VM that is to wait until there is room for it. */
export interface Arrival {
  readonly spec: VmSpec;
  /** Fingerprint of the request, to recognise a repeat of it. */
  readonly requestHash: string;
  /** Strategy that an operator asked for; null for the configured one. */
  readonly strategy: StrategyName | null;
  /** How long it waits at most. */
  readonly waitMs: number;
  readonly by: Actor;
}

/** What the one who places waiting VMs must know of each. */
export interface WaitingVm {
  /** Place in the line: the lower one came earlier. */
  readonly seq: number;
  readonly spec: VmSpec;
  readonly strategy: StrategyName | null;
}

/** Enough to see cheaply whether the line has changed. */
export interface WaitingLine {
  readonly count: number;
  /** `seq` of the one that came last; 0 when nobody waits. */
  readonly newest: number;
}

export interface WaitingStore {
  /**
   * Puts a VM at the end of the line. An id that is known already changes nothing.
   * @returns the VM that has the id now, with its request's fingerprint
   */
  enqueueVm(arrival: Arrival): Promise<{ readonly vm: Vm; readonly requestHash: string }>;
  /** How many wait, those that are to be deleted left out. */
  waitingLine(): Promise<WaitingLine>;
  /** The line behind the place `after`. */
  waitingVms(after: number, limit: number): Promise<readonly WaitingVm[]>;
  /** VMs that have waited past their deadline are failed. @returns their ids */
  expireWaiting(limit: number): Promise<readonly string[]>;
}
