/** The conversation about VMs: `/v1/vms`. */
import { z } from 'zod';
import { DESIRED_STATES, VM_STATES } from '../model/vm.js';
import { RANKED_CLASSES } from '../model/resources.js';
import { RESOURCE_CLASS_PATTERN } from '../model/ids.js';
import {
  amountSchema,
  CLASSES_MAX,
  hostRefSchema,
  idSchema,
  imageSchema,
  labelsSchema,
  nameSchema,
  pageOf,
  pageQuerySchema,
  pathSchema,
  positiveAmountSchema,
  reasonSchema,
  RESOURCE_CLASS_RULE,
  resourcesSchema,
  timestampSchema,
  zoneSchema,
} from './fields.js';

/**
 * What a VM asks for: the ranked classes always, others where wanted. Not an intersection with
 * `resourcesSchema`: zod would drop what only one side refuses.
 */
export const requestedResourcesSchema = z
  .object(
    Object.fromEntries(RANKED_CLASSES.map((name) => [name, positiveAmountSchema])) as Record<
      (typeof RANKED_CLASSES)[number],
      typeof positiveAmountSchema
    >,
  )
  .catchall(amountSchema)
  .superRefine((value, context) => {
    const classes = Object.keys(value);
    for (const name of classes) {
      if (RESOURCE_CLASS_PATTERN.test(name)) continue;
      const message = `its name ${RESOURCE_CLASS_RULE}`;
      context.addIssue({ code: 'custom', path: [name], message });
    }
    if (classes.length > CLASSES_MAX) {
      const message = `must name at most ${CLASSES_MAX.toString()} classes`;
      context.addIssue({ code: 'custom', message });
    }
  })
  .meta({
    description:
      'cpu in vCPU, memory and disk in MiB, network and disk_io in bytes/s, gpu in slots',
    example: { cpu: 2, memory: 2048, disk: 10240 },
  });

const hostNameOrId = z.union([idSchema, nameSchema]);

const EXCLUDE_MAX = 256;

export const constraintsSchema = z
  .strictObject({
    zone: zoneSchema.optional(),
    labels: z
      .strictObject({ required: labelsSchema.optional(), forbidden: labelsSchema.optional() })
      .optional(),
    host: hostNameOrId.optional(),
    exclude: z.array(hostNameOrId).max(EXCLUDE_MAX).optional(),
  })
  .meta({ id: 'Constraints', example: { zone: 'zone-a', labels: { required: { disk: 'ssd' } } } });

export const createVmSchema = z
  .strictObject({
    id: idSchema.optional(),
    name: nameSchema.optional(),
    path: pathSchema.optional(),
    resources: requestedResourcesSchema,
    image: imageSchema.optional(),
    constraints: constraintsSchema.optional(),
  })
  .meta({ id: 'CreateVm' });
export type CreateVmBody = z.infer<typeof createVmSchema>;

/** How long `wait` holds the answer when nobody says, in seconds. */
export const WAIT_TIMEOUT_S = 60;

export const createVmQuerySchema = z
  .strictObject({
    wait: z.enum(['running']).optional(),
    timeout: z.coerce
      .number()
      .int()
      .min(1)
      .max(300)
      .optional()
      .meta({
        description: `How long \`wait\` may hold the answer, in seconds; ${WAIT_TIMEOUT_S.toString()} when absent`,
      }),
  })
  .refine(({ wait, timeout }) => wait !== undefined || timeout === undefined, {
    path: ['timeout'],
    message: 'means something only with wait=running',
  });

export const attemptSchema = z.strictObject({
  host: hostRefSchema,
  at: timestampSchema,
  outcome: z.enum(['placed', 'refused', 'failed']),
  detail: z.string().nullable(),
});

export const vmSchema = z
  .strictObject({
    id: idSchema,
    name: nameSchema,
    path: pathSchema,
    state: z.enum(VM_STATES),
    desiredState: z.enum(DESIRED_STATES),
    host: hostRefSchema.nullable(),
    allocation: z
      .strictObject({ bookingId: z.string(), assignment: z.int() })
      .nullable()
      .meta({ description: 'What is booked for it; null when it holds nothing' }),
    resources: resourcesSchema,
    image: imageSchema.nullable(),
    constraints: constraintsSchema,
    reason: reasonSchema.nullable(),
    attempts: z.array(attemptSchema),
    createdAt: timestampSchema,
    updatedAt: timestampSchema,
  })
  .meta({ id: 'Vm' });
export type VmBody = z.infer<typeof vmSchema>;

export const vmPageSchema = pageOf(vmSchema).meta({ id: 'VmPage' });
export type VmPageBody = z.infer<typeof vmPageSchema>;

export const vmListQuerySchema = pageQuerySchema.extend({
  host: hostNameOrId.optional(),
  path: pathSchema.optional(),
  // What is deleted is no longer found.
  state: z.enum(VM_STATES).exclude(['deleted']).optional(),
});
