/**
 * What the packing benchmark packs: hosts and requests, generated from a seed or read from a trace
 * in the openb layout, in four scenarios of scarcity. Amounts: CPU in thousandths, memory in MiB,
 * disk in GiB.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { prngOf, type Prng } from '../src/std/prng.js';

export interface Amounts {
  readonly cpu: number;
  readonly memory: number;
  readonly disk: number;
}

export interface Scenario {
  readonly name: string;
  readonly what: string;
  readonly cpuOvercommit: number;
  /** Disk counts too; otherwise every host has as much as anybody wants. */
  readonly withDisk: boolean;
  /** Mean load of the tightest class while VMs come and go. */
  readonly churnLoad: number;
}

export interface Load {
  readonly name: string;
  readonly hosts: readonly Amounts[];
  /** In order of arrival. */
  readonly requests: readonly Amounts[];
  readonly scenarios: readonly Scenario[];
}

/**
 * A: CPU decides; B: CPU and memory run out together; C: memory decides; D: as B, and disk too.
 * @param even the overcommit of CPU at which it runs out together with memory
 */
const scenariosOf = (even: number, scarce = even / 1.375): readonly Scenario[] => [
  { name: 'A', what: 'CPU', cpuOvercommit: scarce, withDisk: false, churnLoad: 0.95 },
  { name: 'B', what: 'CPU, memory', cpuOvercommit: even, withDisk: false, churnLoad: 0.95 },
  { name: 'C', what: 'memory', cpuOvercommit: 4 * scarce, withDisk: false, churnLoad: 0.95 },
  { name: 'D', what: 'all three', cpuOvercommit: even, withDisk: true, churnLoad: 0.9 },
];

/** @param directory holds nodes.csv and requests_default.csv */
export function openbLoad(directory: string): Load {
  const amountsIn = (file: string): readonly Amounts[] => {
    const [head = '', ...lines] = readFileSync(join(directory, file), 'utf8').trim().split('\n');
    const names = head.split(',');
    return lines.map((line) => {
      const cells = line.split(',');
      const of = (name: string) => Number(cells[names.indexOf(name)]);
      return { cpu: of('cpu_milli'), memory: of('mem_mib'), disk: of('disk_gib') };
    });
  };
  return {
    name: 'openb',
    hosts: amountsIn('nodes.csv'),
    requests: amountsIn('requests_default.csv'),
    scenarios: scenariosOf(1.375, 1),
  };
}

const HOSTS = 300;
const REQUESTS = 4_000;
const GIB = 1_024;
/** vCPUs and GiB. */
const HOST_SHAPES = [
  { cpu: 32, memory: 128 },
  { cpu: 64, memory: 256 },
  { cpu: 96, memory: 512 },
  { cpu: 128, memory: 768 },
];
const VCPUS = weighted({ 1: 28, 2: 26, 4: 20, 8: 13, 16: 8, 32: 4, 64: 1 });
const GIB_PER_VCPU = weighted({ 2: 1, 4: 2, 8: 1 });
const DISKS = weighted({ 20: 35, 40: 25, 80: 20, 160: 12, 320: 6, 640: 2 });
const DISK_PER_MEMORY = [0.5, 1, 2];

/** Cloud flavours of 1 to 64 vCPUs on 300 hosts of four shapes; disk differs at random. */
export function generatedLoad(seed: number): Load {
  const prng = prngOf(`pack/${seed.toString()}`);
  const requests = Array.from({ length: REQUESTS }, (): Amounts => {
    const vcpus = prng.pick(VCPUS);
    const memory = vcpus * prng.pick(GIB_PER_VCPU) * GIB;
    return { cpu: vcpus * 1_000, memory, disk: prng.pick(DISKS) };
  });
  const shapes = Array.from({ length: HOSTS }, () => {
    const { cpu, memory } = prng.pick(HOST_SHAPES);
    const disk = memory * prng.pick(DISK_PER_MEMORY);
    return { cpu: cpu * 1_000, memory: memory * GIB, disk };
  });
  const asked = sumOf(requests);
  const there = sumOf(shapes);
  // As many times the requests as memory lasts, disk lasts too.
  const diskFactor = (asked.disk * there.memory) / (asked.memory * there.disk);
  const hosts = shapes.map((host) => ({ ...host, disk: Math.round(host.disk * diskFactor) }));
  const even = (asked.cpu * there.memory) / (asked.memory * there.cpu);
  return { name: 'generated', hosts, requests, scenarios: scenariosOf(even) };
}

/** Each number as often as it weighs. */
function weighted(weights: Readonly<Record<number, number>>): readonly number[] {
  return Object.entries(weights).flatMap(([value, weight]) =>
    Array.from({ length: weight }, () => Number(value)),
  );
}

export const sumOf = (all: readonly Amounts[]): Amounts =>
  all.reduce(
    (sum, { cpu, memory, disk }) => ({
      cpu: sum.cpu + cpu,
      memory: sum.memory + memory,
      disk: sum.disk + disk,
    }),
    { cpu: 0, memory: 0, disk: 0 },
  );

/** The same in another order, after Fisher and Yates. */
export function shuffled<T>(items: readonly T[], prng: Prng): readonly T[] {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last -= 1) {
    const other = prng.between(0, last);
    [result[last], result[other]] = [result[other] as T, result[last] as T];
  }
  return result;
}
