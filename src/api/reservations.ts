/** The handlers of `/v1/reservations`, and how a reservation is shown. */
import type { z } from 'zod';
import { noSuchReservation } from '../control/reservations.js';
import { RESERVATION_PREFIX, type Reservation } from '../model/reservation.js';
import type { pageQuerySchema } from '../wire/fields.js';
import type { ReservationBody, ReserveBody } from '../wire/reservations.js';
import type { Answer, ApiPorts, Call } from './route.js';
import { constraintsBody } from './vms.js';

interface ReservationParams {
  readonly id: string;
}

export async function createReservation(
  call: Call<undefined, undefined, ReserveBody>,
  { control }: ApiPorts,
): Promise<Answer> {
  // A repeat whose first try broke off finds the room that it held.
  const stable = call.stableId(0);
  const id = stable === undefined ? undefined : `${RESERVATION_PREFIX}${stable}`;
  return {
    status: 201,
    json: reservationBody(await control.reserve({ ...call.body, id }, call.by)),
  };
}

export async function listReservations(
  { query }: Call<undefined, z.infer<typeof pageQuerySchema>>,
  { catalogue }: ApiPorts,
): Promise<Answer> {
  const { limit, cursor = null } = query;
  const page = await catalogue.reservations({ limit, cursor });
  return {
    status: 200,
    json: { items: page.items.map(reservationBody), nextCursor: page.nextCursor },
  };
}

export async function getReservation(
  { params }: Call<ReservationParams>,
  { catalogue }: ApiPorts,
): Promise<Answer> {
  const reservation = await catalogue.reservation(params.id);
  if (reservation?.purpose !== 'held') throw noSuchReservation(params.id);
  return { status: 200, json: reservationBody(reservation) };
}

export async function deleteReservation(
  { params, by }: Call<ReservationParams>,
  { control }: ApiPorts,
): Promise<Answer> {
  return { status: 200, json: reservationBody(await control.endReservation(params.id, by)) };
}

/** A reservation as callers see it. Only those that somebody asked for are shown: they end. */
const reservationBody = (reservation: Reservation): ReservationBody => ({
  id: reservation.id,
  name: reservation.name,
  path: reservation.path,
  resources: reservation.resources,
  constraints: constraintsBody(reservation.constraints),
  host: { id: reservation.host.id, name: reservation.host.name },
  expiresAt: (reservation.until ?? reservation.createdAt).toISOString(),
  createdAt: reservation.createdAt.toISOString(),
});
