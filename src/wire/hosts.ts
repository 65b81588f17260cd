/** The conversation about hosts: `/v1/hosts`, and how an agent joins. */
import { z } from 'zod';
import { HOST_STATES } from '../model/host-liveness.js';
import {
  amountSchema,
  idSchema,
  labelsSchema,
  nameSchema,
  orRequired,
  pageOf,
  resourceClassSchema,
  timestampSchema,
  zoneSchema,
} from './fields.js';

/** What an agent has measured (or was told), before reserve and overcommit. */
export const totalsSchema = z
  .record(
    resourceClassSchema,
    z.strictObject({ total: amountSchema, source: z.enum(['detected', 'configured']) }),
  )
  .meta({ example: { cpu: { total: 8, source: 'detected' } } });

export const joinHostSchema = z
  .strictObject({
    id: idSchema,
    name: nameSchema,
    address: z
      .url({ protocol: /^https?$/, error: orRequired('must be an http or https URL') })
      .max(255)
      .refine(isBaseUrl, 'must be a bare http or https address, such as "http://10.0.0.7:8081"')
      .meta({ example: 'http://127.0.0.1:8081' }),
    /** Secret that the control plane shows this agent; made by the agent. */
    credential: z
      .string()
      .regex(/^[A-Za-z0-9_-]{32,128}$/, 'must be 32 to 128 letters, digits, "_" or "-"'),
    zone: zoneSchema.optional(),
    labels: labelsSchema.optional(),
    totals: totalsSchema,
    agent: z.strictObject({ version: z.string().max(64), bootId: idSchema }),
  })
  .meta({ id: 'JoinHost' });
export type JoinHostBody = z.infer<typeof joinHostSchema>;

export const patchHostSchema = z
  .strictObject({
    mode: z.enum(['enabled', 'cordoned']),
    reason: z
      .string()
      .trim()
      .min(1)
      .max(200)
      .regex(/^[^\p{C}]*$/u, 'must hold no control characters')
      .optional(),
  })
  .meta({ id: 'PatchHost', example: { mode: 'cordoned', reason: 'new memory modules' } });
export type PatchHostBody = z.infer<typeof patchHostSchema>;

export const hostSchema = z
  .strictObject({
    id: idSchema,
    name: nameSchema,
    address: z.string(),
    zone: zoneSchema,
    labels: labelsSchema,
    state: z.enum(HOST_STATES),
    mode: z.enum(['enabled', 'cordoned', 'draining', 'retired']),
    modeReason: z.string().nullable(),
    resources: z.record(
      resourceClassSchema,
      z.strictObject({
        total: z.number(),
        reserved: z.number(),
        overcommit: z.number(),
        capacity: z.number(),
        limit: z.number(),
        allocated: z.number(),
        available: z.number(),
        source: z.enum(['detected', 'configured']),
        unit: z.string(),
      }),
    ),
    vms: z.int(),
    lastSeenAt: timestampSchema.nullable(),
    agent: z.strictObject({ version: z.string(), bootId: z.string() }),
    createdAt: timestampSchema,
  })
  .meta({ id: 'Host' });
export type HostBody = z.infer<typeof hostSchema>;

export const hostPageSchema = pageOf(hostSchema).meta({ id: 'HostPage' });
export type HostPageBody = z.infer<typeof hostPageSchema>;

/** No path, query, user or password: the client appends its own paths. */
function isBaseUrl(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const url = new URL(address);
  return (
    url.pathname === '/' &&
    !address.endsWith('/') &&
    url.search === '' &&
    url.hash === '' &&
    url.username === '' &&
    url.password === ''
  );
}
