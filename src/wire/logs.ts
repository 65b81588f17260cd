/** The conversation about what the serial console of a VM has said. */
import { z } from 'zod';

/** Most bytes of a console that one answer of an agent holds. */
export const LOG_PIECE_BYTES_MAX = 256 * 1024;
/** Most bytes that may be asked for of what was said before now. */
export const TAIL_BYTES_MAX = 4 * 1024 * 1024;
/** As much when nobody says. */
export const TAIL_BYTES = 64 * 1024;

const offsetSchema = z
  .string()
  .regex(/^\d{1,15}$/, 'must be a whole number')
  .transform(Number);

/**
 * `GET /v1/vms/:id/logs` of an agent: what was said from byte `from` on, or in the last `tailBytes`.
 * Whoever follows asks again from `next`; so no connection is held for somebody who looks on.
 */
export const logQuerySchema = z
  .strictObject({
    from: offsetSchema.optional(),
    tailBytes: offsetSchema.pipe(z.int().max(TAIL_BYTES_MAX)).optional(),
  })
  .refine(({ from, tailBytes }) => from === undefined || tailBytes === undefined, {
    path: ['tailBytes'],
    message: 'does not go with from',
  });
export type LogQuery = z.infer<typeof logQuerySchema>;

/** A piece of it, as bytes: what a guest says need not be text. */
export const logPieceSchema = z.object({
  /** Base64. */
  data: z.base64().max(Math.ceil(LOG_PIECE_BYTES_MAX / 3) * 4),
  /** Where the next piece begins. */
  next: z.int().min(0),
  /** Whether there was more already. */
  more: z.boolean(),
});
export type LogPieceBody = z.infer<typeof logPieceSchema>;

/** `GET /v1/vms/:id/logs` of the control plane. */
export const vmLogsQuerySchema = z.strictObject({
  tailBytes: offsetSchema.pipe(z.int().max(TAIL_BYTES_MAX)).default(TAIL_BYTES).meta({
    description: 'How much of what was said before now is wanted, in bytes',
    type: 'integer',
    minimum: 0,
    maximum: TAIL_BYTES_MAX,
  }),
  follow: z
    .enum(['true', 'false'])
    .default('false')
    .transform((text) => text === 'true')
    .meta({ description: 'true: go on with what is said from now on', type: 'string' }),
});
export type VmLogsQuery = z.output<typeof vmLogsQuerySchema>;
