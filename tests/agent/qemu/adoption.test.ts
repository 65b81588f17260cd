/** VMs that are found running, by a driver that was opened anew, and do not behave. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat, truncate } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { QMP_SOCKET } from '../../../src/agent/qemu/arguments.js';
import { CONSOLE_BYTES_KEPT, CONSOLE_BYTES_MAX } from '../../../src/agent/qemu/console-log.js';
import { findProcess } from '../../../src/agent/qemu/process.js';
import { makeVmDirectory, vmDirectoryOf } from '../../../src/agent/qemu/vm-directory.js';
import type { VmRecord } from '../../../src/agent/vm-store.js';
import { systemClock } from '../../../src/std/clock.js';
import { QemuFixture, vmRecord } from './qemu-fixture.js';

const SLOW_MS = 600_000;

let fixture: QemuFixture;
let vms: VmRecord[];
beforeEach(async () => {
  fixture = await QemuFixture.start();
  vms = [];
}, SLOW_MS);
afterEach(() => fixture.stop(vms), SLOW_MS);

it(
  'are running for a reason while QEMU says nothing, and without one once it does',
  async () => {
    const vm = vmRecord('mute');
    vms.push(vm);
    await fixture.boot(vm);
    const pid = await fixture.pidOf('mute');
    await fixture.driver.close();
    process.kill(pid, 'SIGSTOP');
    try {
      const driver = await fixture.open();
      expect(await driver.resume({ ...vm, state: 'running' })).toMatchObject({
        state: 'running',
        reason: { code: 'qemu_silent' },
      });
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await fixture.until(vm, ({ state, reason }) => state === 'running' && reason === null);
    // Watched like any other: neither of its logs grows without end.
    const { consoleLog, qemuLog } = vmDirectoryOf(fixture.root, vm.id);
    for (const log of [consoleLog, qemuLog]) await truncate(log, CONSOLE_BYTES_MAX + 1);
    for (const log of [consoleLog, qemuLog]) {
      await fixture.until(vm, async () => (await stat(log)).size <= CONSOLE_BYTES_KEPT);
    }
    expect(fixture.changes).toContain('mute');
  },
  SLOW_MS,
);

it(
  'are let go of when QEMU says that it runs another VM',
  async () => {
    const vm = vmRecord('changeling');
    const directory = vmDirectoryOf(fixture.root, vm.id);
    await makeVmDirectory(directory, null);
    const other = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write('{"QMP":{}}\n');
      createInterface({ input: socket }).on('line', (line) => {
        const { id } = JSON.parse(line) as { readonly id: number };
        socket.write(`${JSON.stringify({ return: { UUID: 'another' }, id })}\n`);
      });
    });
    await once(other.listen(join(directory.runDir, QMP_SOCKET)), 'listening');
    const args = ['-machine', 'none', '-nodefaults', '-display', 'none', '-uuid', directory.key];
    const qemu = spawn(fixture.program, args, { cwd: directory.runDir, stdio: 'ignore' });
    try {
      while ((await findProcess(directory, 'a-boot')) === null) await systemClock.sleep(20);
      await fixture.driver.resume({ ...vm, state: 'running' });
      expect(await fixture.until(vm, ({ state }) => state !== 'running')).toMatchObject({
        state: 'failed',
        reason: { code: 'vm_died' },
      });
      expect([qemu.exitCode, qemu.signalCode]).toEqual([null, null]);
      expect(fixture.driver.processOf?.(vm.id)).toBeNull();
    } finally {
      qemu.kill('SIGKILL');
      other.close();
    }
  },
  SLOW_MS,
);
