/**
 * Fleets and loads made from a seed: to try the planner without data of one's own, and to compare
 * strategies on loads that nobody tuned them on. Invented, and said to be.
 */
import { prngOf, type Prng } from '../std/prng.js';

export interface GenerateInput {
  readonly seed: string | number;
  readonly hosts: number;
  readonly zones: number;
  readonly requests: number;
  /** Mean load of the tightest class that the requests make once the fleet is warm, 1 = all. */
  readonly load: number;
  readonly meanLifetimeS: number;
}

/** Four shapes of hosts, the small ones most; vCPU, memory, disk. */
const HOST_SHAPES = [
  { share: 0.4, cpu: 64, memoryGib: 256, diskGib: 4_096 },
  { share: 0.3, cpu: 96, memoryGib: 384, diskGib: 8_192 },
  { share: 0.2, cpu: 128, memoryGib: 1_024, diskGib: 8_192 },
  { share: 0.1, cpu: 192, memoryGib: 768, diskGib: 16_384 },
] as const;

/** Sizes of VMs, the small ones most. */
const VM_CPUS = [
  { share: 0.3, cpu: 1 },
  { share: 0.27, cpu: 2 },
  { share: 0.2, cpu: 4 },
  { share: 0.12, cpu: 8 },
  { share: 0.07, cpu: 16 },
  { share: 0.03, cpu: 32 },
  { share: 0.01, cpu: 64 },
] as const;

const MEMORY_PER_CPU_GIB = [2, 4, 8] as const;

const VM_DISKS = [
  { share: 0.35, diskGib: 20 },
  { share: 0.25, diskGib: 40 },
  { share: 0.2, diskGib: 80 },
  { share: 0.12, diskGib: 160 },
  { share: 0.06, diskGib: 320 },
  { share: 0.02, diskGib: 640 },
] as const;

const MIB_PER_GIB = 1_024;

interface Shape {
  readonly cpu: number;
  readonly memory: number;
  readonly disk: number;
}

/** Both as files of our layout. */
export interface Generated {
  readonly hosts: string;
  readonly requests: string;
}

export function generate(input: GenerateInput): Generated {
  const prng = prngOf(input.seed);
  const hosts = Array.from({ length: input.hosts }, () => hostShape(prng));
  const shapes = Array.from({ length: input.requests }, () => vmShape(prng));
  return {
    hosts: hostsFile(hosts, input.zones),
    requests: requestsFile(hosts, shapes, input, prng),
  };
}

function hostShape(prng: Prng): Shape {
  const { cpu, memoryGib, diskGib } = weighted(HOST_SHAPES, prng);
  return { cpu, memory: memoryGib * MIB_PER_GIB, disk: diskGib * MIB_PER_GIB };
}

function vmShape(prng: Prng): Shape {
  const { cpu } = weighted(VM_CPUS, prng);
  const memory = cpu * prng.pick(MEMORY_PER_CPU_GIB) * MIB_PER_GIB;
  return { cpu, memory, disk: weighted(VM_DISKS, prng).diskGib * MIB_PER_GIB };
}

function weighted<Item extends { readonly share: number }>(
  items: readonly Item[],
  prng: Prng,
): Item {
  let left = prng.next();
  for (const item of items) {
    left -= item.share;
    if (left < 0) return item;
  }
  return prng.pick(items);
}

function hostsFile(hosts: readonly Shape[], zones: number): string {
  const rows = hosts.map(({ cpu, memory, disk }, index) =>
    [
      `host-${(index + 1).toString()}`,
      `zone-${((index % zones) + 1).toString()}`,
      cpu,
      memory,
      disk,
    ]
      .map(String)
      .join(','),
  );
  return ['name,zone,cpu,memory,disk', ...rows, ''].join('\n');
}

/**
 * Arrivals at random (Poisson), lifetimes exponential. By Little's law as many are there at once as
 * arrive in a mean lifetime: the pause between arrivals is chosen so that they ask for `load`.
 */
function requestsFile(
  hosts: readonly Shape[],
  shapes: readonly Shape[],
  { load, meanLifetimeS }: GenerateInput,
  prng: Prng,
): string {
  const classes = ['cpu', 'memory', 'disk'] as const;
  const sumOf = (all: readonly Shape[], name: keyof Shape) =>
    all.reduce((sum, shape) => sum + shape[name], 0);
  const shareOfOne = Math.max(
    0,
    ...classes.map((name) => sumOf(shapes, name) / shapes.length / sumOf(hosts, name)),
  );
  const pauseS = (meanLifetimeS * shareOfOne) / load;
  let atS = 0;
  const rows = shapes.map(({ cpu, memory, disk }, index) => {
    atS += exponential(pauseS, prng);
    const times = [atS.toFixed(3), Math.max(1, exponential(meanLifetimeS, prng)).toFixed(3)];
    const cells = [cpu, memory, disk].map(String);
    return [`r${(index + 1).toString()}`, ...times, ...cells].join(',');
  });
  return ['name,arrival_s,lifetime_s,cpu,memory,disk', ...rows, ''].join('\n');
}

const exponential = (mean: number, prng: Prng): number => -mean * Math.log(1 - prng.next());
