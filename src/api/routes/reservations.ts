/** Routes about reservations: room that is held for later. */
import { z } from 'zod';
import { idSchema, pageQuerySchema } from '../../wire/fields.js';
import {
  reservationPageSchema,
  reservationSchema,
  reserveSchema,
  type ReservationBody,
} from '../../wire/reservations.js';
import { EXAMPLE_HOST } from '../examples.js';
import { OPERATORS, READERS } from '../principal.js';
import {
  createReservation,
  deleteReservation,
  getReservation,
  listReservations,
} from '../reservations.js';
import { route, type Route } from '../route.js';
import { CATALOGUE_ERRORS, LEDGER_ERRORS } from './common-answers.js';

export const EXAMPLE_RESERVATION: ReservationBody = {
  id: 'rsv-0b9ffb7e-7b0e-4b43-8a3c-6c6a5b0a4f1d',
  name: 'release-day',
  path: 'acme:web',
  resources: { cpu: 2, memory: 2048, disk: 10240 },
  constraints: { zone: 'zone-a' },
  host: { id: EXAMPLE_HOST.id, name: EXAMPLE_HOST.name },
  expiresAt: '2026-11-21T11:00:00.000Z',
  createdAt: '2026-11-21T10:00:00.000Z',
};

const reservationParams = z.strictObject({
  id: idSchema.meta({ description: 'Id of the reservation', example: EXAMPLE_RESERVATION.id }),
});
const reservationExample = { params: { id: EXAMPLE_RESERVATION.id } };

export const RESERVATION_ROUTES: readonly Route[] = [
  route({
    method: 'post',
    path: '/v1/reservations',
    name: 'createReservation',
    summary: 'Hold room on a host for later; a create takes it by its id',
    tag: 'Reservations',
    access: OPERATORS,
    idempotent: true,
    body: reserveSchema,
    answers: { 201: { description: 'The reservation with its host', schema: reservationSchema } },
    errors: ['no_feasible_host', 'overloaded', ...LEDGER_ERRORS],
    example: {
      body: {
        name: EXAMPLE_RESERVATION.name,
        path: EXAMPLE_RESERVATION.path,
        resources: EXAMPLE_RESERVATION.resources,
        constraints: EXAMPLE_RESERVATION.constraints,
        expiresInS: 3600,
      },
      status: 201,
      answer: EXAMPLE_RESERVATION,
    },
    handle: createReservation,
  }),
  route({
    method: 'get',
    path: '/v1/reservations',
    name: 'listReservations',
    summary: 'List reservations',
    tag: 'Reservations',
    access: READERS,
    query: pageQuerySchema,
    answers: { 200: { description: 'One page of reservations', schema: reservationPageSchema } },
    errors: CATALOGUE_ERRORS,
    example: {
      query: { limit: '10' },
      status: 200,
      answer: { items: [EXAMPLE_RESERVATION], nextCursor: null },
    },
    handle: listReservations,
  }),
  route({
    method: 'get',
    path: '/v1/reservations/:id',
    name: 'getReservation',
    summary: 'Show a reservation',
    tag: 'Reservations',
    access: READERS,
    params: reservationParams,
    answers: { 200: { description: 'The reservation', schema: reservationSchema } },
    errors: ['not_found', ...CATALOGUE_ERRORS],
    example: { ...reservationExample, status: 200, answer: EXAMPLE_RESERVATION },
    handle: getReservation,
  }),
  route({
    method: 'delete',
    path: '/v1/reservations/:id',
    name: 'deleteReservation',
    summary: 'End a reservation: its room is free again',
    tag: 'Reservations',
    access: OPERATORS,
    params: reservationParams,
    answers: { 200: { description: 'The reservation as it was', schema: reservationSchema } },
    errors: ['not_found', ...CATALOGUE_ERRORS],
    example: { ...reservationExample, status: 200, answer: EXAMPLE_RESERVATION },
    handle: deleteReservation,
  }),
];
