/** The part of the catalogue that takes hosts out: drains, the moves of VMs, and retirement. */
import type { Actor } from '../actor.js';
import type { HostRef } from '../decision.js';
import type { Drain, DrainMove } from '../drain.js';
import type { Host } from '../host.js';
import type { LedgerBooking } from '../ports/ledger.js';
import type { Vm } from '../vm.js';

/** A drain that has something to do still. */
export interface OpenDrain {
  readonly drain: Drain;
  /** The ledger as it was when what is blocked was last tried; null: not yet. */
  readonly triedAtSeq: number | null;
}

export interface DrainStore {
  /**
   * Closes a host and keeps the plan. A host that is being drained already keeps its plan.
   * @throws DomainError `state_conflict` when it is retired
   */
  startDrain(
    hostId: string,
    plan: {
      readonly reason: string | null;
      readonly owner: string | null;
      readonly moves: readonly DrainMove[];
    },
    by: Actor,
  ): Promise<Drain>;
  /** The last drain of a host; null when there was none. */
  drain(hostId: string): Promise<Drain | null>;
  /**
   * Ends a drain: the host's mode is what it was before, if it is still draining. VMs that hold
   * data here stay; those that were let go already go on to their new host.
   * @returns the drain, and ids of the reservations that are no longer needed; null when none was
   */
  cancelDrain(
    hostId: string,
    by: Actor | null,
  ): Promise<{ readonly drain: Drain; readonly reservations: readonly string[] } | null>;
  /** Drains under way, and cancelled ones with VMs still on their way. */
  openDrains(): Promise<readonly OpenDrain[]>;
  /** Writes what became of moves; new ones are appended. Those of VMs not named stay as they are. */
  saveMoves(hostId: string, moves: readonly DrainMove[]): Promise<void>;
  /** Notes with which ledger everything that is blocked was tried. */
  noteTried(hostId: string, seq: number): Promise<void>;
  /** The host has no VM any more. @returns false when it has one, or the drain is over */
  finishDrain(hostId: string): Promise<boolean>;
  /** VMs that are booked on a host, in order of creation. */
  vmsOn(hostId: string): Promise<readonly Vm[]>;
  /**
   * Sends a VM off: the lifecycle takes it from here.
   * @returns false when it is no longer there, moves already, or the reservation is gone
   */
  beginMove(move: {
    readonly vmId: string;
    readonly from: string;
    readonly target: HostRef;
    readonly reservationId: string;
    readonly detail: string | null;
  }): Promise<boolean>;
  /**
   * The point of no return: from here on the VM counts as one that holds no data, so that its host
   * may be told to let it go. The lease is kept.
   * @returns false when the lease was lost or the room elsewhere is gone; then the VM stays
   */
  leaveHost(lease: string, vmId: string): Promise<boolean>;
  /**
   * Takes a host out for good: its credential opens nothing, its name is free.
   * With a reason it is emptied by an operator's word: its VMs have failed, its reservations end.
   * A repeat changes nothing.
   * @returns null when there is no such host
   * @throws DomainError `host_not_empty`
   */
  retireHost(
    idOrName: string,
    force: { readonly reason: string } | null,
    by: Actor,
  ): Promise<{ readonly host: Host; readonly released: readonly LedgerBooking[] } | null>;
}
