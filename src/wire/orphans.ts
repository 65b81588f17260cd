/** The conversation about what hosts report and what is recorded: `/v1/ops/orphans`. */
import { z } from 'zod';
import { AGENT_VM_STATES } from '../model/agent-report.js';
import { ON_MISSING } from '../model/stores/orphans.js';
import {
  hostRefSchema,
  idSchema,
  nameSchema,
  pathSchema,
  resourcesSchema,
  timestampSchema,
} from './fields.js';

export const orphanSchema = z
  .strictObject({
    host: hostRefSchema,
    vmId: idSchema,
    /** As its host sees it. */
    state: z.enum(AGENT_VM_STATES),
    resources: resourcesSchema,
    /** The number under which its host has it. */
    assignment: z.int(),
    firstSeenAt: timestampSchema,
    lastSeenAt: timestampSchema,
    /** The other host that a VM of this id is recorded on. */
    recordedOn: hostRefSchema.nullable(),
    /** Whether it was told to go. */
    leaving: z.boolean(),
  })
  .meta({ id: 'Orphan' });
export type OrphanBody = z.infer<typeof orphanSchema>;

export const missingVmSchema = z
  .strictObject({
    vm: z.strictObject({ id: idSchema, name: nameSchema }),
    host: hostRefSchema,
    /** When the first report did not name it. */
    since: timestampSchema,
    /** Reports in a row that did not name it; not counted on once it is acted upon. */
    strikes: z.int(),
    /** What is done about it. */
    onMissing: z.enum(ON_MISSING),
  })
  .meta({ id: 'MissingVm' });
export type MissingVmBody = z.infer<typeof missingVmSchema>;

export const straysSchema = z
  .strictObject({ orphans: z.array(orphanSchema), missing: z.array(missingVmSchema) })
  .meta({ id: 'Strays' });
export type StraysBody = z.infer<typeof straysSchema>;

export const adoptSchema = z
  .strictObject({ name: nameSchema.optional(), path: pathSchema.optional() })
  .meta({ id: 'AdoptOrphan', example: { name: 'web-7', path: 'acme:web' } });
export type AdoptBody = z.infer<typeof adoptSchema>;
