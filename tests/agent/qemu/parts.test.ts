/** The pure parts of the QEMU driver, as tables. */
import { describe, expect, it } from '@jest/globals';
import { bootSuspicion, guestHasSpoken } from '../../../src/agent/qemu/boot-watch.js';
import { canaryDisk } from '../../../src/agent/qemu/canary-guest.js';
import { restAfter, type Ending } from '../../../src/agent/qemu/ending.js';
import { launchCommand, vmUserOf, type Launch } from '../../../src/agent/qemu/launch.js';
import { parseProcessStat } from '../../../src/agent/qemu/process.js';

const QUIET: Ending = {
  wasWanted: false,
  shutdown: null,
  neverSpoke: false,
  isBroken: false,
  code: null,
  signal: null,
  hasLeftSockets: true,
};

describe('how a VM is after its process has ended', () => {
  it.each<[string, Partial<Ending>, string, string | null]>([
    ['it was ordered', { wasWanted: true, signal: 'SIGKILL' }, 'stopped', null],
    [
      'the guest powered itself off',
      { shutdown: { guest: true, reason: 'guest-shutdown' }, code: 0 },
      'stopped',
      'guest_shutdown',
    ],
    [
      'the guest panicked',
      { shutdown: { guest: true, reason: 'guest-panic' }, code: 0 },
      'failed',
      'guest_panicked',
    ],
    [
      'somebody on the host ended it in order',
      { shutdown: { guest: false, reason: 'host-signal' }, code: 0 },
      'stopped',
      'ended_on_host',
    ],
    ['it was killed', { signal: 'SIGKILL' }, 'failed', 'vm_died'],
    ['it crashed', { code: 1 }, 'failed', 'vm_died'],
    ['it could not start', { neverSpoke: true, code: 1 }, 'failed', 'start_failed'],
    ['the hypervisor gave it up', { isBroken: true, code: 0 }, 'failed', 'vm_broken'],
    ['nobody looked, and it left its sockets', {}, 'failed', 'vm_died'],
    ['nobody looked, and it cleared up', { hasLeftSockets: false }, 'stopped', 'ended_unseen'],
  ])('%s', (_what, ending, state, code) => {
    const rest = restAfter({ ...QUIET, ...ending });
    expect([rest.state, rest.reason?.code ?? null]).toEqual([state, code]);
  });
});

describe('a guest that may hang', () => {
  const FIRMWARE =
    '\u001bc\u001b[?7l\u001b[2J\u001b[0mSeaBIOS (version 1.16.2-debian-1.16.2-1)\r\nBooting from Hard Disk...\r\n';

  it.each<[string, boolean]>([
    ['', false],
    [FIRMWARE, false],
    [`${FIRMWARE}Boot failed: not a bootable disk\r\n\r\nNo bootable device.\r\n`, false],
    [`${FIRMWARE}[    0.000000] Linux version 6.1\r\n`, true],
    ['login: ', true],
  ])('has spoken or not: %j', (console, hasSpoken) => {
    expect(guestHasSpoken(console)).toBe(hasSpoken);
  });

  it.each([
    [{ ageMs: 59_999, cpuShare: 1, console: FIRMWARE }, false],
    [{ ageMs: 60_000, cpuShare: 1, console: FIRMWARE }, true],
    [{ ageMs: 60_000, cpuShare: 0.5, console: FIRMWARE }, false],
    [{ ageMs: 600_000, cpuShare: 4, console: `${FIRMWARE}hello` }, false],
  ])('is suspected or not: %j', (signs, isSuspected) => {
    expect(bootSuspicion(signs)?.code ?? null).toBe(isSuspected ? 'boot_hangs' : null);
  });
});

describe('a /proc/<pid>/stat', () => {
  const rest = `S 1 2 3 0 -1 4 5 6 7 8 40 2 0 0 20 0 1 0 9876543 ${'0 '.repeat(30)}`;

  it.each(['qemu-system-x86', 'a b) R 1', ')))', 'a (b'])('of a process called %s', (name) => {
    expect(parseProcessStat(`77 (${name}) ${rest}`)).toEqual({
      state: 'S',
      cpuTicks: 42,
      startTicks: 9_876_543,
    });
  });

  it.each(['', '77', '77 (x) S 1 2', 'S'.repeat(1_000), '77 (x) SS 1 2 3'])(
    'that is none: %s',
    (text) => {
      expect(parseProcessStat(text)).toBeNull();
    },
  );
});

describe('the command that starts a VM', () => {
  const LAUNCH: Launch = {
    program: '/usr/bin/qemu-system-x86_64',
    args: ['-nodefaults'],
    runDir: '/run',
    files: [],
    log: '/log',
    groupFiles: [],
    user: null,
    kvmGroup: null,
    tunNode: null,
  };

  it('gives up all rights before QEMU begins', () => {
    const words = launchCommand({
      ...LAUNCH,
      user: { uid: 5, gid: 6 },
      groupFiles: ['/a b', '/c'],
    });
    expect(words.slice(3)).toEqual([
      ...['berth-vm', '2', '/a b', '/c', 'setpriv', '--reuid=5', '--regid=6', '--clear-groups'],
      ...['--no-new-privs', '--inh-caps=-all', '--bounding-set=-all', '--'],
      ...['prlimit', '--core=0', '--nofile=1024', '--', LAUNCH.program, '-nodefaults'],
    ]);
    expect(launchCommand({ ...LAUNCH, user: { uid: 5, gid: 6 }, kvmGroup: 7 })).toContain(
      '--groups=7',
    );
    expect(launchCommand(LAUNCH)).toContain('--ambient-caps=-all');
  });

  it('runs no VM as root', async () => {
    if (process.getuid?.() === 0) {
      await expect(vmUserOf('root')).rejects.toThrow('must not be root');
      await expect(vmUserOf('no-such-user')).rejects.toThrow('no-such-user');
      expect((await vmUserOf('nobody'))?.uid).toBeGreaterThan(0);
    } else expect(await vmUserOf('root')).toBeNull();
  });
});

describe('the guest of the trial', () => {
  it('is a boot sector: its mark is in place and its parts do not overlap', () => {
    const disk = canaryDisk();
    expect(disk.readUInt16LE(510)).toBe(0xaa55);
    expect(disk.subarray(0xc9, 0xcf).toString('hex')).toBe('eee2f1f4ebfd');
    expect(disk.subarray(0xf0, 0xf6).toString('hex')).toBe('1f00d07c0000');
    expect(disk.subarray(0xf6, 0x109).toString()).toBe('berth canary: alive');
  });
});
