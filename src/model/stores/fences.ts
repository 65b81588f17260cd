/** The catalogue's part of fencing: an operator's word that a host is off, and its end. */
import type { Actor } from '../actor.js';
import { DomainError } from '../errors.js';
import type { Host } from '../host.js';
import type { LedgerBooking } from '../ports/ledger.js';

/** A VM that a fence took away from its host, under the number by which the host knows it. */
export interface FencedVm {
  readonly vmId: string;
  readonly assignment: number;
}

export interface FenceStore {
  /**
   * Takes an operator's word that a host is off. In one transaction: VMs that were to be deleted
   * are, those that may restart elsewhere (and those that a move had taken their data from) lose
   * their booking and are to be placed again, the others keep theirs and are `unknown`. Room that
   * moves hold on the host is given back. A repeat while it is fenced changes nothing.
   * @returns null when there is no such host
   * @throws DomainError `state_conflict` when it is up or retired
   */
  fenceHost(
    idOrName: string,
    reason: string,
    by: Actor,
  ): Promise<{ readonly host: Host; readonly released: readonly LedgerBooking[] } | null>;
  /** What a fenced host has to be told that it is no longer its own. */
  fencedVms(hostId: string): Promise<readonly FencedVm[]>;
  /** Notes that a host will never run these under these numbers. */
  forgetFencedVms(hostId: string, vms: readonly FencedVm[]): Promise<void>;
  /**
   * Ends the fence of a host that answers and has been told everything; its next answer makes it up.
   * @param at when the fence was set that is to end: another one stays
   * @returns whether it ended
   */
  liftFence(hostId: string, at: Date, by: Actor): Promise<boolean>;
}

/** Whether a fence may be set; one that is set already stays as it is. @throws DomainError */
export function refuseFence({
  name,
  state,
  mode,
  fence,
}: Pick<Host, 'name' | 'state' | 'mode' | 'fence'>): void {
  if (mode === 'retired') {
    throw new DomainError('state_conflict', `Host ${name} is retired: nothing is left to fence.`);
  }
  if (state === 'up' && fence === null) {
    throw new DomainError(
      'state_conflict',
      `Host ${name} is up: it answers, so its VMs run. Drain it or cordon it instead.`,
      { extra: { state } },
    );
  }
}

/** Reasons of VMs, and what their attempts say, when their host is fenced. */
export const KEPT_BY_FENCE = {
  code: 'host_fenced',
  detail: 'An operator said that its host is off; it waits for it, where its disk is.',
} as const;
export const RELEASED_BY_FENCE = {
  code: 'host_fenced',
  detail: 'An operator said that its host is off; it is made anew elsewhere.',
} as const;
