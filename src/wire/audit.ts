/** The conversation about who did what: `/v1/audit`. */
import { z } from 'zod';
import { AUDIT_ACTIONS } from '../model/audit.js';
import { pageOf, pageQuerySchema, timestampSchema } from './fields.js';

const factsSchema = z.record(z.string(), z.unknown()).nullable();

/** Databases keep no NUL; and no id or name has any other of them. */
const NO_CONTROLS = /^\P{Cc}*$/u;

const nameOf = (what: string) =>
  z
    .string()
    .min(1)
    .max(128)
    .regex(NO_CONTROLS, 'must have no control characters')
    .optional()
    .meta({ description: what });

export const auditQuerySchema = pageQuerySchema.extend({
  actor: nameOf('Only what this token, host or part of Berth did; by its id or name'),
  action: z.enum(AUDIT_ACTIONS).optional().meta({ description: 'Only this action' }),
  subject: nameOf('Only what was done to the thing with this id'),
  since: timestampSchema.optional().meta({ description: 'Only what was done at or after this' }),
});
export type AuditListQuery = z.output<typeof auditQuerySchema>;

export const auditEntrySchema = z
  .strictObject({
    id: z.string(),
    at: timestampSchema,
    actor: z.strictObject({
      kind: z.enum(['token', 'host', 'system']),
      id: z.string(),
      name: z.string(),
    }),
    action: z.string(),
    requestId: z.string().nullable(),
    subject: z.strictObject({ kind: z.string(), id: z.string(), path: z.string().nullable() }),
    before: factsSchema.meta({ description: 'null: it was not there' }),
    after: factsSchema.meta({ description: 'null: it is not there any more' }),
  })
  .meta({ id: 'AuditEntry' });
export type AuditEntryBody = z.infer<typeof auditEntrySchema>;

export const auditPageSchema = pageOf(auditEntrySchema).meta({ id: 'AuditPage' });
export type AuditPageBody = z.infer<typeof auditPageSchema>;
