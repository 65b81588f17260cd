/** The conversation about reservations: `/v1/reservations`. */
import { z } from 'zod';
import { RESERVATION_PREFIX } from '../model/reservation.js';
import {
  hostRefSchema,
  idSchema,
  nameSchema,
  pageOf,
  pathSchema,
  resourcesSchema,
  timestampSchema,
} from './fields.js';
import { constraintsSchema, requestedResourcesSchema } from './vms.js';

/** How long a reservation holds when nobody says, in seconds. */
export const RESERVATION_S_DEFAULT = 3_600;
/** Longest time that it may hold, in seconds: 30 days. */
export const RESERVATION_S_MAX = 30 * 24 * 3_600;

export const reserveSchema = z
  .strictObject({
    name: nameSchema.optional(),
    path: pathSchema.optional(),
    resources: requestedResourcesSchema,
    constraints: constraintsSchema.optional(),
    expiresInS: z
      .int()
      .min(1)
      .max(RESERVATION_S_MAX)
      .default(RESERVATION_S_DEFAULT)
      .meta({ description: 'How long the room is held, in seconds' }),
  })
  .meta({ id: 'Reserve' });
export type ReserveBody = z.infer<typeof reserveSchema>;

const reservationIdSchema = idSchema.meta({
  example: `${RESERVATION_PREFIX}0b9ffb7e-7b0e-4b43-8a3c-6c6a5b0a4f1d`,
});

export const reservationSchema = z
  .strictObject({
    id: reservationIdSchema,
    name: nameSchema,
    path: pathSchema,
    resources: resourcesSchema,
    constraints: constraintsSchema,
    host: hostRefSchema,
    expiresAt: timestampSchema,
    createdAt: timestampSchema,
  })
  .meta({ id: 'Reservation' });
export type ReservationBody = z.infer<typeof reservationSchema>;

export const reservationPageSchema = pageOf(reservationSchema).meta({ id: 'ReservationPage' });
