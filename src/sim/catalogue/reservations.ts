/** Reservations in the catalogue's double; `record` makes them, here they are read and end. */
import type { ReservationStore } from '../../model/stores/reservations.js';
import { pageOf, positionOf } from './cursors.js';
import type { ReservationRow } from './rows.js';
import { answered, type Tables } from './tables.js';
import { inOrder, reservationOf } from './views.js';
import { deleteReservation, eraseAllocation, notePending } from './writing.js';

export const reservationsOf = (tables: Tables): ReservationStore => ({
  reservation: (id) =>
    answered(tables, () => {
      const row = tables.reservations.get(id);
      return row === undefined ? null : reservationOf(tables, row);
    }),

  reservations: ({ limit, cursor }) =>
    answered(tables, () => {
      const after = cursor === null ? 0 : positionOf(cursor);
      const found = inOrder(tables.reservations.rows()).filter(
        ({ seq, purpose }) => seq > after && purpose === 'held',
      );
      const seqOf = ({ seq }: ReservationRow) => seq;
      return pageOf(found, limit, seqOf, (row) => reservationOf(tables, row));
    }),

  endReservation: (id, by) =>
    answered(
      tables,
      () => {
        const allocation = tables.allocationOfReservation(id);
        if (allocation !== undefined) {
          eraseAllocation(tables, allocation);
          notePending(tables, allocation);
        }
        deleteReservation(tables, id);
        if (allocation === undefined) return null;
        const { bookingId, hostId } = allocation;
        return { bookingId, vmId: id, hostId };
      },
      by === null ? null : { by, action: 'reservation.delete' },
    ),

  expiredReservations: (abandonedMs, limit) =>
    answered(tables, () => {
      const now = tables.now();
      const targets = new Set<string | null | undefined>(
        [...tables.moving].map((id) => tables.vms.get(id)?.movingTo),
      );
      const isOver = ({ id, until, purpose, createdAt }: ReservationRow) =>
        (until !== null && until <= now) ||
        (purpose === 'move' && createdAt <= now - abandonedMs && !targets.has(id));
      return inOrder(tables.reservations.rows())
        .filter(isOver)
        .slice(0, limit)
        .map(({ id }) => id);
    }),
});
