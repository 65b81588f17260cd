/**
 * What an agent tells Prometheus. Everything is read when it is asked for, so nothing is kept between
 * two scrapes, and a VM that is gone leaves no series.
 */
import { Counter, Gauge, Registry } from 'prom-client';
import type { AgentResourcesBody } from '../wire/agent-resources.js';
import type { VmUse } from './discovery/vm-use.js';
import type { VmRates } from './vm-parts.js';

export interface MetricsInput {
  readonly report: AgentResourcesBody;
  /** The most that images and their cache may take. */
  readonly imageBytesMax: number;
  readonly vms: readonly VmReading[];
}

export interface VmReading {
  readonly id: string;
  readonly rates: VmRates;
  /** Null while it has no process. */
  readonly use: VmUse | null;
}

/** VMs with series of their own: a host with more of them would flood its Prometheus. */
export const METERED_VMS_MAX = 200;

export interface MetricsText {
  readonly contentType: string;
  readonly text: string;
}

export async function metricsOf({
  report,
  imageBytesMax,
  vms,
}: MetricsInput): Promise<MetricsText> {
  const registry = new Registry();
  addClasses(registry, report);
  addDisk(registry, report, imageBytesMax);
  addVms(registry, vms.slice(0, METERED_VMS_MAX));
  gauge(registry, 'berth_agent_vms', 'VMs on this host, whatever their state').set(vms.length);
  return { contentType: registry.contentType, text: await registry.metrics() };
}

/** In the unit of each class; a class that is unknown has no capacity and no limit. */
function addClasses(registry: Registry, { resources }: AgentResourcesBody): void {
  const add = (name: string, help: string) => gauge(registry, name, help, 'class');
  const capacity = add('berth_agent_capacity', 'Total times overcommit');
  const limit = add('berth_agent_limit', 'What may be booked');
  const allocated = add('berth_agent_allocated', 'What VMs hold, whether they run or not');
  const ratio = add('berth_agent_overcommit_ratio', 'How many times the total may be promised');
  const source = gauge(
    registry,
    'berth_agent_source',
    '1 by where the total is from',
    'class',
    'source',
  );
  for (const [name, entry] of Object.entries(resources)) {
    const labels = { class: name };
    if (entry.capacity !== null) capacity.set(labels, entry.capacity);
    if (entry.limit !== null) limit.set(labels, entry.limit);
    allocated.set(labels, entry.allocated);
    ratio.set(labels, entry.overcommit);
    source.set({ ...labels, source: entry.source }, 1);
  }
}

function addDisk(
  registry: Registry,
  { disk_breakdown: breakdown }: AgentResourcesBody,
  imageBytesMax: number,
): void {
  const disk = gauge(registry, 'berth_agent_disk_bytes', 'What the disk is taken by', 'part');
  disk.set({ part: 'images' }, breakdown.images_bytes);
  disk.set({ part: 'cache' }, breakdown.oci_cache_bytes);
  disk.set({ part: 'volumes' }, breakdown.volumes_bytes);
  disk.set({ part: 'overlays' }, breakdown.overlays_bytes);
  gauge(
    registry,
    'berth_agent_image_storage_max_bytes',
    'What images and their cache may take',
  ).set(imageBytesMax);
}

/** Directions are those of the VM. */
function addVms(registry: Registry, vms: readonly VmReading[]): void {
  const cpu = counter(registry, 'berth_agent_vm_cpu_seconds_total', 'CPU time', 'vm');
  const memory = gauge(registry, 'berth_agent_vm_memory_bytes', 'Memory', 'vm', 'kind');
  const network = counter(
    registry,
    'berth_agent_vm_network_bytes_total',
    'Traffic as the VM sees it',
    'vm',
    'direction',
  );
  const disk = counter(
    registry,
    'berth_agent_vm_disk_bytes_total',
    'What reached the disks of the host',
    'vm',
    'direction',
  );
  const rate = gauge(
    registry,
    'berth_agent_vm_rate_limit_bytes_per_second',
    'How fast it may be; absent where there is no limit',
    'vm',
    'kind',
  );
  for (const { id: vm, rates, use } of vms) {
    set(rate, { vm, kind: 'download' }, rates.downloadBytesPerS);
    set(rate, { vm, kind: 'upload' }, rates.uploadBytesPerS);
    set(rate, { vm, kind: 'disk_io' }, rates.diskIoBytesPerS);
    if (use === null) continue;
    count(cpu, { vm }, use.cpuSeconds);
    set(memory, { vm, kind: 'resident' }, use.memoryBytes);
    set(memory, { vm, kind: 'virtual' }, use.virtualMemoryBytes);
    count(network, { vm, direction: 'download' }, use.downloadBytes);
    count(network, { vm, direction: 'upload' }, use.uploadBytes);
    count(disk, { vm, direction: 'read' }, use.diskReadBytes);
    count(disk, { vm, direction: 'write' }, use.diskWrittenBytes);
  }
}

type Labels = Readonly<Record<string, string>>;

/** What cannot be read has no series: 0 would say that it was read. */
function set(metric: Gauge, labels: Labels, value: number | null): void {
  if (value !== null) metric.set(labels, value);
}

function count(metric: Counter, labels: Labels, value: number | null): void {
  if (value !== null) metric.inc(labels, value);
}

const gauge = (registry: Registry, name: string, help: string, ...labelNames: string[]): Gauge =>
  new Gauge({ name, help, labelNames, registers: [registry] });

const counter = (
  registry: Registry,
  name: string,
  help: string,
  ...labelNames: string[]
): Counter => new Counter({ name, help, labelNames, registers: [registry] });
