/** What the agent finds on machines of several kinds, from trees of /proc and /sys. */
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { realMachine, type Measurement } from '../../src/agent/discovery.js';
import { measureDisk } from '../../src/agent/discovery/disk-space.js';
import { parseCount, parseFramebufferMb } from '../../src/agent/discovery/gpus.js';
import { parseStat, readVmUse } from '../../src/agent/discovery/vm-use.js';
import { DEFAULT_HOST_SETTINGS, type HostSettings } from '../../src/agent/host-settings.js';
import { createShrinkWatch } from '../../src/agent/shrink-watch.js';
import type { Log } from '../../src/model/ports.js';
import { silentLog } from '../support/log.js';
import { temporaryDir } from './agent-fixture.js';
import { PLAIN, plant, route, routesOf, x86Cpu, type Tree } from './machine-tree.js';

let root: string;
let dataDir: string;
beforeEach(async () => {
  root = await temporaryDir();
  dataDir = join(root, 'data');
  await mkdir(dataDir);
});
afterEach(() => rm(root, { recursive: true, force: true }));

const measured = async (tree: Tree, said: Partial<HostSettings> = {}): Promise<Measurement> => {
  await plant(root, { ...PLAIN, ...tree });
  return realMachine({ dataDir, root, settings: { ...DEFAULT_HOST_SETTINGS, ...said } })();
};

const totalOf = async (name: string, tree: Tree, said: Partial<HostSettings> = {}) =>
  (await measured(tree, said)).totals[name];

describe('CPUs', () => {
  const twoSockets = Array.from({ length: 32 }, (_, cpu) => x86Cpu(cpu, cpu % 2, 16)).join('');

  it.each<[string, Tree, number]>([
    ['a plain machine', {}, 4],
    ['two sockets', { 'proc/cpuinfo': twoSockets, 'sys/devices/system/cpu/online': '0-31\n' }, 32],
    ['two sockets, four threads offline', { 'sys/devices/system/cpu/online': '0,5-31\n' }, 28],
    ['threads of a core switched off', { 'sys/devices/system/cpu/online': '0,2,4,6\n' }, 4],
    [
      'a container with a set of CPUs',
      {
        'proc/self/cgroup': '0::/\n',
        'sys/devices/system/cpu/online': '0-63\n',
        'sys/fs/cgroup/cpuset.cpus.effective': '8-15\n',
      },
      8,
    ],
    [
      'a container with a quota of two and a half CPUs',
      { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '250000 100000\n' },
      2,
    ],
    [
      'a quota above the group of the agent',
      {
        'proc/self/cgroup': '0::/berth.slice/agent.service\n',
        'sys/fs/cgroup/berth.slice/agent.service/cpu.max': 'max 100000\n',
        'sys/fs/cgroup/berth.slice/cpu.max': '100000 100000\n',
      },
      1,
    ],
    [
      'a quota of less than one CPU',
      { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '10000 100000\n' },
      1,
    ],
    [
      'a quota of the older control groups',
      {
        'proc/self/cgroup': '4:cpu,cpuacct:/docker/abc\n0::/\n',
        'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '300000\n',
        'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      },
      3,
    ],
    [
      'no quota in the older control groups',
      {
        'proc/self/cgroup': '1:cpu:/\n',
        'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
        'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      },
      4,
    ],
  ])('%s', async (_what, tree, total) => {
    expect(await totalOf('cpu', tree)).toEqual({ total, source: 'detected' });
  });

  it('are counted by /proc/cpuinfo where /sys does not tell, as on some arm64', async () => {
    const cpuinfo = 'processor\t: 0\nBogoMIPS\t: 48.00\n\nprocessor\t: 1\n\nprocessor\t: 2\n';
    const tree = { 'proc/cpuinfo': cpuinfo, 'sys/devices/system/cpu/online': '\n' };
    expect(await totalOf('cpu', tree)).toEqual({ total: 3, source: 'detected' });
  });

  it.each<[string, string]>([
    ['empty', ''],
    ['odd', 'model name\t: something\n'],
  ])('are those of this process where cpuinfo is %s, and that is said once', async (_, cpuinfo) => {
    await plant(root, { ...PLAIN, 'proc/cpuinfo': cpuinfo, 'sys/devices/system/cpu/online': '' });
    const told: string[] = [];
    const measure = realMachine({ dataDir, root, warn: (message) => told.push(message) });
    await measure();
    expect((await measure()).totals.cpu).toEqual({
      total: os.availableParallelism(),
      source: 'detected',
    });
    expect(told).toEqual([expect.stringContaining('how many CPUs there are')]);
  });

  it('are not guessed', async () => {
    const tree = { 'sys/devices/system/cpu/online': 'all of them\n' };
    await expect(measured(tree)).rejects.toThrow(/list of CPUs/);
  });
});

describe('memory', () => {
  it.each<[string, Tree, number]>([
    ['a plain machine', {}, 8192],
    ['whole MiB only', { 'proc/meminfo': 'MemTotal: 2049 kB\nMemAvailable: 1023 kB\n' }, 2],
    [
      'less the pool of huge pages',
      {
        'proc/meminfo':
          'MemTotal: 8388608 kB\nMemAvailable: 1048576 kB\nHugePages_Total: 1024\nHugepagesize: 2048 kB\n',
      },
      6144,
    ],
    [
      'less all huge pages, of any size',
      {
        'proc/meminfo':
          'MemTotal: 8388608 kB\nMemAvailable: 1 kB\nHugepagesize: 2048 kB\nHugetlb: 4194304 kB\n',
      },
      4096,
    ],
    [
      'a container with a limit',
      { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/memory.max': '1073741824\n' },
      1024,
    ],
    [
      'a container without one',
      { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/memory.max': 'max\n' },
      8192,
    ],
    [
      'a limit of the older control groups',
      {
        'proc/self/cgroup': '9:memory:/jobs/a\n',
        'sys/fs/cgroup/memory/jobs/a/memory.limit_in_bytes': '9223372036854771712\n',
        'sys/fs/cgroup/memory/jobs/memory.limit_in_bytes': '2147483648\n',
      },
      2048,
    ],
  ])('%s', async (_what, tree, total) => {
    expect(await totalOf('memory', tree)).toEqual({ total, source: 'detected' });
  });

  it('tells what is used, rounded up', async () => {
    const { used } = await measured({
      'proc/meminfo': 'MemTotal: 2049 kB\nMemAvailable: 1023 kB\n',
    });
    expect(used.memory).toBe(2);
  });

  it('is not guessed', async () => {
    await expect(measured({ 'proc/meminfo': 'nonsense' })).rejects.toThrow(/MemTotal/);
  });
});

describe('the network', () => {
  it.each<[string, Tree, object]>([
    ['the link of the default route', {}, { total: 1_250_000_000, source: 'detected' }],
    [
      'the link of the best default route',
      {
        'proc/net/route': routesOf(route('wlan0', 600), route('eth1', 50), route('eth0', 100)),
        'sys/class/net/eth1/speed': '1000\n',
      },
      { total: 125_000_000, source: 'detected' },
    ],
    [
      'the link of an IPv6 route',
      {
        'proc/net/route': routesOf(),
        'proc/net/ipv6_route': `${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00 fe80000000000000000000000000000a 00000400 00000001 00000000 00000003 eth0\n`,
      },
      { total: 1_250_000_000, source: 'detected' },
    ],
    ['no default route', { 'proc/net/route': routesOf() }, { total: 0, source: 'unknown' }],
    [
      'a virtual link, which says −1',
      { 'sys/class/net/eth0/speed': '-1\n' },
      { total: 0, source: 'unknown' },
    ],
    [
      'a link that says nothing',
      { 'proc/net/route': routesOf(route('ifb0', 0)) },
      { total: 0, source: 'unknown' },
    ],
  ])('%s', async (_what, tree, expected) => {
    expect(await totalOf('network', tree)).toEqual(expected);
  });

  it('is what the operator says, of the interface or of its speed', async () => {
    const tree = { 'sys/class/net/bond0/speed': '25000\n' };
    expect(await totalOf('network', tree, { uplink: 'bond0' })).toEqual({
      total: 3_125_000_000,
      source: 'detected',
    });
    const said = { networkBytesPerS: 125_000_000 };
    expect(
      (await realMachine({ dataDir, root, settings: { ...DEFAULT_HOST_SETTINGS, ...said } })())
        .totals.network,
    ).toEqual({ total: 125_000_000, source: 'configured' });
  });

  it('does not leave its folder for the name of an interface', async () => {
    await plant(root, { 'sys/secret/speed': '10000\n' });
    expect(await totalOf('network', {}, { uplink: '../../secret' })).toMatchObject({
      source: 'unknown',
    });
  });
});

describe('disk I/O', () => {
  it('is configured or unknown: no kernel tells it', async () => {
    expect(await totalOf('disk_io', {})).toEqual({ total: 0, source: 'unknown' });
    const settings = { ...DEFAULT_HOST_SETTINGS, diskIoBytesPerS: 1_000_000_000 };
    const { totals } = await realMachine({ dataDir, root, settings })();
    expect(totals.disk_io).toEqual({ total: 1_000_000_000, source: 'configured' });
  });
});

describe('the disk', () => {
  const MIB = 1024 * 1024;

  it('offers what is free and what VM disks take, and no other files', async () => {
    const { freeBytes, sizeBytes, offeredBytes, isLimited } = await measureDisk(dataDir, null);
    expect(isLimited).toBe(false);
    expect(offeredBytes).toBeLessThanOrEqual(freeBytes);
    expect(offeredBytes).toBeGreaterThan(freeBytes * 0.9);
    expect(sizeBytes).toBeGreaterThan(freeBytes);
  });

  it('is counted in fragments, which FUSE and virtiofs have other than blocks; asked once', async () => {
    const { blocks, bsize } = await statfs(dataDir);
    expect((await measureDisk(root, null)).sizeBytes).toBe(blocks * bsize);
    let asked = 0;
    const ask = () => {
      asked += 1;
      return Promise.resolve('512\n');
    };
    expect((await measureDisk(dataDir, null, ask)).sizeBytes).toBe(blocks * 512);
    expect((await measureDisk(dataDir, null, ask)).sizeBytes).toBe(blocks * 512);
    expect(asked).toBe(1);
  });

  it.each(['', 'stat: not there', '0'])('is counted in blocks where stat says %j', async (said) => {
    const { blocks, bsize } = await statfs(dataDir);
    const { sizeBytes } = await measureDisk(dataDir, null, () => Promise.resolve(said));
    expect(sizeBytes).toBe(blocks * bsize);
  });

  it('tells images, cache, volumes and VM disks apart, by what they really take', async () => {
    const full = Buffer.alloc(MIB, 1);
    for (const [folder, copies] of [
      ['images', 1],
      ['cache', 2],
      ['volumes', 3],
      ['disks', 4],
      ['vms', 5],
    ] as const) {
      await mkdir(join(dataDir, folder, 'below'), { recursive: true });
      for (let copy = 0; copy < copies; copy += 1) {
        await writeFile(join(dataDir, folder, 'below', copy.toString()), full);
      }
    }
    const { taken } = await measureDisk(dataDir, null);
    expect(taken.imagesBytes).toBeGreaterThanOrEqual(MIB);
    expect(taken.cacheBytes).toBeGreaterThanOrEqual(2 * MIB);
    expect(taken.volumesBytes).toBeGreaterThanOrEqual(3 * MIB);
    expect(taken.overlaysBytes).toBeGreaterThanOrEqual(4 * MIB);
    // Notes of VMs are no disks of theirs.
    expect(taken.overlaysBytes).toBeLessThan(5 * MIB);
  });

  it('keeps to the configured limit, of which images are a part, and never offers more than there is', async () => {
    await mkdir(join(dataDir, 'images'));
    await writeFile(join(dataDir, 'images', 'a'), Buffer.alloc(2 * MIB, 1));
    const limited = await measureDisk(dataDir, 10 * MIB);
    expect(limited.isLimited).toBe(true);
    expect(limited.offeredBytes).toBe(10 * MIB - limited.taken.imagesBytes);
    const boastful = await measureDisk(dataDir, Number.MAX_SAFE_INTEGER);
    expect(boastful.isLimited).toBe(false);
    expect(boastful.offeredBytes).toBeLessThan(boastful.sizeBytes);
    expect((await measureDisk(dataDir, MIB)).offeredBytes).toBe(0);
  });
});

describe('GPUs', () => {
  const pci = (
    address: string,
    files: Readonly<Record<string, string>>,
    links: Tree = {},
  ): Tree => {
    const folder = `sys/bus/pci/devices/${address}`;
    const under = (entries: Tree) =>
      Object.fromEntries(
        Object.entries(entries).map(([key, value]) => [`${folder}/${key}`, value]),
      );
    return under({ ...files, ...links });
  };
  const group = { iommu_group: { linkTo: '../../../kernel/iommu_groups/7' } };
  const card = { vendor: '0x10de\n', device: '0x26b9\n', class: '0x030200\n' };

  it('are not there where there are none, nor is the class', async () => {
    const { totals, gpu } = await measured({});
    expect(gpu).toBeNull();
    expect(totals.gpu).toBeUndefined();
  });

  it('are whole cards that no driver of the host holds, of any maker', async () => {
    const { totals, gpu } = await measured({
      ...pci('0000:01:00.0', card, { ...group, driver: { linkTo: '../drivers/vfio-pci' } }),
      ...pci('0000:01:00.1', { vendor: '0x10de\n', class: '0x040300\n' }, group),
      ...pci('0000:02:00.0', { ...card, vendor: '0x1002\n' }, group),
      ...pci('0000:03:00.0', card, { ...group, driver: { linkTo: '../drivers/nvidia' } }),
      // No IOMMU; a switch between cards; the screen of the host.
      ...pci('0000:04:00.0', card),
      ...pci('0000:05:00.0', { ...card, class: '0x068000\n' }, group),
      ...pci('0000:06:00.0', { ...card, class: '0x030000\n', boot_vga: '1\n' }, group),
    });
    expect(totals.gpu).toEqual({ total: 2, source: 'detected' });
    expect(gpu).toMatchObject({ mode: 'passthrough', slots: 2 });
    expect(gpu?.devices).toEqual([
      { name: 'NVIDIA 10de:26b9 at 0000:01:00.0', available: true },
      { name: 'AMD 1002:26b9 at 0000:02:00.0', available: true },
      { name: 'NVIDIA 10de:26b9 at 0000:03:00.0', available: false },
    ]);
  });

  it('are virtual ones where a card is split, with their kinds', async () => {
    const kind = (parent: string, type: string, name: string, left: number): Tree => {
      const folder = `sys/class/mdev_bus/${parent}/mdev_supported_types/${type}`;
      return {
        [`${folder}/name`]: `${name}\n`,
        [`${folder}/description`]: 'num_heads=4, framebuffer=1024M, max_instance=48\n',
        [`${folder}/available_instances`]: `${left.toString()}\n`,
      };
    };
    const made = '0b9ffb7e-7b0e-4b43-8a3c-6c6a5b0a4f1d';
    const { totals, gpu } = await measured({
      ...kind('0000:82:00.4', 'nvidia-1', 'NVIDIA L40S-1Q', 1),
      'sys/class/mdev_bus/0000:82:00.4/physfn': { linkTo: '../0000:82:00.0' },
      ...kind('0000:82:00.5', 'nvidia-1', 'NVIDIA L40S-1Q', 0),
      'sys/class/mdev_bus/0000:82:00.5/physfn': { linkTo: '../0000:82:00.0' },
      [`sys/class/mdev_bus/0000:82:00.5/${made}/mdev_type/name`]: 'NVIDIA L40S-1Q\n',
      // An older card, which makes several by itself.
      ...kind('0000:83:00.0', 'i915-4', 'i915-GVTg_V5_4', 3),
    });
    expect(totals.gpu).toEqual({ total: 5, source: 'detected' });
    expect(gpu?.profiles).toEqual([
      { name: 'L40S-1Q', framebufferMb: 1024, available: 1 },
      { name: 'i915-GVTg_V5_4', framebufferMb: 1024, available: 3 },
    ]);
  });
});

describe('a machine', () => {
  it('is read anew each time, and a shrink is told to the log', async () => {
    const lines: string[] = [];
    const log: Log = { ...silentLog, warn: (_text, fields) => lines.push(JSON.stringify(fields)) };
    const note = createShrinkWatch(log);
    await plant(root, PLAIN);
    const measure = realMachine({ dataDir, root });
    note((await measure()).totals);
    await writeFile(join(root, 'sys/devices/system/cpu/online'), '0-1\n');
    await writeFile(join(root, 'sys/class/net/eth0/speed'), '-1\n');
    const { totals } = await measure();
    note(totals);
    note(totals);
    expect(totals.cpu?.total).toBe(2);
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { resource: 'cpu', before: 4, now: 2, unit: 'vCPU', source: 'detected' },
      { resource: 'network', before: 1.25e9, now: 0, unit: 'bytes/s', source: 'unknown' },
    ]);
  });

  it('carries the factors and limits of its operator', async () => {
    const { totals } = await measured(
      {},
      { overcommit: { cpu: 2, gpu: 3 }, maxInAll: { memory: 4096 } },
    );
    expect(totals.cpu).toEqual({ total: 4, source: 'detected', overcommit: 2 });
    expect(totals.memory).toEqual({ total: 8192, source: 'detected', max: 4096 });
    expect(totals.gpu).toBeUndefined();
  });

  it('without /proc is asked by Node', async () => {
    const { totals, uptimeS } = await realMachine({ dataDir, root: join(root, 'nothing') })();
    expect(totals.cpu?.total).toBeGreaterThan(0);
    expect(totals.memory?.total).toBeGreaterThan(0);
    expect(totals.network).toEqual({ total: 0, source: 'unknown' });
    expect(uptimeS).toBeGreaterThan(0);
  });

  it('that the tests run on makes sense', async () => {
    const { totals } = await realMachine({ dataDir })();
    for (const { total } of Object.values(totals)) {
      expect(Number.isSafeInteger(total) && total >= 0).toBe(true);
    }
    expect(totals.cpu?.total).toBeGreaterThan(0);
  });
});

describe('what a VM uses', () => {
  const STAT =
    '42 (qemu) a) S 1 42 42 0 -1 4194560 1 0 0 0 250 150 0 0 20 0 5 0 777 1000 200 18446744073709551615\n';

  it('is named from the side of the VM', async () => {
    await plant(root, {
      'proc/42/stat': STAT,
      'proc/42/status': 'Name:\tqemu\nVmSize:\t  2048 kB\nVmRSS:\t   1024 kB\n',
      'proc/42/io': 'rchar: 9\nread_bytes: 4096\nwrite_bytes: 8192\n',
      'sys/class/net/tap7/statistics/rx_bytes': '755162459\n',
      'sys/class/net/tap7/statistics/tx_bytes': '94825\n',
    });
    expect(await readVmUse(root, { pid: 42, startTicks: 777, interfaceName: 'tap7' })).toEqual({
      cpuSeconds: 4,
      memoryBytes: 1_048_576,
      virtualMemoryBytes: 2_097_152,
      downloadBytes: 94_825,
      uploadBytes: 755_162_459,
      diskReadBytes: 4096,
      diskWrittenBytes: 8192,
    });
    expect(await readVmUse(root, { pid: 42, startTicks: 778, interfaceName: 'tap7' })).toBeNull();
    expect(await readVmUse(root, { pid: 43, interfaceName: null })).toBeNull();
  });

  it('is null where it cannot be read', async () => {
    await plant(root, { 'proc/42/stat': STAT });
    expect(await readVmUse(root, { pid: 42, interfaceName: '../x' })).toEqual({
      cpuSeconds: 4,
      memoryBytes: null,
      virtualMemoryBytes: null,
      downloadBytes: null,
      uploadBytes: null,
      diskReadBytes: null,
      diskWrittenBytes: null,
    });
  });

  it('is what this very process uses', async () => {
    const use = await readVmUse('/', { pid: process.pid, interfaceName: null });
    expect(use?.cpuSeconds).toBeGreaterThan(0);
    expect(use?.memoryBytes).toBeGreaterThan(1_000_000);
  });

  it('100,000 texts are readings that can be, or none', () => {
    const parts = fc.constantFrom('42', '(a)', ')', 'S', '-1', '0', '99999999999999999', 'x', ' ');
    const text = fc.oneof(
      fc.array(parts, { maxLength: 30 }).map((words) => words.join(' ')),
      fc.string({ maxLength: 50 }),
    );
    const isCount = (value: number) => Number.isSafeInteger(value) && value >= 0;
    fc.assert(
      fc.property(text, (value) => {
        const stat = parseStat(value);
        return (
          isCount(parseCount(value)) &&
          isCount(parseFramebufferMb(`framebuffer=${value}`)) &&
          (stat === null || (isCount(stat.ticks) && isCount(stat.startTicks)))
        );
      }),
      { numRuns: 100_000 },
    );
  });
});
