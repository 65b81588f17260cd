/** The conversation about taking hosts out: `/v1/hosts/:host/drain`, and how a host is retired. */
import { z } from 'zod';
import { DRAIN_STATES, MOVE_STATES } from '../model/drain.js';
import { hostRefSchema, timestampSchema } from './fields.js';
import { modeOwnerSchema, modeReasonSchema } from './hosts.js';
import { placementSchema } from './placements.js';

export const drainRequestSchema = z
  .strictObject({
    dryRun: z.boolean().default(false).meta({
      description: 'Only answer the plan: where each VM would go, and what blocks it',
    }),
    reason: modeReasonSchema.optional(),
    owner: modeOwnerSchema.optional(),
  })
  .meta({ id: 'DrainRequest', example: { reason: 'disk replacement', owner: 'jo' } });
export type DrainRequestBody = z.infer<typeof drainRequestSchema>;

export const drainMoveSchema = z
  .strictObject({
    vm: hostRefSchema,
    state: z.enum(MOVE_STATES).meta({
      description:
        '`moved` also for VMs that went by themselves; `blocked` ones are tried again by themselves',
    }),
    planned: hostRefSchema
      .nullable()
      .meta({ description: 'Where the plan wants it; null when it had no place for it' }),
    target: hostRefSchema.nullable().meta({ description: 'Where it goes or has gone' }),
    detail: z
      .string()
      .nullable()
      .meta({ description: 'Why it is blocked, or went elsewhere than planned' }),
    summary: placementSchema.shape.summary
      .nullable()
      .meta({ description: 'Of a blocked one: what kept every host away' }),
  })
  .meta({ id: 'DrainMove' });
export type DrainMoveBody = z.infer<typeof drainMoveSchema>;

export const drainSchema = z
  .strictObject({
    host: hostRefSchema,
    state: z.enum(DRAIN_STATES).meta({
      description: '`planned` in a dry run; `done` when the host has no VM any more',
    }),
    reason: z.string().nullable(),
    owner: z.string().nullable(),
    startedAt: timestampSchema,
    endedAt: timestampSchema.nullable(),
    moves: z
      .array(drainMoveSchema)
      .meta({ description: 'One for each VM, in the order in which they are moved' }),
  })
  .meta({ id: 'Drain' });
export type DrainBody = z.infer<typeof drainSchema>;

export const retireQuerySchema = z
  .strictObject({
    force: z.enum(['true']).optional().meta({
      description: 'Retire the host although it has VMs: they have failed then. Needs a reason',
    }),
    reason: modeReasonSchema.optional(),
  })
  .superRefine(({ force, reason }, context) => {
    if (force !== undefined && reason === undefined) {
      context.addIssue({ code: 'custom', path: ['reason'], message: 'is required with force' });
    }
    if (force === undefined && reason !== undefined) {
      context.addIssue({ code: 'custom', path: ['reason'], message: 'goes only with force=true' });
    }
  });
export type RetireQuery = z.infer<typeof retireQuerySchema>;
