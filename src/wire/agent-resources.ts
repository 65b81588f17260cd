/**
 * `GET /resources` of an agent, in two forms in one document: `resources` in Berth's own words and
 * units, and beside it the fields that tools for single hosts read, in bytes and with underscores.
 * docs/agent-resources.md tells both.
 */
import { z } from 'zod';
import { INVENTORY_SOURCES } from '../model/inventory.js';
import { idSchema, nameSchema, resourceClassSchema } from './fields.js';

/** Of one class, in its unit. */
const classSchema = z.object({
  /** Null, as capacity, limit and available: nobody knows how much there is. */
  total: z.number().nullable(),
  reserved: z.number(),
  overcommit: z.number(),
  capacity: z.number().nullable(),
  limit: z.number().nullable(),
  allocated: z.number(),
  available: z.number().nullable(),
  /** What the machine really uses; null where it is not known. */
  used: z.number().nullable(),
  source: z.enum(INVENTORY_SOURCES),
  unit: z.string(),
});

const amount = z.int().min(0);

/**
 * cpu in vCPUs, memory and disk in bytes, network and disk_io in bytes per second.
 * effective_limit = trunc((capacity - reserved) * oversub_ratio), at most what the operator allows in all;
 * of disk, with beside = images + cache + volumes, which are in capacity and in allocated and are never
 * overcommitted: effective_limit = trunc((capacity - beside - reserved) * oversub_ratio) + beside.
 * available = max(0, effective_limit - allocated).
 * With the source `unknown` capacity, effective_limit and available are 0 and say nothing.
 */
const classStatusSchema = z.object({
  type: z.enum(['cpu', 'memory', 'disk', 'network', 'disk_io']),
  capacity: amount,
  effective_limit: amount,
  allocated: amount,
  available: amount,
  oversub_ratio: z.number().gt(0),
  reserved: amount,
  source: z.enum(INVENTORY_SOURCES),
});
export type ClassStatusBody = z.infer<typeof classStatusSchema>;

const diskBreakdownSchema = z.object({
  images_bytes: amount,
  oci_cache_bytes: amount,
  volumes_bytes: amount,
  /** What was promised to VMs, not what they have written. */
  overlays_bytes: amount,
});
export type DiskBreakdownBody = z.infer<typeof diskBreakdownSchema>;

const gpuStatusSchema = z.object({
  mode: z.enum(['vgpu', 'passthrough']),
  total_slots: amount,
  used_slots: amount,
  allocatable_slots: amount,
  /** Berth sets none aside. */
  quarantined_slots: amount,
  profiles: z
    .array(z.object({ name: z.string(), framebuffer_mb: amount, available: amount }))
    .optional(),
  devices: z.array(z.object({ name: z.string(), available: z.boolean() })).optional(),
});
export type GpuStatusBody = z.infer<typeof gpuStatusSchema>;

const allocationSchema = z.object({
  instance_id: idSchema,
  instance_name: nameSchema,
  cpu: amount,
  memory_bytes: amount,
  disk_bytes: amount,
  network_download_bps: amount,
  network_upload_bps: amount,
  disk_io_bps: amount,
});
export type AllocationBody = z.infer<typeof allocationSchema>;

export const agentResourcesSchema = z.object({
  hostId: idSchema,
  resources: z.record(resourceClassSchema, classSchema),
  cpu: classStatusSchema,
  memory: classStatusSchema,
  disk: classStatusSchema,
  network: classStatusSchema,
  disk_io: classStatusSchema,
  disk_breakdown: diskBreakdownSchema,
  /** Absent where there is none. */
  gpu: gpuStatusSchema.optional(),
  allocations: z.array(allocationSchema),
});
export type AgentResourcesBody = z.infer<typeof agentResourcesSchema>;
