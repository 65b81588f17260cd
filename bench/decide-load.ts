/**
 * Fleets and requests for the benchmark of decisions: from the Alibaba openb trace (Weng et al.,
 * "Beware of Fragmentation", USENIX ATC '23) where a folder with it is named, else made from a seed.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FleetHost } from '../src/model/host.js';
import type { Resources } from '../src/model/resources.js';
import { HostTable } from '../src/placement/host-table.js';
import { prngOf, type Prng } from '../src/std/prng.js';

export interface Load {
  readonly name: string;
  /** Shapes of hosts, repeated until there are enough. */
  readonly hosts: readonly Resources[];
  /** In order of arrival; repeated. */
  readonly requests: readonly Resources[];
}

/** @param folder with nodes.csv and requests_default.csv; null for made ones */
export const loadOf = (folder: string | null, classes: 3 | 6, seed: number): Load => {
  const load = folder === null ? madeLoad(prngOf(seed)) : openbLoad(folder);
  const strip = ({ gpu: _, ...rest }: Record<string, number>): Resources => rest;
  return {
    name: load.name,
    hosts: load.hosts.map((host) =>
      classes === 3 ? strip(host) : { ...host, ...trafficOf(host) },
    ),
    requests: load.requests.map((request) =>
      classes === 3 ? strip(request) : { ...request, ...trafficOf(request) },
    ),
  };
};

/** Neither load has the two: a share of 10 Gbit/s and of 2 GB/s per 96 cores. */
const trafficOf = ({ cpu = 0 }: Resources): Resources => ({
  network: Math.round((cpu / 96_000) * 1.25e9),
  disk_io: Math.round((cpu / 96_000) * 2e9),
});

function openbLoad(folder: string): Load {
  const rows = (file: string) => {
    const [head = '', ...lines] = readFileSync(join(folder, file), 'utf8').trim().split('\n');
    const names = head.trim().split(',');
    return lines.map((line) => {
      const cells = line.trim().split(',');
      const cell = (name: string) => Number(cells[names.indexOf(name)]);
      return {
        cpu: cell('cpu_milli'),
        memory: cell('mem_mib'),
        disk: cell('disk_gib') * 1024,
        gpu: cell('gpu_milli'),
      };
    });
  };
  return { name: 'openb', hosts: rows('nodes.csv'), requests: rows('requests_default.csv') };
}

/** Shares of 32 to 128 cores and of flavors from 1 to 32, with 2, 4 or 8 GiB a core. */
function madeLoad(prng: Prng): Load {
  const hosts = Array.from({ length: 1_500 }, () => {
    const cores = prng.pick([32, 64, 96, 128]);
    const gpu = prng.chance(0.3) ? 8_000 : 0;
    const memory = cores * prng.pick([4, 8]) * 1024;
    return { cpu: cores * 1_000, memory, disk: cores * 32 * 1024, gpu };
  });
  const requests = Array.from({ length: 8_000 }, () => {
    const cores = prng.pick([1, 1, 2, 2, 4, 4, 8, 12, 16, 32]);
    const gpu = prng.chance(0.1) ? 1_000 : 0;
    const disk = prng.pick([20, 40, 80]) * 1024;
    return { cpu: cores * 1_000, memory: cores * prng.pick([2, 4, 8]) * 1024, disk, gpu };
  });
  return { name: 'made', hosts, requests };
}

const hostOf = (index: number, capacity: Resources): FleetHost => ({
  id: `host-${index.toString()}`,
  name: `host-${index.toString()}`,
  seq: index,
  revision: 1,
  zone: 'default',
  labels: {},
  state: 'up',
  mode: 'enabled',
  capacity,
  limits: capacity,
  allocated: {},
});

/**
 * A fleet that is filled up to a share of its tightest class, each VM on a host drawn by lot: no
 * two hosts are booked alike, which is the worst that can happen to whoever looks for likeness.
 */
export function fleetOf(load: Load, hosts: number, fill: number, seed: number): HostTable {
  const prng = prngOf(seed);
  const table = HostTable.of(
    Array.from({ length: hosts }, (_, index) =>
      hostOf(index, load.hosts[index % load.hosts.length]!),
    ),
  );
  const names = ['cpu', 'memory', 'disk'];
  const total = (rows: Iterable<Resources>) => {
    const sum = new Map(names.map((name) => [name, 0]));
    for (const row of rows)
      for (const name of names) sum.set(name, sum.get(name)! + (row[name] ?? 0));
    return sum;
  };
  const capacity = total([...table.hosts()].map((host) => host.capacity));
  const booked = new Map(names.map((name) => [name, 0]));
  const isFilled = () => names.some((name) => booked.get(name)! >= fill * capacity.get(name)!);
  for (let at = 0; !isFilled(); at += 1) {
    const request = load.requests[at % load.requests.length]!;
    const row = prng.between(0, hosts - 1);
    const { limits } = table.factsAt(row);
    const allocated = table.allocatedAt(row);
    const fits = Object.entries(request).every(
      ([name, amount]) => (allocated[name] ?? 0) + amount <= (limits[name] ?? 0),
    );
    if (!fits) continue;
    table.book(row, request);
    for (const name of names) booked.set(name, booked.get(name)! + (request[name] ?? 0));
  }
  return table;
}
