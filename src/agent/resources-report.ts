/** `GET /resources`: what this host has, what of it may be booked, what is, and by whom. Pure. */
import {
  capacityOf,
  inventoryOf,
  isUnknown,
  limitOf,
  type CapacityPolicy,
  type InventoryEntry,
} from '../model/inventory.js';
import { unitOf, type ResourceClass, type Resources } from '../model/resources.js';
import type {
  AgentResourcesBody,
  AllocationBody,
  ClassStatusBody,
  DiskBreakdownBody,
  GpuStatusBody,
} from '../wire/agent-resources.js';
import { chargeOf, sumOfHeld, type Held } from './claims.js';
import type { Measurement } from './discovery.js';
import { besideVms } from './discovery/disk-space.js';
import type { GpuRoom } from './discovery/gpus.js';
import type { ImageRoom } from './image-guard.js';
import type { VmRecord } from './vm-store.js';

export interface ResourcesInput {
  readonly hostId: string;
  readonly measured: Measurement;
  readonly policy: CapacityPolicy;
  /** What counts, claims that are not on disk yet included. */
  readonly held: Held;
  readonly vms: readonly VmRecord[];
}

const BYTES_PER_MIB = 1024 * 1024;

/** A class that this host does not have at all. */
const NONE: InventoryEntry = { total: 0, reserved: 0, overcommit: 1, source: 'unknown' };

export function resourcesReport(input: ResourcesInput): AgentResourcesBody {
  const { hostId, measured, policy, held, vms } = input;
  const inventory = inventoryOf(measured.totals, policy);
  const allocated = sumOfHeld(held);
  const breakdown = diskBreakdown(measured, allocated);
  const status = (type: ClassStatusBody['type']) =>
    statusOf(type, inventory[type] ?? NONE, allocated[type] ?? 0);
  return {
    hostId,
    resources: Object.fromEntries(
      Object.entries(inventory).map(([resource, entry]) => [
        resource,
        classOf(resource, entry, allocated[resource] ?? 0, measured.used),
      ]),
    ),
    cpu: status('cpu'),
    memory: status('memory'),
    disk: withImages(status('disk'), breakdown),
    network: status('network'),
    disk_io: status('disk_io'),
    disk_breakdown: breakdown,
    ...(measured.gpu === null ? {} : { gpu: gpuStatus(measured.gpu, allocated.gpu ?? 0) }),
    allocations: vms.map(allocationOf),
  };
}

function classOf(
  resource: ResourceClass,
  entry: InventoryEntry,
  allocated: number,
  used: Resources,
): AgentResourcesBody['resources'][string] {
  const limit = limitOf(entry);
  const amounts = {
    total: entry.total,
    capacity: capacityOf(entry),
    limit,
    available: Math.max(0, limit - allocated),
  };
  const unknown = { total: null, capacity: null, limit: null, available: null };
  return {
    ...(isUnknown(entry) ? unknown : amounts),
    reserved: entry.reserved,
    overcommit: entry.overcommit,
    allocated,
    used: used[resource] ?? null,
    source: entry.source,
    unit: unitOf(resource),
  };
}

/** In bytes where the class counts MiB. */
function statusOf(
  type: ClassStatusBody['type'],
  entry: InventoryEntry,
  allocated: number,
): ClassStatusBody {
  const factor = unitOf(type) === 'MiB' ? BYTES_PER_MIB : 1;
  const limit = isUnknown(entry) ? 0 : limitOf(entry) * factor;
  return {
    type,
    capacity: entry.total * factor,
    effective_limit: limit,
    allocated: allocated * factor,
    available: Math.max(0, limit - allocated * factor),
    oversub_ratio: entry.overcommit,
    reserved: entry.reserved * factor,
    source: entry.source,
  };
}

/**
 * Images, cache and volumes lie on the same disk as the disks of VMs: they are part of it and have
 * taken their part. What VMs may have is left as it is:
 *
 *   effective_limit = trunc((capacity - beside - reserved) × oversub_ratio) + beside
 */
function withImages(disk: ClassStatusBody, breakdown: DiskBreakdownBody): ClassStatusBody {
  const beside = breakdown.images_bytes + breakdown.oci_cache_bytes + breakdown.volumes_bytes;
  return {
    ...disk,
    capacity: disk.capacity + beside,
    effective_limit: disk.effective_limit + beside,
    allocated: disk.allocated + beside,
  };
}

export function diskBreakdown({ disk }: Measurement, allocated: Resources): DiskBreakdownBody {
  return {
    images_bytes: disk?.taken.imagesBytes ?? 0,
    oci_cache_bytes: disk?.taken.cacheBytes ?? 0,
    volumes_bytes: disk?.taken.volumesBytes ?? 0,
    overlays_bytes: (allocated.disk ?? 0) * BYTES_PER_MIB,
  };
}

/**
 * What image-guard.ts is asked about: what is neither promised to VMs nor, by other files, taken.
 * @param share (0 to 1) of the disk that images may take
 */
export function imageRoomOf(
  { measured, policy, held }: Pick<ResourcesInput, 'measured' | 'policy' | 'held'>,
  share: number,
): ImageRoom {
  const { disk } = measured;
  const entry = inventoryOf(measured.totals, policy).disk ?? NONE;
  const promised = sumOfHeld(held).disk ?? 0;
  const leftBytes = Math.max(0, limitOf(entry) - promised) * BYTES_PER_MIB;
  return {
    availableBytes: Math.min(leftBytes, disk?.freeBytes ?? Infinity),
    diskBytes: entry.total * BYTES_PER_MIB + (disk === null ? 0 : besideVms(disk.taken)),
    storedBytes: disk === null ? 0 : disk.taken.imagesBytes + disk.taken.cacheBytes,
    share,
  };
}

/** Slots are told by the books: a card that a VM holds looks to the host as one that waits. */
function gpuStatus(gpu: GpuRoom, used: number): GpuStatusBody {
  const shown = {
    mode: gpu.mode,
    total_slots: gpu.slots,
    used_slots: used,
    allocatable_slots: Math.max(0, gpu.slots - used),
    quarantined_slots: 0,
  };
  if (gpu.mode === 'passthrough')
    return { ...shown, devices: gpu.devices.map((one) => ({ ...one })) };
  const profiles = gpu.profiles.map(({ name, framebufferMb, available }) => ({
    name,
    framebuffer_mb: framebufferMb,
    available,
  }));
  return { ...shown, profiles };
}

/** What one VM is counted with; the parts of all VMs add up to what is allocated. */
function allocationOf(vm: VmRecord): AllocationBody {
  const { cpu = 0, memory = 0, disk = 0, network = 0, disk_io = 0 } = chargeOf(vm);
  return {
    instance_id: vm.id,
    instance_name: vm.name,
    cpu,
    memory_bytes: memory * BYTES_PER_MIB,
    disk_bytes: disk * BYTES_PER_MIB,
    network_download_bps: vm.bandwidth?.download ?? network,
    network_upload_bps: vm.bandwidth?.upload ?? network,
    disk_io_bps: disk_io,
  };
}
