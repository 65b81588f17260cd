/** The conversation about the breaker of the fleet: `/v1/ops/breaker`. */
import { z } from 'zod';
import { timestampSchema } from './fields.js';
import { modeReasonSchema } from './hosts.js';

export const closeBreakerSchema = z
  .strictObject({ close: z.literal(true, 'must be true'), reason: modeReasonSchema })
  .meta({ id: 'CloseBreaker', example: { close: true, reason: 'rack 7 has no power' } });

export const breakerSchema = z
  .strictObject({
    state: z.enum(['closed', 'open']),
    /** When it opened or closed last; null: never. */
    since: timestampSchema.nullable(),
    reason: z.string().nullable(),
    /** Hosts that answered when the window began, and those of them that are missing. */
    hosts: z.int(),
    missing: z.int(),
    share: z.number(),
    /** Up to when hosts are spared because nobody looked at them; null: they are not. */
    graceUntil: timestampSchema.nullable(),
    /** When the last look at the fleet began; null: there was none. */
    lookedAt: timestampSchema.nullable(),
    opensAbove: z.strictObject({ share: z.number(), hostsMin: z.int(), windowS: z.number() }),
  })
  .meta({ id: 'Breaker' });
export type BreakerBody = z.infer<typeof breakerSchema>;
