/** The conversation about tokens: `/v1/tokens`. */
import { z } from 'zod';
import { TOKEN_ROLES } from '../model/token.js';
import { idSchema, nameSchema, pageOf, pathSchema, timestampSchema } from './fields.js';

/** Ten years, in seconds. */
const EXPIRES_IN_S_MAX = 315_360_000;

const roleSchema = z.enum(TOKEN_ROLES);

export const createTokenSchema = z
  .strictObject({
    name: nameSchema.meta({ description: 'For whom or what it is', example: 'console' }),
    role: roleSchema,
    path: pathSchema
      .optional()
      .meta({ description: 'What a tenant sees and changes: all at and below this path' }),
    expiresInS: z.int().min(1).max(EXPIRES_IN_S_MAX).optional().meta({
      description:
        'Seconds until it opens nothing any more; absent: a day for a join token, never for others',
    }),
  })
  .superRefine(({ role, path }, context) => {
    if (role === 'tenant' && path === undefined) {
      context.addIssue({ code: 'custom', path: ['path'], message: 'is required for a tenant' });
    }
    if (role !== 'tenant' && path !== undefined) {
      context.addIssue({ code: 'custom', path: ['path'], message: 'is for tenants only' });
    }
  })
  .meta({ id: 'CreateToken' });
export type CreateTokenBody = z.infer<typeof createTokenSchema>;

const tokenFields = {
  id: idSchema,
  prefix: z.string().meta({ description: 'How the secret begins', example: 'berth_q3Fz9' }),
  role: roleSchema,
  name: nameSchema,
  path: pathSchema.nullable(),
  createdAt: timestampSchema,
  createdBy: z.string(),
  expiresAt: timestampSchema.nullable(),
  revokedAt: timestampSchema.nullable(),
  usedAt: timestampSchema.nullable().meta({ description: 'When a join token let its host in' }),
  usedBy: idSchema.nullable().meta({ description: 'The host that a join token let in' }),
};

export const tokenSchema = z.strictObject(tokenFields).meta({ id: 'Token' });
export type TokenBody = z.infer<typeof tokenSchema>;

export const newTokenSchema = z
  .strictObject({
    ...tokenFields,
    token: z.string().meta({ description: 'The secret. It is told this once and kept nowhere' }),
  })
  .meta({ id: 'NewToken' });
export type NewTokenBody = z.infer<typeof newTokenSchema>;

export const tokenPageSchema = pageOf(tokenSchema).meta({ id: 'TokenPage' });
export type TokenPageBody = z.infer<typeof tokenPageSchema>;
