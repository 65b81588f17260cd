/** Reservations and batches for tests of the API, kept in memory. */
import { randomUUID } from 'node:crypto';
import type { Control } from '../../src/control/control.js';
import { noSuchReservation, type ReservationVerbs } from '../../src/control/reservations.js';
import { DomainError } from '../../src/model/errors.js';
import type { Host } from '../../src/model/host.js';
import type { Reservation } from '../../src/model/reservation.js';
import type { ReservationStore } from '../../src/model/stores/reservations.js';

export interface ReservationsDouble {
  readonly reservations: Map<string, Reservation>;
  readonly verbs: ReservationVerbs;
  readonly store: Pick<ReservationStore, 'reservation' | 'reservations'>;
}

const at = new Date('2026-11-21T10:00:00.000Z');

export function modelReservation(changes: Partial<Reservation> = {}): Reservation {
  return {
    id: `rsv-${randomUUID()}`,
    name: 'release-day',
    path: 'root',
    purpose: 'held',
    resources: { cpu: 1, memory: 512, disk: 1024 },
    constraints: {},
    host: { id: 'host-a', name: 'name-a' },
    bookingId: randomUUID(),
    until: new Date(at.getTime() + 3_600_000),
    createdAt: at,
    ...changes,
  };
}

/** @param work a step that fails when the test wants it to */
export function reservationsDouble(
  hosts: Map<string, Host>,
  work: () => Promise<void>,
): ReservationsDouble {
  const reservations = new Map<string, Reservation>();
  return {
    reservations,
    verbs: {
      async reserve({ resources, name, path, constraints, expiresInS }) {
        await work();
        const host = [...hosts.values()].find(({ mode }) => mode === 'enabled');
        if (host === undefined) {
          throw new DomainError('no_feasible_host', 'No host has this room.', {
            extra: { summary: { considered: 0, feasible: 0, byReason: {}, nearest: null } },
          });
        }
        const reservation = modelReservation({
          resources,
          host: { id: host.id, name: host.name },
          until: new Date(at.getTime() + expiresInS * 1_000),
          ...(name === undefined ? {} : { name }),
          ...(path === undefined ? {} : { path }),
          ...(constraints === undefined ? {} : { constraints }),
        });
        reservations.set(reservation.id, reservation);
        return reservation;
      },
      async endReservation(id) {
        await work();
        const reservation = reservations.get(id);
        if (reservation === undefined) throw noSuchReservation(id);
        reservations.delete(id);
        return reservation;
      },
    },
    store: {
      async reservation(id) {
        await work();
        return reservations.get(id) ?? null;
      },
      async reservations({ limit }) {
        await work();
        const all = [...reservations.values()].filter(({ purpose }) => purpose === 'held');
        return { items: all.slice(0, limit), nextCursor: null };
      },
    },
  };
}

/** Many creates as so many single ones; what is made of a refused batch is made undone by nobody. */
export const createVmsDouble =
  (createVm: Control['createVm']): Control['createVms'] =>
  async (inputs, { partial }, by) => {
    const outcomes: Awaited<ReturnType<Control['createVms']>>[number][] = [];
    for (const [index, input] of inputs.entries()) {
      try {
        outcomes.push({ status: 'placed', vm: await createVm(input, by) });
      } catch (error) {
        if (!(error instanceof DomainError)) throw error;
        if (!partial) {
          throw new DomainError(error.code, error.message, {
            extra: { ...error.extra, index },
            ...(error.errors === undefined ? {} : { errors: error.errors }),
          });
        }
        outcomes.push({ status: 'refused', error });
      }
    }
    return outcomes;
  };
