/** The conversation between a host agent and a QEMU process, and the agent's own notes about both. */
import { z } from 'zod';
import { idSchema } from './fields.js';

/** The first line of a QMP server. */
export const qmpGreetingSchema = z.object({ QMP: z.object({}) });

/** Every later line of a QMP server: an answer, a refusal or an event. */
export const qmpLineSchema = z.union([
  z.object({ error: z.object({ class: z.string(), desc: z.string() }), id: z.int() }),
  // A line that could not be read as a command is refused without an id.
  z.object({ error: z.object({ class: z.string(), desc: z.string() }) }),
  z.object({ return: z.unknown(), id: z.int() }),
  z.object({
    event: z.string().min(1).max(64),
    data: z.record(z.string(), z.unknown()).default({}),
  }),
]);
export type QmpLine = z.infer<typeof qmpLineSchema>;

/** Answers to `query-status` and `query-uuid`. */
export const qmpStatusSchema = z.object({ status: z.string().max(64) });
export const qmpUuidSchema = z.object({ UUID: z.string().max(64) });

/** Data of a `SHUTDOWN` event. */
export const qmpShutdownSchema = z.object({ guest: z.boolean(), reason: z.string().max(64) });

/** Which process runs a VM: enough to know it again, and to know that it is not another. */
export const processNoteSchema = z.strictObject({
  vmId: idSchema,
  pid: z.int().min(2),
  /** Clock ticks from the start of the machine to that of the process. */
  startTicks: z.int().min(0),
  bootId: z.string(),
});
export type ProcessNote = z.infer<typeof processNoteSchema>;

/** What a trial of this machine's accelerators came to, once per start of the machine. */
export const acceleratorNoteSchema = z.strictObject({
  bootId: z.string(),
  /** Of QEMU, with the path of the program. */
  version: z.string(),
  accelerator: z.enum(['kvm', 'tcg']).nullable(),
});
export type AcceleratorNote = z.infer<typeof acceleratorNoteSchema>;
