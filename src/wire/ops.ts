/** The conversation with operators: `/v1/ops`, readiness. */
import { z } from 'zod';
import { idSchema, nameSchema, resourceClassSchema } from './fields.js';

export const rebuildRequestSchema = z
  .strictObject({ dryRun: z.boolean().default(false) })
  .meta({ id: 'RebuildRequest', example: { dryRun: true } });

const driftSchema = z.record(resourceClassSchema, z.int());

export const rebuildSchema = z
  .strictObject({
    dryRun: z.boolean(),
    durationMs: z.number(),
    vms: z.int(),
    hosts: z.array(
      z.strictObject({
        id: idSchema,
        name: nameSchema,
        /** Ledger minus catalogue before the rebuild; classes without drift are absent. */
        drift: driftSchema,
        /** The same afterwards; null in a dry run. */
        driftAfter: driftSchema.nullable(),
      }),
    ),
  })
  .meta({ id: 'Rebuild' });
export type RebuildBody = z.infer<typeof rebuildSchema>;

export const readinessSchema = z
  .strictObject({
    ready: z.boolean(),
    dependencies: z.strictObject({
      ledger: z.strictObject({
        state: z.enum(['ready', 'rebuilding', 'unavailable']),
        detail: z.string().nullable(),
      }),
      catalogue: z.strictObject({
        state: z.enum(['ready', 'unavailable']),
        detail: z.string().nullable(),
      }),
      /** Whatever it is, the replica is ready. */
      fleet: z.strictObject({
        state: z.enum(['ready', 'breaker_open', 'unknown']),
        detail: z.string().nullable(),
      }),
    }),
  })
  .meta({ id: 'Readiness' });
export type ReadinessBody = z.infer<typeof readinessSchema>;
