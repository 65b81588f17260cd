/** The conversation between the control plane and a host agent. */
import { z } from 'zod';
import { AGENT_VM_STATES } from '../model/agent-report.js';
import {
  amountSchema,
  idSchema,
  imageSchema,
  nameSchema,
  positiveAmountSchema,
  resourceClassSchema,
  resourcesSchema,
  usersSchema,
} from './fields.js';
import { agentVersionSchema, notEnforcedSchema, totalsSchema } from './hosts.js';

/** Header of an order: the start of the machine that it is for. */
export const BOOT_HEADER = 'berth-boot';

/** Grows with every placement in the fleet; an agent obeys only the newest it has seen per VM. */
export const assignmentSchema = z.int().min(1);

/** What stands in the path of `/v1/vms/:id`. */
export const vmParamsSchema = z.object({ id: idSchema });

/** Limits of the network as the VM sees it, in bytes per second; the larger one is counted. */
const bandwidthSchema = z.strictObject({
  download: positiveAmountSchema.optional(),
  upload: positiveAmountSchema.optional(),
});
export type VmBandwidth = z.infer<typeof bandwidthSchema>;

/** What an order may say of a VM besides its size. */
const besideSize = {
  /** Memory in MiB that may be plugged in later; it is counted from the beginning. */
  hotplugMib: amountSchema.optional(),
  bandwidth: bandwidthSchema.optional(),
};

/** `PUT /v1/vms/:id`: "have this VM and run it". */
export const ensureVmSchema = z.strictObject({
  name: nameSchema,
  assignment: assignmentSchema,
  resources: resourcesSchema,
  image: imageSchema.nullable(),
  ...besideSize,
  /** Who may log in to its guest; absent: nobody in particular. */
  users: usersSchema.optional(),
  /** What the operator says of this host, over what the agent measures and is configured with. */
  overrides: z
    .strictObject({
      overcommit: z.record(resourceClassSchema, z.number().gt(0)).optional(),
      reserve: z.record(resourceClassSchema, z.number().min(0).lt(1)).optional(),
      totals: resourcesSchema.optional(),
    })
    .optional(),
});
export type EnsureVmBody = z.infer<typeof ensureVmSchema>;

/** `POST /v1/vms/:id/start`. */
export const assignmentBodySchema = z.strictObject({ assignment: assignmentSchema });

/** `POST /v1/vms/:id/stop`. Earlier agents know no `force`, so it is only sent where it is true. */
export const stopBodySchema = z.strictObject({
  assignment: assignmentSchema,
  /** The guest is not asked. */
  force: z.boolean().optional(),
});
export type StopBody = z.infer<typeof stopBodySchema>;

/** `DELETE /v1/vms/:id?assignment=7`. */
export const assignmentQuerySchema = z.strictObject({
  assignment: z
    .string('must be a whole number of at least 1')
    .regex(/^[1-9]\d{0,15}$/, 'must be a whole number of at least 1')
    .transform(Number)
    .pipe(assignmentSchema),
});

/** Answers of an agent let unknown fields through: a newer agent may say more. */
export const agentVmSchema = z.object({
  id: idSchema,
  assignment: assignmentSchema,
  state: z.enum(AGENT_VM_STATES),
  resources: resourcesSchema,
  reason: z.object({ code: z.string().max(64), detail: z.string().max(1_000) }).nullable(),
});
export type AgentVmBody = z.infer<typeof agentVmSchema>;

/** Answer to a removal: `gone` once the agent holds nothing of the VM any more. */
export const removalSchema = z.object({ gone: z.boolean() });

/** What a problem with code `claim_refused` adds. */
export const claimRefusedSchema = z.object({
  shortfalls: z
    .array(
      z.object({
        resource: resourceClassSchema,
        requested: amountSchema,
        available: amountSchema,
        limit: amountSchema,
      }),
    )
    .max(32),
});

/** What a problem with code `image_missing` adds, and one with `disk_too_small`. */
export const imageRefusedSchema = z.object({
  image: imageSchema,
  leastMib: amountSchema.optional(),
});

/** What a problem with code `stale_assignment` adds: the newest assignment the agent has seen. */
export const staleAssignmentSchema = z.object({ newest: assignmentSchema });

/** `GET /v1/status`. Fields may be added by newer agents, so others are let through. */
export const agentStatusSchema = z.object({
  hostId: idSchema,
  version: agentVersionSchema,
  bootId: idSchema,
  /** Grows with every report of an agent, so that one that was overtaken can be told. */
  report: z.int().min(1),
  uptimeS: z.number().min(0),
  /** 1, 5 and 15 minutes. */
  load: z.tuple([z.number(), z.number(), z.number()]),
  totals: totalsSchema,
  /** What the machine really uses of each class, in the class's unit, where it is known. */
  used: resourcesSchema,
  allocated: resourcesSchema,
  driver: z.string().max(64),
  /** With what guests are run, where that makes a difference; null when nothing runs them. */
  accelerator: z.enum(['kvm', 'tcg']).nullable().optional(),
  /** What this host cannot hold its VMs to, each a sentence for people; older agents say nothing. */
  notEnforced: notEnforcedSchema.optional(),
  vms: z
    .array(agentVmSchema)
    .max(10_000)
    .refine(
      (vms) => new Set(vms.map(({ id }) => id)).size === vms.length,
      'must name each VM once',
    ),
});
export type AgentStatusBody = z.infer<typeof agentStatusSchema>;

/** Longest pretended start or stop. */
const PRETENDED_MS_MAX = 3_600_000;

const pretendedMsSchema = z.int().min(0).max(PRETENDED_MS_MAX);
const timesSchema = z.int().min(0).max(1_000_000);

/** `GET /v1/driver`: how the simulated driver behaves. */
export const driverSettingsSchema = z.strictObject({
  /** How long a VM takes to boot. */
  bootMs: pretendedMsSchema,
  /** How long a VM takes to stop or to be removed. */
  stopMs: pretendedMsSchema,
  /** How many of the next creates end `failed`. */
  failNextCreates: timesSchema,
  /** How many of the next starts end `failed`. */
  failNextStarts: timesSchema,
  /** Calls are not answered until this is false again. */
  hang: z.boolean(),
  /** Every claim is refused, whatever room there is. */
  refuseClaims: z.boolean(),
});
export type DriverSettingsBody = z.infer<typeof driverSettingsSchema>;

/** `PATCH /v1/driver`: what is to change from now on. */
export const driverPatchSchema = driverSettingsSchema.partial();
export type DriverPatchBody = z.infer<typeof driverPatchSchema>;

/** An agent's own note of one VM on its disk, read again after a restart. */
export const vmNoteSchema = z.strictObject({
  format: z.literal(1),
  id: idSchema,
  /** The newest assignment ever seen for this VM; kept when the VM is gone. */
  assignment: assignmentSchema,
  vm: z
    .strictObject({
      name: nameSchema,
      resources: resourcesSchema,
      image: imageSchema.nullable(),
      ...besideSize,
      /** Absent in notes of earlier releases. */
      users: usersSchema.default([]),
      state: z.enum(AGENT_VM_STATES),
      reason: z.strictObject({ code: z.string(), detail: z.string() }).nullable(),
      /** Milliseconds since 1970. */
      stateSince: z.number(),
      removing: z.boolean(),
    })
    .nullable(),
});
export type VmNote = z.infer<typeof vmNoteSchema>;
