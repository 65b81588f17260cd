/** What counts on a host, what a claim is held against, and the shares of those who asked for nothing. */
import { describe, expect, it } from '@jest/globals';
import { besideOverhead, chargeOf, evaluate, type Books } from '../../src/agent/claims.js';
import type { Measurement } from '../../src/agent/discovery.js';
import { checkImageRoom, imageBytesMax, type ImageRoom } from '../../src/agent/image-guard.js';
import { createReservations } from '../../src/agent/reservations.js';
import { imageRoomOf, resourcesReport } from '../../src/agent/resources-report.js';
import { ratesOf, shareOf } from '../../src/agent/vm-rates.js';
import type { VmRecord } from '../../src/agent/vm-store.js';
import type { MeasuredTotals } from '../../src/model/agent-report.js';
import { DomainError } from '../../src/model/errors.js';
import type { Resources } from '../../src/model/resources.js';
import type { VmBandwidth } from '../../src/wire/agent.js';
import { agentResourcesSchema } from '../../src/wire/agent-resources.js';

const GIB = 1024 ** 3;

describe('what a VM is counted with', () => {
  it('is its size and what may be plugged in', () => {
    const resources = { cpu: 2, memory: 1024, disk: 10 };
    expect(chargeOf({ resources })).toEqual(resources);
    expect(chargeOf({ resources, hotplugMib: 3072 })).toEqual({ ...resources, memory: 4096 });
  });

  it.each<[Resources, VmBandwidth | undefined, number | undefined]>([
    [{}, undefined, undefined],
    [{ network: 5 }, undefined, 5],
    [{}, { download: 7, upload: 9 }, 9],
    [{}, { download: 8 }, 8],
    [{ network: 10 }, { download: 7, upload: 9 }, 10],
  ])('is the larger direction of the network: %j %j', (resources, bandwidth, network) => {
    expect(chargeOf({ resources, bandwidth }).network).toBe(network);
  });
});

it('what VMs take besides their guests leaves less of the memory, and never less than nothing', () => {
  const held = new Map<string, Resources>([
    ['a', { memory: 640 }],
    ['b', { cpu: 1 }],
  ]);
  const left = (limits: Resources) => besideOverhead(limits, held, (guest) => 10 + guest / 64);
  expect(left({ cpu: 4, memory: 1000 })).toEqual({ cpu: 4, memory: 970 });
  expect(left({ memory: 5 })).toEqual({ memory: 0 });
  expect(left({ cpu: 4 })).toEqual({ cpu: 4 });
});

describe('a claim', () => {
  const books: Books = {
    limits: { cpu: 8, memory: 1000, network: Number.MAX_SAFE_INTEGER },
    held: new Map([['a', { cpu: 6, memory: 900, network: 1e9 }]]),
    maxPerVm: { cpu: 4 },
  };
  const short = (charge: Readonly<Record<string, number>>, vmId = 'b') =>
    evaluate(books, { vmId, charge });

  it('that fits exactly is granted', () => {
    expect(short({ cpu: 2, memory: 100 })).toEqual([]);
  });

  it('is told every class that is short, each once with what is tighter', () => {
    expect(short({ cpu: 5, memory: 101, gpu: 1, network: 1e12 })).toEqual([
      { resource: 'cpu', requested: 5, available: 2, limit: 8 },
      { resource: 'memory', requested: 101, available: 100, limit: 1000 },
      { resource: 'gpu', requested: 1, available: 0, limit: 0 },
    ]);
    expect(short({ cpu: 5 }, 'a')).toEqual([
      { resource: 'cpu', requested: 5, available: 4, limit: 4 },
    ]);
  });
});

describe('shares', () => {
  it.each([
    // vCPUs, CPUs, capacity, share
    [2, 16, 1_250_000_000, 156_250_000],
    [2, 16, 2 * 1_250_000_000, 312_500_000],
    [2, 16, 1_000_000_000, 125_000_000],
    [1, 32, 1_000_000_000, 31_250_000],
    [3, 7, 1_250_000_000, 535_714_285],
    [4, 6, 125_000_000, 83_333_333],
    [1, 96, 3_125_000_000, 32_552_083],
    [8, 2, 1_250_000_000, 1_250_000_000],
    [2, 16, 0, null],
    [2, 0, 1_000, null],
    [0, 4, 1_000, null],
  ])('%d of %d CPUs of %d are %d', (vcpus, cpus, capacity, share) => {
    expect(shareOf(vcpus, cpus, capacity)).toBe(share);
  });

  const totals: MeasuredTotals = {
    cpu: { total: 16, source: 'detected' },
    network: { total: 1_250_000_000, source: 'detected' },
    disk_io: { total: 0, source: 'unknown' },
  };
  const burst = { download: 4, upload: 2, diskIo: 3 };

  it('are for those who asked for nothing; the unknown has no limit', () => {
    expect(ratesOf({ resources: { cpu: 2 } }, totals, burst)).toEqual({
      downloadBytesPerS: 156_250_000,
      uploadBytesPerS: 156_250_000,
      diskIoBytesPerS: null,
      downloadBurst: 4,
      uploadBurst: 2,
      diskIoBurst: 3,
    });
  });

  it('give way to what was asked for, each direction by itself', () => {
    const resources = { cpu: 2, network: 500, disk_io: 700 };
    expect(ratesOf({ resources, bandwidth: { upload: 300 } }, totals, burst)).toMatchObject({
      downloadBytesPerS: 500,
      uploadBytesPerS: 300,
      diskIoBytesPerS: 700,
    });
  });
});

describe('room that is kept', () => {
  it('is given back at the end of the work, or of the lease, and by its owner only', () => {
    let now = 0;
    const kept = createReservations({ monotonic: () => now }, 100);
    const first = kept.take('a', { cpu: 1 });
    kept.take('b', { cpu: 2 });
    expect([...kept.held()]).toEqual([
      ['a', { cpu: 1 }],
      ['b', { cpu: 2 }],
    ]);
    const second = kept.take('a', { cpu: 3 });
    first.end();
    expect([first.isLive(), second.isLive()]).toEqual([false, true]);
    expect(kept.held().get('a')).toEqual({ cpu: 3 });
    second.end();
    second.end();
    expect([...kept.held().keys()]).toEqual(['b']);
    now = 100;
    expect(kept.held().size).toBe(0);
  });
});

describe('images', () => {
  const room: ImageRoom = {
    availableBytes: 100 * GIB,
    diskBytes: 100 * GIB,
    storedBytes: 10 * GIB,
    share: 0.2,
  };
  const refusal = (changes: Partial<ImageRoom>, bytes: number): DomainError | null => {
    try {
      checkImageRoom({ ...room, ...changes }, bytes);
      return null;
    } catch (error) {
      if (error instanceof DomainError) return error;
      throw error;
    }
  };

  it('may take their share, and must leave 5 GiB', () => {
    expect(imageBytesMax(room)).toBe(20 * GIB);
    expect(refusal({}, 0)).toBeNull();
    expect(refusal({}, 10 * GIB)).toBeNull();
    expect(refusal({ availableBytes: 5 * GIB }, 0)).toBeNull();
    expect(refusal({ availableBytes: 8 * GIB }, 3 * GIB)).toBeNull();
  });

  it.each<[string, Partial<ImageRoom>, number, object]>([
    ['less than 5 GiB', { availableBytes: 5 * GIB - 1 }, 0, { available: 5 * GIB - 1 }],
    ['less than 5 GiB afterwards', { availableBytes: 8 * GIB }, 3 * GIB + 1, { limit: 5 * GIB }],
    ['a share that is used up', { storedBytes: 20 * GIB }, 0, { available: 0, limit: 20 * GIB }],
    ['more than the share', {}, 10 * GIB + 1, { requested: 10 * GIB + 1, available: 10 * GIB }],
  ])('are refused: %s', (_what, changes, bytes, extra) => {
    const error = refusal(changes, bytes);
    expect(error?.code).toBe('image_storage_full');
    expect(error?.extra).toMatchObject(extra);
  });
});

describe('the report of resources', () => {
  const MIB = 1024 * 1024;
  const vm = (id: string, changes: Partial<VmRecord>): VmRecord => ({
    id,
    assignment: 1,
    name: id,
    resources: { cpu: 2, memory: 1024, disk: 2048 },
    image: null,
    users: [],
    state: 'stopped',
    reason: null,
    stateSince: 1,
    removing: false,
    ...changes,
  });
  const vms = [
    vm('a', { hotplugMib: 1024, bandwidth: { download: 5, upload: 7 } }),
    vm('b', { state: 'failed', resources: { cpu: 1, memory: 512, disk: 1, disk_io: 9, gpu: 1 } }),
  ];
  const measured: Measurement = {
    totals: {
      cpu: { total: 8, source: 'detected', overcommit: 2, max: 10 },
      memory: { total: 10_000, source: 'detected' },
      disk: { total: 5_000, source: 'configured' },
      network: { total: 0, source: 'unknown' },
      disk_io: { total: 100, source: 'configured' },
      gpu: { total: 3, source: 'detected' },
    },
    used: { memory: 700 },
    uptimeS: 1,
    load: [0, 0, 0],
    disk: {
      offeredBytes: 5_000 * MIB,
      freeBytes: 6_000 * MIB,
      sizeBytes: 9_000 * MIB,
      isLimited: true,
      taken: { imagesBytes: 10, cacheBytes: 20, volumesBytes: 30, overlaysBytes: 40 },
    },
    gpu: {
      mode: 'vgpu',
      slots: 3,
      profiles: [{ name: 'L40S-1Q', framebufferMb: 1024, available: 2 }],
      devices: [],
    },
  };
  const policy = { overcommit: { cpu: 4, network: 2, disk_io: 2 }, reserve: { memory: 0.1 } };
  const held = new Map(vms.map((one) => [one.id, chargeOf(one)]));
  const report = agentResourcesSchema.parse(
    resourcesReport({ hostId: 'host-1', measured, policy, held, vms }),
  );

  it('counts every VM, running or not', () => {
    expect(report.cpu).toEqual({
      type: 'cpu',
      capacity: 8,
      effective_limit: 10,
      allocated: 3,
      available: 7,
      oversub_ratio: 2,
      reserved: 0,
      source: 'detected',
    });
    expect(report.memory).toMatchObject({
      capacity: 10_000 * MIB,
      effective_limit: 9_000 * MIB,
      allocated: 2_560 * MIB,
      available: 6_440 * MIB,
      oversub_ratio: 1,
    });
    expect(report.disk_io).toMatchObject({ capacity: 100, effective_limit: 200, allocated: 9 });
  });

  it('counts images, cache and volumes to the disk, beside what VMs were promised', () => {
    expect(report.disk_breakdown).toEqual({
      images_bytes: 10,
      oci_cache_bytes: 20,
      volumes_bytes: 30,
      overlays_bytes: 2_049 * MIB,
    });
    const { capacity, effective_limit, allocated, available } = report.disk;
    expect(capacity).toBe(5_000 * MIB + 60);
    expect(allocated).toBe(2_049 * MIB + 60);
    const { reserved, oversub_ratio } = report.disk;
    const forVms = Math.trunc(((capacity - 60) / MIB - reserved / MIB) * oversub_ratio) * MIB;
    expect(effective_limit).toBe(forVms + 60);
    expect(effective_limit - allocated).toBe(available);
    expect(available).toBe((5_000 - 2_049) * MIB);
  });

  it('shows the unknown as unknown', () => {
    expect(report.network).toMatchObject({ source: 'unknown', capacity: 0, allocated: 7 });
    expect(report.resources.network).toMatchObject({
      source: 'unknown',
      total: null,
      capacity: null,
      limit: null,
      available: null,
      allocated: 7,
      overcommit: 2,
    });
    expect(report.resources.memory).toMatchObject({ total: 10_000, used: 700, unit: 'MiB' });
  });

  it('tells GPUs by the books, and each VM by what it is counted with', () => {
    expect(report.gpu).toEqual({
      mode: 'vgpu',
      total_slots: 3,
      used_slots: 1,
      allocatable_slots: 2,
      quarantined_slots: 0,
      profiles: [{ name: 'L40S-1Q', framebuffer_mb: 1024, available: 2 }],
    });
    expect(report.allocations[0]).toEqual({
      instance_id: 'a',
      instance_name: 'a',
      cpu: 2,
      memory_bytes: 2048 * MIB,
      disk_bytes: 2048 * MIB,
      network_download_bps: 5,
      network_upload_bps: 7,
      disk_io_bps: 0,
    });
    const sum = report.allocations.reduce((total, one) => total + one.memory_bytes, 0);
    expect(sum).toBe(report.memory.allocated);
  });

  it('leaves to images what is neither promised nor taken', () => {
    expect(imageRoomOf({ measured, policy, held }, 0.5)).toEqual({
      availableBytes: (5_000 - 2_049) * MIB,
      diskBytes: 5_000 * MIB + 60,
      storedBytes: 30,
      share: 0.5,
    });
  });
});
