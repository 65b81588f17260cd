/** The conversation about what happens: `/v1/events`. */
import { z } from 'zod';
import { EVENT_KINDS, type EventKind } from '../model/events.js';
import { DESIRED_STATES, VM_STATES } from '../model/vm.js';
import {
  groupRuleSchema,
  hostRefSchema,
  idSchema,
  imageSchema,
  labelsSchema,
  nameSchema,
  pathSchema,
  reasonSchema,
  resourcesSchema,
  timestampSchema,
  zoneSchema,
} from './fields.js';
import { fenceSchema } from './hosts.js';
import { attemptSchema, constraintsSchema, onHostLossSchema } from './vms.js';

const KINDS = new Set<string>(EVENT_KINDS);

/** What is sent as `id:`; opaque. */
const eventIdSchema = z
  .string()
  .min(1)
  .max(64)
  .meta({ example: '3f8a1c52-6f5e-4f0e-9c8e-0d9f2f3b7a10' });

const flagSchema = z.enum(['true', 'false']).transform((value) => value === 'true');

export const eventsQuerySchema = z.strictObject({
  vm: idSchema.optional().meta({ description: 'Only events of this VM, by its id' }),
  host: z
    .union([idSchema, nameSchema])
    .optional()
    .meta({ description: 'Only events of this host and of VMs on it, by its id or name' }),
  path: pathSchema
    .optional()
    .meta({ description: 'Only events of what lies at or below this path' }),
  kind: z
    .string()
    .max(512)
    .transform((text) => text.split(','))
    .refine(
      (kinds): kinds is EventKind[] => kinds.every((kind) => KINDS.has(kind)),
      `must be one or more of ${EVENT_KINDS.join(', ')}, joined by commas`,
    )
    .optional()
    .meta({ description: 'Only these kinds, joined by commas', example: 'vm.created,vm.deleted' }),
  since: z
    .enum(['start'])
    .optional()
    .meta({ description: 'Begin with the oldest event that is kept, not with what happens next' }),
  lastEventId: eventIdSchema.optional().meta({
    description: 'Go on after this event; the header Last-Event-ID says the same, and wins',
  }),
  follow: flagSchema
    .optional()
    .meta({ description: 'false: end after what has happened so far', type: 'string' }),
});
export type EventsQuery = z.output<typeof eventsQuerySchema>;

/** A VM as an event shows it: as anywhere else, but for its booking. */
const eventVmSchema = z.object({
  id: idSchema,
  name: nameSchema,
  path: pathSchema,
  state: z.enum(VM_STATES),
  desiredState: z.enum(DESIRED_STATES),
  host: hostRefSchema.nullable(),
  resources: resourcesSchema,
  image: imageSchema.nullable(),
  constraints: constraintsSchema,
  onHostLoss: onHostLossSchema.optional().meta({ description: 'Absent: of an earlier release' }),
  reason: reasonSchema.nullable(),
  attempts: z.array(attemptSchema),
  violations: z.array(groupRuleSchema),
  waitUntil: timestampSchema.nullable(),
  createdAt: timestampSchema,
  updatedAt: timestampSchema,
});

const eventHostSchema = z.object({
  id: idSchema,
  name: nameSchema,
  address: z.string(),
  zone: zoneSchema,
  labels: labelsSchema,
  state: z.string(),
  mode: z.string(),
  modeReason: z.string().nullable(),
  modeOwner: z.string().nullable(),
  modeUntil: timestampSchema.nullable(),
  fence: fenceSchema.nullable().optional().meta({ description: 'Absent: of an earlier release' }),
});

const eventReservationSchema = z.object({
  id: idSchema,
  name: nameSchema,
  path: pathSchema,
  purpose: z.string(),
  resources: resourcesSchema,
  host: hostRefSchema,
  until: timestampSchema.nullable(),
  createdAt: timestampSchema,
});

const eventFleetSchema = z.object({
  breaker: z.enum(['open', 'closed']),
  since: timestampSchema.nullable(),
  reason: z.string().nullable(),
  hosts: z.int(),
  missing: z.int(),
});

/** What stands behind `data:`. Fields may be added. */
export const eventSchema = z
  .object({
    id: eventIdSchema,
    at: timestampSchema,
    kind: z.enum(EVENT_KINDS),
    vm: eventVmSchema.optional(),
    host: eventHostSchema.optional(),
    reservation: eventReservationSchema.optional(),
    fleet: eventFleetSchema.optional(),
  })
  .meta({ id: 'Event' });
export type EventBody = z.infer<typeof eventSchema>;
