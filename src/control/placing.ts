/** A request on its way to a place: what is asked, who waits for it, what stands for it. */
import type { Actor } from '../model/actor.js';
import type { DecisionSummary } from '../model/decision.js';
import type { GroupRule, Membership } from '../model/groups.js';
import type { Booking, LedgerBooking, RecordItem } from '../model/ports.js';
import type { Reservation } from '../model/reservation.js';
import type { Resources } from '../model/resources.js';
import type { StrategyName } from '../model/strategies.js';
import type { Attempt, Vm, VmSpec } from '../model/vm.js';

/** A booking whose place the new one takes, with what the fleet must show as free meanwhile. */
export interface FreedBooking extends LedgerBooking {
  readonly resources: Resources;
  readonly groups: readonly Membership[];
}

export interface PlaceRequest {
  readonly kind: RecordItem['kind'];
  readonly spec: VmSpec;
  readonly requestHash: string;
  /** Hosts that must not be tried again, besides those that the constraints exclude. */
  readonly avoid: readonly string[];
  /** Who asked for it; null for what Berth does by itself. */
  readonly by: Actor | null;
  /** Whether its caller has gone: then it is not placed any more. */
  readonly isGone?: (() => boolean) | undefined;
  /** Only this host, by id, whatever else its constraints allow; they are recorded as they are. */
  readonly onHost?: string;
  /** How hosts are ranked; the configured way when absent or null. */
  readonly strategy?: StrategyName | null;
  /**
   * Given back in the same step: the reservation that is consumed; for a move the old booking and
   * the reservation that holds its room.
   */
  readonly frees?: readonly FreedBooking[];
  /** For `reserve`, and only then. */
  readonly reservation?: RecordItem['reservation'];
}

/**
 * - `placed`: booked and recorded.
 * - `nowhere`: no host can take it; the summary says why.
 * - `taken`: the id belongs to another VM.
 * - `gone`: the VM to be placed again no longer waits for a host, the one to be moved no longer
 *   moves, or a booking that it was to take the place of is gone.
 */
export type PlaceResult =
  | { readonly kind: 'placed'; readonly vm: Vm }
  | { readonly kind: 'nowhere'; readonly summary: DecisionSummary }
  | { readonly kind: 'taken' | 'gone' };

/** Another request of its set was refused, so nothing of the set was booked. */
export interface RefusedWithSet {
  readonly kind: 'set';
}

/** A reservation is booked and recorded. */
export interface Reserved {
  readonly kind: 'reserved';
  readonly reservation: Reservation;
}

export type Answer = PlaceResult | RefusedWithSet | Reserved;

/** A request that waits for its answer; it is answered exactly once. */
export interface Pending {
  readonly request: PlaceRequest;
  readonly avoid: Set<string>;
  resolve(result: Answer): void;
  reject(error: unknown): void;
}

/** Requests that are placed all or none; most stand alone. */
export interface Party {
  /** Name of the set; null for a request that stands alone. */
  readonly set: string | null;
  readonly members: readonly Pending[];
  readonly deadline: number;
  /** How often its bookings met a rebuild. */
  staleEpochs: number;
}

/** A pending request with the booking that stands for it in the ledger. */
export interface Booked {
  readonly pending: Pending;
  readonly booking: Booking;
  readonly attempt: Attempt;
  readonly violations: readonly GroupRule[];
}

/** A party with a booking for each of its members, in their order. */
export interface BookedParty {
  readonly party: Party;
  readonly members: readonly Booked[];
}

/** One member is refused for good, and with it, for no fault of theirs, the others. */
export function refuseParty(party: Party, culprit: number, result: PlaceResult): void {
  party.members.forEach((pending, index) => {
    pending.resolve(index === culprit ? result : { kind: 'set' });
  });
}

export function rejectParty({ members }: Party, error: unknown): void {
  for (const pending of members) pending.reject(error);
}

/** What the catalogue is asked to record for a booked request. */
export const recordItemOf = ({
  pending: { request },
  booking,
  attempt,
  violations,
}: Booked): RecordItem => ({
  kind: request.kind,
  spec: request.spec,
  requestHash: request.requestHash,
  booking,
  attempt,
  by: request.by,
  violations,
  strategy: request.strategy ?? null,
  reservation: request.reservation ?? null,
});
