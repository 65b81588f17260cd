/** The conversation about VMs: `/v1/vms`. */
import { z } from 'zod';
import { ERROR_CODES, type ErrorCode } from '../model/errors.js';
import { RESERVATION_PREFIX } from '../model/reservation.js';
import { STRATEGY_NAMES } from '../model/strategies.js';
import { ATTEMPT_OUTCOMES, DESIRED_STATES, ON_HOST_LOSS, VM_STATES } from '../model/vm.js';
import { RANKED_CLASSES } from '../model/resources.js';
import { WAITING_DEADLINE_S_MAX, WHEN_FULL, type WhenFull } from '../model/waiting.js';
import { RESOURCE_CLASS_PATTERN } from '../model/ids.js';
import {
  amountSchema,
  CLASSES_MAX,
  groupRuleSchema,
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
  usersSchema,
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
const GROUPS_MAX = 8;

export const constraintsSchema = z
  .strictObject({
    zone: zoneSchema.optional(),
    labels: z
      .strictObject({ required: labelsSchema.optional(), forbidden: labelsSchema.optional() })
      .optional(),
    groups: z
      .array(groupRuleSchema)
      .max(GROUPS_MAX)
      .refine(
        (groups) => new Set(groups.map(({ name }) => name)).size === groups.length,
        'must name each group once',
      )
      .optional(),
    host: hostNameOrId.optional(),
    exclude: z.array(hostNameOrId).max(EXCLUDE_MAX).optional(),
  })
  .meta({ id: 'Constraints', example: { zone: 'zone-a', labels: { required: { disk: 'ssd' } } } });

const whenFullSchema = z.enum(WHEN_FULL).meta({
  description: 'What to do when no host can take it: refuse at once (the default), or wait in line',
});

const deadlineSchema = z
  .int()
  .min(1)
  .max(WAITING_DEADLINE_S_MAX)
  .meta({ description: 'How long it may wait in line, in seconds; only with whenFull queue' });

/** A deadline of what does not wait would be a misunderstanding. */
const deadlineGoesWithQueue = (body: {
  readonly whenFull?: WhenFull | undefined;
  readonly deadlineS?: number | undefined;
}): boolean => body.deadlineS === undefined || body.whenFull === 'queue';
const DEADLINE_RULE = {
  path: ['deadlineS'],
  message: 'means something only with whenFull "queue"',
};

export const strategySchema = z.enum(STRATEGY_NAMES).meta({
  description: 'How hosts are ranked for it; as configured when absent. Only operators may choose',
});

export const onHostLossSchema = z.enum(ON_HOST_LOSS).meta({
  description:
    'When an operator says that its host is off: keep it waiting for the host (the default), or ' +
    'restart it elsewhere from its image, without what was on its disk',
});

const newVmIdSchema = idSchema.refine(
  (id) => !id.startsWith(RESERVATION_PREFIX),
  `must not begin with "${RESERVATION_PREFIX}": reservations do`,
);

/** What may be asked of one VM. */
export const vmRequestFields = {
  id: newVmIdSchema.optional(),
  name: nameSchema.optional(),
  path: pathSchema.optional(),
  resources: requestedResourcesSchema,
  image: imageSchema.optional(),
  users: usersSchema
    .optional()
    .meta({ description: 'Who may log in to its guest, where its image heeds cloud-init' }),
  constraints: constraintsSchema.optional(),
  onHostLoss: onHostLossSchema.optional(),
  strategy: strategySchema.optional(),
  reservation: idSchema.optional().meta({
    description: 'Id of the reservation whose room it takes; only operators may',
    example: `${RESERVATION_PREFIX}0b9ffb7e-7b0e-4b43-8a3c-6c6a5b0a4f1d`,
  }),
  whenFull: whenFullSchema.optional(),
  deadlineS: deadlineSchema.optional(),
};

const reservedDoesNotWait = (body: {
  readonly whenFull?: WhenFull | undefined;
  readonly reservation?: string | undefined;
}): boolean => body.reservation === undefined || body.whenFull !== 'queue';
const RESERVED_RULE = {
  path: ['whenFull'],
  message: 'does not go with a reservation: its room is there already',
};

export const createVmSchema = z
  .strictObject(vmRequestFields)
  .refine(deadlineGoesWithQueue, DEADLINE_RULE)
  .refine(reservedDoesNotWait, RESERVED_RULE)
  .meta({ id: 'VmRequest' });
export type CreateVmBody = z.infer<typeof createVmSchema>;

/** Most VMs that one request may ask for. */
export const BATCH_MAX = 256;

const partialSchema = z.boolean().meta({
  description: 'Place as many as there is room for; without it all are placed or none',
});

/** One VM, or with `count` so many alike. */
const createAlikeSchema = z
  .strictObject({
    ...vmRequestFields,
    count: z
      .int()
      .min(1)
      .max(BATCH_MAX)
      .optional()
      .meta({ description: 'So many alike; their names end in -1, -2, …' }),
    partial: partialSchema.optional(),
  })
  .refine(deadlineGoesWithQueue, DEADLINE_RULE)
  .refine(reservedDoesNotWait, RESERVED_RULE)
  .refine(({ id, count }) => id === undefined || count === undefined, {
    path: ['id'],
    message: 'does not go with count: use a list of vms, or an Idempotency-Key',
  })
  .refine(({ reservation, count }) => reservation === undefined || count === undefined, {
    path: ['reservation'],
    message: 'does not go with count: one VM takes it',
  })
  .refine(({ partial, count }) => partial === undefined || count !== undefined, {
    path: ['partial'],
    message: 'means something only with count or vms',
  })
  .meta({ id: 'CreateVm' });

const createListSchema = z
  .strictObject({
    vms: z
      .array(createVmSchema)
      .min(1)
      .max(BATCH_MAX)
      .refine((vms) => allDifferent(vms.map(({ id }) => id)), 'must not have an id twice')
      .refine(
        (vms) => allDifferent(vms.map(({ reservation }) => reservation)),
        'must not take a reservation twice',
      ),
    partial: partialSchema.optional(),
  })
  .meta({ id: 'CreateVms' });

const allDifferent = (values: readonly (string | undefined)[]): boolean => {
  const given = values.filter((value) => value !== undefined);
  return new Set(given).size === given.length;
};

/** The body of `POST /v1/vms`. */
export const createVmsSchema = z.union([createAlikeSchema, createListSchema]);
export type CreateVmsBody = z.infer<typeof createVmsSchema>;

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
  outcome: z.enum(ATTEMPT_OUTCOMES),
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
    users: usersSchema,
    constraints: constraintsSchema,
    onHostLoss: onHostLossSchema,
    reason: reasonSchema.nullable(),
    attempts: z.array(attemptSchema),
    violations: z
      .array(groupRuleSchema)
      .meta({ description: 'Soft rules of groups that its present place breaks' }),
    waitUntil: timestampSchema
      .nullable()
      .meta({ description: 'Until when it waits for room; null when it does not wait' }),
    createdAt: timestampSchema,
    updatedAt: timestampSchema,
  })
  .meta({ id: 'Vm' });
export type VmBody = z.infer<typeof vmSchema>;

/** What became of each VM of a batch, in the order of the request. */
export const createdVmsSchema = z
  .strictObject({
    items: z.array(
      z.union([
        z.strictObject({
          index: z.int(),
          status: z
            .enum(['placed', 'waiting'])
            .meta({ description: 'Waiting: in line for room, with `whenFull` queue' }),
          vm: vmSchema,
        }),
        z.strictObject({
          index: z.int(),
          status: z.literal('refused'),
          problem: z
            .looseObject({
              code: z.enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]]),
              detail: z.string(),
            })
            .meta({ description: 'As the request for it alone would have been answered' }),
        }),
      ]),
    ),
    placed: z.int(),
    waiting: z.int(),
    refused: z.int(),
  })
  .meta({ id: 'CreatedVms' });
export type CreatedVmsBody = z.infer<typeof createdVmsSchema>;

export const vmPageSchema = pageOf(vmSchema).meta({ id: 'VmPage' });
export type VmPageBody = z.infer<typeof vmPageSchema>;

export const stopVmSchema = z
  .strictObject({
    force: z.boolean().optional().meta({
      description:
        'Whether it ends at once, without its guest being asked: what the guest has not written to its disk is lost',
    }),
  })
  .meta({ id: 'StopVm', example: { force: true } });
export type StopVmBody = z.infer<typeof stopVmSchema>;

export const vmListQuerySchema = pageQuerySchema.extend({
  host: hostNameOrId.optional(),
  path: pathSchema.optional(),
  // What is deleted is no longer found.
  state: z.enum(VM_STATES).exclude(['deleted']).optional(),
});
