/** The conversation about usage: `/v1/usage` and its history. */
import { z } from 'zod';
import { HOST_STATES } from '../model/host-liveness.js';
import { USAGE_SCOPES, USAGE_STEPS } from '../model/usage.js';
import {
  hostRefSchema,
  idSchema,
  pageOf,
  resourceClassSchema,
  timestampSchema,
  zoneSchema,
} from './fields.js';

const classUsage = {
  /** Total times overcommit. */
  capacity: z.number(),
  /** What may be booked. */
  limit: z.number(),
  booked: z.number(),
  /** What the machines really use, where their agents tell; null where none does. */
  used: z.number().nullable(),
  unit: z.string(),
};

const resourcesUsageSchema = z.record(resourceClassSchema, z.strictObject(classUsage));
export type ResourcesUsageBody = z.infer<typeof resourcesUsageSchema>;

export const usageQuerySchema = z.strictObject({
  by: z
    .enum(['zone', 'host'])
    .optional()
    .meta({ description: 'Only the zones, or only the hosts' }),
});

export const usageSchema = z
  .strictObject({
    at: timestampSchema,
    total: resourcesUsageSchema,
    zones: z
      .array(z.strictObject({ zone: zoneSchema, hosts: z.int(), resources: resourcesUsageSchema }))
      .optional(),
    hosts: z
      .array(
        z.strictObject({
          host: hostRefSchema,
          zone: zoneSchema,
          state: z.enum(HOST_STATES),
          mode: z.enum(['enabled', 'cordoned', 'draining']),
          resources: resourcesUsageSchema,
        }),
      )
      .optional(),
  })
  .meta({ id: 'Usage' });
export type UsageBody = z.infer<typeof usageSchema>;

/** A week of five minutes is 2016. */
const SAMPLES_MAX = 2_016;
const SAMPLES_DEFAULT = 300;

export const usageHistoryQuerySchema = z.strictObject({
  scope: z.enum(USAGE_SCOPES).default('total'),
  id: idSchema
    .optional()
    .meta({ description: 'The name of the zone, or the id or name of the host' }),
  step: z.enum(USAGE_STEPS).default('5m'),
  from: timestampSchema.optional().meta({ description: 'A day before `to` when absent' }),
  to: timestampSchema.optional().meta({ description: 'Now when absent' }),
  limit: z.coerce.number().int().min(1).max(SAMPLES_MAX).default(SAMPLES_DEFAULT),
  cursor: z.string().min(1).max(512).optional(),
});

const usageSampleSchema = z.strictObject({
  /** Beginning of the five minutes or the hour. */
  at: timestampSchema,
  /** Of an hour: means, and the highest of what was booked and used. */
  resources: z.record(
    resourceClassSchema,
    z.strictObject({
      ...classUsage,
      bookedMax: z.number(),
      usedMax: z.number().nullable(),
    }),
  ),
});

export const usageHistorySchema = pageOf(usageSampleSchema).meta({ id: 'UsageHistory' });
export type UsageHistoryBody = z.infer<typeof usageHistorySchema>;
