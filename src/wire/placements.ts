/** The conversation about decisions: `/v1/placements`. */
import { z } from 'zod';
import { REASON_CODES } from '../model/decision.js';
import { RANKED_CLASSES } from '../model/resources.js';
import {
  groupRuleSchema,
  hostRefSchema,
  idSchema,
  pathSchema,
  resourceClassSchema,
  resourcesSchema,
} from './fields.js';
import { constraintsSchema, requestedResourcesSchema, strategySchema } from './vms.js';

export const placementRequestSchema = z
  .strictObject({
    resources: requestedResourcesSchema,
    constraints: constraintsSchema.optional(),
    /** Groups are named within it. */
    path: pathSchema.optional(),
    strategy: strategySchema.optional(),
  })
  .meta({ id: 'PlacementRequest' });
export type PlacementRequestBody = z.infer<typeof placementRequestSchema>;

const ratios = z.strictObject(
  Object.fromEntries(RANKED_CLASSES.map((name) => [name, z.number()])) as Record<
    (typeof RANKED_CLASSES)[number],
    z.ZodNumber
  >,
);

const reasonCodeSchema = z.enum(REASON_CODES);

export const placementSchema = z
  .strictObject({
    strategy: z.string(),
    request: z.strictObject({
      resources: resourcesSchema,
      constraints: constraintsSchema,
      path: pathSchema,
    }),
    chosen: idSchema.nullable(),
    explanation: z.string().nullable().meta({
      description: 'Why the chosen host and not the next, for a person; null when none is chosen',
    }),
    candidates: z.array(
      z.strictObject({
        host: hostRefSchema,
        rank: z.int(),
        score: z.number(),
        addends: z.record(z.string(), z.number()).optional().meta({
          description: 'What the score is made of, of the first two candidates only',
        }),
        violations: z
          .array(groupRuleSchema)
          .meta({ description: 'Soft rules of groups that this host would break' }),
        keptFor: resourcesSchema.optional().meta({
          description: 'The large VM for which room is kept here; such hosts come last',
        }),
        remaining: ratios,
        requested: ratios,
      }),
    ),
    rejected: z.array(
      z.strictObject({
        host: hostRefSchema,
        reasons: z.array(
          z.strictObject({
            code: reasonCodeSchema,
            resource: resourceClassSchema.optional(),
            requested: z.number().optional(),
            available: z.number().optional(),
            limit: z.number().optional(),
            group: z.string().optional(),
          }),
        ),
      }),
    ),
    summary: z.strictObject({
      considered: z.int(),
      feasible: z.int(),
      byReason: z.partialRecord(reasonCodeSchema, z.int()),
      nearest: z
        .strictObject({ host: hostRefSchema, missing: resourcesSchema })
        .nullable()
        .meta({ description: 'The open host that lacks least, and how much it lacks' }),
    }),
  })
  .meta({ id: 'Placement' });
export type PlacementBody = z.infer<typeof placementSchema>;
