/**
 * The demo guest, built and booted. Method: the real packages, a plain QEMU without acceleration, no
 * part of Berth between; what the console says is read from a file, as the agent does.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { DEMO_IMAGE, ensureDemoImage } from '../../../src/agent/images/demo-image.js';
import { openVmDisks } from '../../../src/agent/images/vm-disks.js';
import type { VmDisk } from '../../../src/agent/vm-parts.js';
import { silentLog } from '../../support/log.js';
import { until } from '../agent-fixture.js';
import { ImageFiles, MIB } from './image-files.js';

/** Some seconds on a machine of its own, far more on one that is shared. */
const BOOT_LIMIT_MS = 420_000;

let files: ImageFiles;
let qemu: ChildProcess | undefined;
beforeAll(async () => {
  files = await ImageFiles.make();
});
afterAll(async () => {
  if (qemu?.exitCode === null) {
    qemu.kill('SIGKILL');
    await once(qemu, 'exit');
  }
  await files.remove();
});

const driveOf = ({ path, format, readOnly }: VmDisk) => [
  '-drive',
  `file=${path},format=${format},if=virtio${readOnly ? ',readonly=on' : ''}`,
];

it(
  'boots from an overlay and its seed, tells what it is, and powers off by ACPI',
  async () => {
    const images = await files.store();
    const image = await ensureDemoImage(images, files.directory);
    expect(image).toMatchObject({ name: DEMO_IMAGE, format: 'raw' });
    expect(image.bytes).toBeLessThanOrEqual(48 * MIB);
    // It is there by now.
    expect(await ensureDemoImage(images, '/nowhere')).toEqual(image);

    const disks = await openVmDisks({ directory: files.path('disks'), images, log: silentLog });
    const drives = await disks.prepare({
      id: 'vm-1',
      assignment: 1,
      name: 'web-1',
      resources: { cpu: 2, memory: 128, disk: 64 },
      image: DEMO_IMAGE,
      users: [],
      state: 'creating',
      reason: null,
      stateSince: 0,
      removing: false,
    });
    const console = files.path('console.log');
    const monitor = files.path('mon');
    qemu = spawn(
      'qemu-system-x86_64',
      [
        ...['-nodefaults', '-no-user-config', '-display', 'none', '-machine', 'q35'],
        ...[
          '-accel',
          'tcg',
          '-cpu',
          'max',
          '-m',
          '128M',
          '-smp',
          '2',
          '-serial',
          `file:${console}`,
        ],
        ...['-monitor', `unix:${monitor},server=on,wait=off`, ...drives.flatMap(driveOf)],
      ],
      { stdio: 'ignore' },
    );
    const ended = once(qemu, 'exit');
    const said = () => readFile(console, 'latin1').catch(() => '');
    const text = await until(said, (now) => now.includes('ready'));
    expect(text).toMatch(/berth guest web-1: cpus=2 memoryMib=\d+ diskMib=64/);
    expect((await stat(image.path)).size).toBe(image.bytes);

    // A press that comes before the guest listens is lost, so it is pressed again.
    const press = setInterval(() => {
      const button = createConnection(monitor);
      button.on('error', () => undefined);
      button.end('system_powerdown\n');
    }, 2_000);
    expect(await ended).toEqual([0, null]);
    clearInterval(press);
    expect(await said()).toContain('berth guest web-1: power off');
  },
  BOOT_LIMIT_MS,
);
