/** What the double's Redis holds, is asked and answers. */
import type { GroupCount, Membership } from '../model/groups.js';
import type { HostFacts } from '../model/host.js';
import type { Booking, BookOutcome, LedgerBooking, LedgerState } from '../model/ports.js';
import type { Resources } from '../model/resources.js';

/** A booking as the ledger holds it. */
export interface Held extends LedgerBooking {
  readonly resources: Resources;
  readonly groups: readonly Membership[];
  /** What it took the place of, as it was; none once it is committed. */
  readonly displaced: readonly Held[];
  readonly committed: boolean;
  readonly atMs: number;
}

export type GroupEntry = readonly [key: string, hostId: string, count: GroupCount];

/** Sums as a change has left them, of all that it looked at. */
export interface Sums {
  readonly used: readonly (readonly [hostId: string, used: Resources])[];
  readonly groups: readonly GroupEntry[];
}

/** A change of the ledger, as its stream tells it. */
export interface LogEntry extends Sums {
  /** Goes on even when the ledger loses what it had: no two entries ever share one. */
  readonly stamp: number;
  /** The number of the change; null: a new ledger begins. */
  readonly seq: number | null;
  readonly facts: HostFacts | null;
}

/** Everything, for a mirror that knows nothing. */
export interface FullReading extends Sums {
  readonly facts: readonly HostFacts[];
  readonly epoch: number;
  readonly stamp: number;
}

export interface Reading extends LedgerState {
  readonly fence: number;
  /** What has changed since; null when that is no longer known. */
  readonly entries: readonly LogEntry[] | null;
}

export interface BookRequest {
  readonly incarnation: string;
  readonly fence: number;
  /** The highest number that the caller has seen in this incarnation. */
  readonly seen: number;
  readonly bookings: readonly Booking[];
}

export type Swapped = 'SWAPPED' | 'OLDER' | 'INCOMPLETE';

export type Booked =
  | { readonly code: 'FOREIGN' | 'FENCED' | 'ROLLED_BACK' }
  | {
      readonly code: 'DONE';
      readonly outcomes: readonly BookOutcome[];
      readonly seq: number;
      /** The entry that tells it; null when nothing has changed. */
      readonly stamp: number | null;
      readonly sums: Sums;
    };
