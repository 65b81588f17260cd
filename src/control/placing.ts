/** A request on its way to a place: what is asked, who waits for it, what stands for it. */
import type { DecisionSummary } from '../model/decision.js';
import type { Booking, RecordItem } from '../model/ports.js';
import type { Attempt, Vm, VmSpec } from '../model/vm.js';

export interface PlaceRequest {
  readonly kind: 'create' | 'again';
  readonly spec: VmSpec;
  readonly requestHash: string;
  /** Hosts that must not be tried again, besides those that the constraints exclude. */
  readonly avoid: readonly string[];
}

/**
 * - `placed`: booked and recorded.
 * - `nowhere`: no host can take it; the summary says why.
 * - `taken`: the id belongs to another VM.
 * - `gone`: the VM to be placed again no longer waits for a host.
 */
export type PlaceResult =
  | { readonly kind: 'placed'; readonly vm: Vm }
  | { readonly kind: 'nowhere'; readonly summary: DecisionSummary }
  | { readonly kind: 'taken' | 'gone' };

/** A request that waits for its answer; it is answered exactly once. */
export interface Pending {
  readonly request: PlaceRequest;
  readonly avoid: Set<string>;
  readonly deadline: number;
  /** How often its booking met a rebuild. */
  staleEpochs: number;
  resolve(result: PlaceResult): void;
  reject(error: unknown): void;
}

/** A pending request with the booking that stands for it in the ledger. */
export interface Booked {
  readonly pending: Pending;
  readonly booking: Booking;
  readonly attempt: Attempt;
}

/** What the catalogue is asked to record for a booked request. */
export const recordItemOf = ({ pending, booking, attempt }: Booked): RecordItem => ({
  kind: pending.request.kind,
  spec: pending.request.spec,
  requestHash: pending.request.requestHash,
  booking,
  attempt,
});
