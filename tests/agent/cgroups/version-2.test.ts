/** Control groups of version 2, on a kernel that is pretended, as a service and as a plain process. */
import { describe, expect, it } from '@jest/globals';
import { ownGroupIn, mountsIn, parentGroupOf } from '../../../src/agent/cgroups/hierarchies.js';
import { memoryLimitMib, settingsFor } from '../../../src/agent/cgroups/limits.js';
import { openVmGroups } from '../../../src/agent/cgroups/vm-groups.js';
import { silentLog } from '../../support/log.js';
import { CONTROLLERS, MOUNT, PretendKernel } from './pretend-kernel.js';

const open = (files: PretendKernel) =>
  openVmGroups({ tag: 'a1b2c3', files, kill: (pid) => killIn(files, pid), log: silentLog });

function killIn(files: PretendKernel, pid: number): void {
  for (const group of files.groups.values()) group.pids.delete(pid.toString());
}

const SERVICE = '/system.slice/berth-agent.service';

describe('a service with a group of its own', () => {
  it('gives each VM a group with limits beside that of the agent', async () => {
    const kernel = new PretendKernel();
    kernel.runIn(`${SERVICE}/agent`, '77', '78');
    const groups = await open(kernel);
    expect(groups.notEnforced).toEqual([]);
    const own = `${MOUNT}${SERVICE}`;
    expect(await kernel.read(`${own}/agent/cgroup.procs`)).toBe('77\n78\n');
    const vm = `${own}/vms/vm-a1b2c3-web`;
    expect(await groups.make('web', { cpu: 2, memoryMib: 1024 })).toEqual([`${vm}/cgroup.procs`]);
    expect(Object.fromEntries(kernel.groups.get(vm)?.values ?? [])).toEqual({
      'cpu.weight': '200',
      'cpu.max': '200000 100000',
      'memory.max': (1296 * 1024 * 1024).toString(),
      'pids.max': '130',
    });
  });

  // As systemd before 254 starts it, or a service of another name in which others work, too.
  it('takes a group at the top when it was started in its own, and moves nobody', async () => {
    const kernel = new PretendKernel();
    kernel.runIn(SERVICE, '77', '78');
    const groups = await open(kernel);
    expect(groups.notEnforced).toEqual([]);
    const [procs = ''] = await groups.make('web', { cpu: 1, memoryMib: 64 });
    expect(procs).toBe(`${MOUNT}/berth/vms/vm-a1b2c3-web/cgroup.procs`);
    expect(await kernel.read(`${MOUNT}${SERVICE}/cgroup.procs`)).toBe('77\n78\n');
  });

  it.each([SERVICE, `${SERVICE}/agent`])(
    'can be started again in %s while VMs are alive',
    async (where) => {
      const kernel = new PretendKernel();
      kernel.runIn(where, '77');
      const [procs = ''] = await (await open(kernel)).make('web', { cpu: 1, memoryMib: 64 });
      await kernel.write(procs, '100');
      killIn(kernel, 77);
      await kernel.write(`${MOUNT}${where}/cgroup.procs`, '90');
      const groups = await open(kernel);
      expect(groups.notEnforced).toEqual([]);
      expect(await groups.make('web', { cpu: 1, memoryMib: 64 })).toEqual([procs]);
    },
  );

  it('finds its place again after a restart', async () => {
    const kernel = new PretendKernel();
    kernel.runIn(`${SERVICE}/agent`, '80');
    await kernel.make(`${MOUNT}${SERVICE}/vms`);
    const groups = await open(kernel);
    expect(groups.notEnforced).toEqual([]);
    expect(await groups.make('a', { cpu: 1, memoryMib: 64 })).toEqual([
      `${MOUNT}${SERVICE}/vms/vm-a1b2c3-a/cgroup.procs`,
    ]);
  });

  it('says what it was not given', async () => {
    const kernel = new PretendKernel();
    kernel.runIn(`${SERVICE}/agent`, '77');
    const own = kernel.groups.get(`${MOUNT}${SERVICE}`)!;
    kernel.groups.set(`${MOUNT}${SERVICE}`, {
      ...own,
      controllers: ['memory', 'pids'],
      handedDown: new Set(),
    });
    const groups = await open(kernel);
    expect(groups.notEnforced).toEqual([
      `CPU limits of VMs are not enforced (the cpu controller is not given to ${MOUNT}${SERVICE}).`,
    ]);
    const [procs = ''] = await groups.make('a', { cpu: 1, memoryMib: 64 });
    expect([...kernel.groups.get(procs.replace('/cgroup.procs', ''))!.values.keys()]).toEqual([
      'memory.max',
      'pids.max',
    ]);
  });
});

describe('a process that no service manager runs', () => {
  it.each(['/', '/user.slice/session-1.scope'])('in %s takes a group at the top', async (own) => {
    const kernel = new PretendKernel();
    kernel.runIn(own, '9');
    const groups = await open(kernel);
    expect(groups.notEnforced).toEqual([]);
    expect(await groups.make('a', { cpu: 1, memoryMib: 64 })).toEqual([
      `${MOUNT}/berth/vms/vm-a1b2c3-a/cgroup.procs`,
    ]);
  });

  it('has no limits where the kernel has no controllers, and says so', async () => {
    const kernel = new PretendKernel([]);
    kernel.runIn('/', '9');
    const groups = await open(kernel);
    expect(groups.notEnforced).toEqual([
      'CPU limits of VMs are not enforced (the kernel shows no cpu controller).',
      'Memory limits of VMs are not enforced on the host (the kernel shows no memory controller).',
      'The number of processes of a VM is not limited (the kernel shows no pids controller).',
    ]);
    expect(await groups.make('a', { cpu: 1, memoryMib: 64 })).toEqual([]);
    await groups.remove('a');
    await groups.sweep(new Set());
  });
});

describe('groups of VMs', () => {
  it('go with what is left in them, again and again', async () => {
    const kernel = new PretendKernel();
    kernel.runIn('/', '9');
    const groups = await open(kernel);
    const [procs = ''] = await groups.make('a', { cpu: 1, memoryMib: 64 });
    await kernel.write(procs, '100');
    await groups.remove('a');
    await groups.remove('a');
    expect([...kernel.groups.keys()].filter((path) => path.includes('vm-'))).toEqual([]);
  });

  it('are swept away when no VM has them, unless something runs in them', async () => {
    const kernel = new PretendKernel();
    kernel.runIn('/', '9');
    const groups = await open(kernel);
    for (const vmId of ['kept', 'left', 'busy']) {
      const [procs = ''] = await groups.make(vmId, { cpu: 1, memoryMib: 64 });
      if (vmId === 'busy') await kernel.write(procs, '100');
    }
    const others = await openVmGroups({ tag: 'ffffff', files: kernel, log: silentLog });
    await others.make('theirs', { cpu: 1, memoryMib: 64 });
    await groups.sweep(new Set(['kept']));
    const left = [...kernel.groups.keys()].flatMap((path) => /vms\/vm-(.*)$/.exec(path)?.[1] ?? []);
    expect(left.sort()).toEqual(['a1b2c3-busy', 'a1b2c3-kept', 'ffffff-theirs']);
  });
});

describe('what the kernel says of its groups', () => {
  it('is read from mountinfo, whichever versions are mounted where', () => {
    const text = [
      '25 22 0:23 / /sys/fs/cgroup ro shared:5 - tmpfs tmpfs ro,mode=755',
      '26 25 0:24 / /sys/fs/cgroup/cpu,cpuacct rw shared:6 - cgroup cgroup rw,cpu,cpuacct',
      '27 25 0:25 /docker/ab\\040c /mnt/a\\040b rw - cgroup cgroup rw,memory',
      '28 25 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
      'nonsense',
      '',
    ].join('\n');
    expect(mountsIn(text)).toEqual([
      {
        version: 1,
        path: '/sys/fs/cgroup/cpu,cpuacct',
        root: '/',
        controllers: ['rw', 'cpu', 'cpuacct'],
      },
      { version: 1, path: '/mnt/a b', root: '/docker/ab c', controllers: ['rw', 'memory'] },
      { version: 2, path: '/sys/fs/cgroup/unified', root: '/', controllers: [] },
    ]);
  });

  it('names the own group, and the one for VMs', () => {
    expect(ownGroupIn('12:pids:/a\n0::/system.slice/x.service\n')).toBe('/system.slice/x.service');
    expect(ownGroupIn('12:pids:/a\n')).toBeNull();
    expect(parentGroupOf('/a.slice/b.service/agent')).toEqual({
      path: '/a.slice/b.service',
      isDelegated: true,
    });
    expect(parentGroupOf('/user.slice/s.scope')).toEqual({ path: '/berth', isDelegated: false });
  });
});

describe('limits', () => {
  it.each([
    [64, 321],
    [1024, 1296],
    [65_536, 66_816],
  ])('of a guest of %d MiB are %d MiB', (guest, limit) => {
    expect(memoryLimitMib(guest)).toBe(limit);
  });

  it('keep to what the kernel takes, for the smallest VM and the largest', () => {
    for (const cpu of [0, 0.5, 1, 512]) {
      const limits = { cpu, memoryMib: 1 };
      const values = CONTROLLERS.flatMap((name) =>
        ([1, 2] as const).flatMap((version) => settingsFor(version, name as 'cpu', limits)),
      );
      for (const { value } of values) expect(value).toMatch(/^[1-9]\d*( 100000)?$/);
    }
    expect(settingsFor(2, 'cpu', { cpu: 512, memoryMib: 1 })[0]).toEqual({
      file: 'cpu.weight',
      value: '10000',
    });
    expect(settingsFor(1, 'cpu', { cpu: 512, memoryMib: 1 })[0]).toEqual({
      file: 'cpu.shares',
      value: '262144',
    });
  });
});
