/** The conversation between the control plane and a host agent. */
import { z } from 'zod';
import { AGENT_VM_STATES } from '../model/agent-report.js';
import { idSchema, imageSchema, nameSchema, reasonSchema, resourcesSchema } from './fields.js';
import { totalsSchema } from './hosts.js';

/** Grows with every placement in the fleet; an agent obeys only the newest it has seen per VM. */
export const assignmentSchema = z.int().min(1);

/** `PUT /v1/vms/:id`: "have this VM and run it". */
export const ensureVmSchema = z.strictObject({
  name: nameSchema,
  assignment: assignmentSchema,
  resources: resourcesSchema,
  image: imageSchema.nullable(),
});
export type EnsureVmBody = z.infer<typeof ensureVmSchema>;

/** `DELETE /v1/vms/:id`, `POST /v1/vms/:id/start` and `/stop`. */
export const assignmentBodySchema = z.strictObject({ assignment: assignmentSchema });

export const agentVmSchema = z.strictObject({
  id: idSchema,
  assignment: assignmentSchema,
  state: z.enum(AGENT_VM_STATES),
  resources: resourcesSchema,
  reason: reasonSchema.nullable(),
});
export type AgentVmBody = z.infer<typeof agentVmSchema>;

export const agentVmsSchema = z.strictObject({ items: z.array(agentVmSchema) });

/** Answer to a removal: `gone` once the agent holds nothing of the VM any more. */
export const removalSchema = z.strictObject({ gone: z.boolean() });

/** `GET /v1/status`. Fields may be added by newer agents, so others are let through. */
export const agentStatusSchema = z.object({
  hostId: idSchema,
  version: z.string().max(64),
  bootId: idSchema,
  uptimeS: z.number().min(0),
  /** 1, 5 and 15 minutes. */
  load: z.tuple([z.number(), z.number(), z.number()]),
  totals: totalsSchema,
  /** What the machine really uses of each class, in the class's unit, where it is known. */
  used: resourcesSchema,
  allocated: resourcesSchema,
  driver: z.string().max(64),
  vms: z.array(agentVmSchema).max(10_000),
});
export type AgentStatusBody = z.infer<typeof agentStatusSchema>;
