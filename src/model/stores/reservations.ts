/** Reservations in the catalogue: room that is held without a VM. They are made by `record`. */
import type { Actor } from '../actor.js';
import type { Page, PageQuery } from '../page.js';
import type { LedgerBooking } from '../ports/ledger.js';
import type { Reservation } from '../reservation.js';

export interface ReservationStore {
  /** Of either purpose; null when there is none (any more). */
  reservation(id: string): Promise<Reservation | null>;
  /** Those that somebody asked for, in order of creation. */
  reservations(query: PageQuery): Promise<Page<Reservation>>;
  /**
   * Ends a reservation of either purpose in one transaction that also notes the release for the
   * ledger. A second call changes nothing.
   * @param by null for what Berth does by itself
   * @returns what the ledger must be told; null when there was none
   */
  endReservation(id: string, by: Actor | null): Promise<LedgerBooking | null>;
  /**
   * Ids of those whose time is over, and of moves that were given up: older than this, and no VM
   * is on its way there. At most `limit`, the oldest first.
   */
  expiredReservations(abandonedMs: number, limit: number): Promise<readonly string[]>;
}
