/** The QEMU driver with real QEMU processes. The guests are of one sector; see test-guest.ts. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { bootsWith } from '../../../src/agent/qemu/accelerator.js';
import { CONSOLE_BYTES_MAX, shortenLog } from '../../../src/agent/qemu/console-log.js';
import { vmUserOf } from '../../../src/agent/qemu/launch.js';
import { noteProcess, processStat } from '../../../src/agent/qemu/process.js';
import { openQmp } from '../../../src/agent/qemu/qmp.js';
import { makeVmDirectory, vmDirectoryOf } from '../../../src/agent/qemu/vm-directory.js';
import type { VmRecord } from '../../../src/agent/vm-store.js';
import { readBootId } from '../../../src/agent/identity.js';
import { systemClock } from '../../../src/std/clock.js';
import { silentLog } from '../../support/log.js';
import { QemuFixture, vmRecord } from './qemu-fixture.js';

const SLOW_MS = 600_000;

describe('the QEMU driver', () => {
  let fixture: QemuFixture;
  let vms: VmRecord[];
  beforeEach(async () => {
    fixture = await QemuFixture.start();
    vms = [];
  }, SLOW_MS);
  afterEach(() => fixture.stop(vms), SLOW_MS);

  const vmOf = (id: string, image: string | null = 'polite'): VmRecord => {
    const vm = vmRecord(id, image);
    vms.push(vm);
    return vm;
  };

  it(
    'boots, powers off by ACPI, starts again and removes four VMs at once, with nothing left',
    async () => {
      const four = ['one', 'Two', 'two', '0b9ffb7e-7b0e-4b43-8a3c-6c6a5b0a4f1d'].map((id) =>
        vmOf(id),
      );
      await Promise.all(four.map((vm) => fixture.boot(vm)));
      for (const vm of four) {
        expect(await fixture.driver.inspect(vm)).toMatchObject({ state: 'running', reason: null });
        expect(await fixture.processesOf(vm.id)).toHaveLength(1);
      }
      // Rights are gone, whoever we are.
      const status = await readFile(
        `/proc/${(await fixture.pidOf('one')).toString()}/status`,
        'utf8',
      );
      expect(status).toMatch(/^CapEff:\t0+$/m);
      expect(status).toMatch(/^NoNewPrivs:\t1$/m);
      expect(status).toMatch(/^Seccomp:\t2$/m);
      expect(status).not.toMatch(/^Uid:\t0/m);

      for (const vm of four)
        expect(await fixture.driver.stop(vm)).toMatchObject({ state: 'stopping' });
      for (const vm of four) {
        expect(await fixture.until(vm, ({ state }) => state !== 'stopping')).toMatchObject({
          state: 'stopped',
          reason: null,
        });
        expect(await fixture.processesOf(vm.id)).toEqual([]);
      }
      expect(new Set(fixture.changes)).toEqual(new Set(four.map(({ id }) => id)));

      const [first] = four as [VmRecord];
      expect(await fixture.driver.start(first)).toMatchObject({ state: 'starting' });
      await fixture.until(first, ({ state }) => state === 'running');
      await Promise.all(four.map((vm) => fixture.driver.remove(vm)));
      for (const vm of four) expect(await fixture.processesOf(vm.id)).toEqual([]);
      expect(await fixture.leftovers()).toEqual([]);
    },
    SLOW_MS,
  );

  it(
    'sees at once that a process was killed, that a guest went off, and that a guest stands still',
    async () => {
      const [killed, off] = [vmOf('killed'), vmOf('off')];
      await Promise.all([fixture.boot(killed), fixture.boot(off)]);
      process.kill(await fixture.pidOf('killed'), 'SIGKILL');
      const died = await fixture.until(killed, ({ state }) => state !== 'running');
      expect(died).toMatchObject({ state: 'failed', reason: { code: 'vm_died' } });
      expect(died.reason?.detail).toContain('SIGKILL');
      expect(fixture.changes).toContain('killed');

      // Somebody beside the agent uses the second socket.
      const qmp = await openQmp(vmDirectoryOf(fixture.root, 'off').runDir, 'qmp-rescue.sock', {
        limitMs: 20_000,
        onEvent: () => undefined,
      });
      await qmp.execute('stop');
      await fixture.until(off, ({ reason }) => reason?.code === 'guest_stands_still');
      await qmp.execute('cont');
      await fixture.until(off, ({ state, reason }) => state === 'running' && reason === null);
      await qmp.execute('system_powerdown');
      const rest = await fixture.until(off, ({ state }) => state !== 'running');
      expect(rest).toMatchObject({ state: 'stopped', reason: { code: 'guest_shutdown' } });
    },
    SLOW_MS,
  );

  it(
    'finds its VMs again when it is opened anew, and knows what became of those that ended',
    async () => {
      const [stays, dies, ends] = [vmOf('stays'), vmOf('dies'), vmOf('ends')];
      await Promise.all([stays, dies, ends].map((vm) => fixture.boot(vm)));
      const pid = await fixture.pidOf('stays');
      await fixture.driver.close();
      process.kill(await fixture.pidOf('dies'), 'SIGKILL');
      const qmp = await openQmp(vmDirectoryOf(fixture.root, 'ends').runDir, 'qmp.sock', {
        limitMs: 20_000,
        onEvent: () => undefined,
      });
      await qmp.execute('quit').catch(() => undefined);
      await qmp.closed;
      await waitForEnd(await fixture.pidOf('dies'));
      await waitForEnd(await fixture.pidOf('ends'));

      const driver = await fixture.open();
      const running = (vm: VmRecord): VmRecord => ({ ...vm, state: 'running' });
      expect(await driver.resume(running(stays))).toMatchObject({ state: 'running' });
      await fixture.until(stays, ({ reason }) => reason === null);
      expect(await driver.resume(running(dies))).toMatchObject({
        state: 'failed',
        reason: { code: 'vm_died' },
      });
      expect(await driver.resume(running(ends))).toMatchObject({
        state: 'stopped',
        reason: { code: 'ended_unseen' },
      });
      expect(await fixture.pidOf('stays')).toBe(pid);
      await driver.settle(new Set(['stays', 'dies', 'ends']));
      expect(await fixture.processesOf('stays')).toHaveLength(1);

      // An adopted process is watched as well as a child.
      process.kill(pid, 'SIGKILL');
      expect(await fixture.until(stays, ({ state }) => state !== 'running')).toMatchObject({
        state: 'failed',
      });
    },
    SLOW_MS,
  );

  it(
    'finds a process that its agent had no time to note, and takes no stranger for its own',
    async () => {
      const [vm, none] = [vmOf('unnoted'), vmOf('none')];
      await fixture.boot(vm);
      const pid = await fixture.pidOf('unnoted');
      await fixture.driver.close();
      const directory = vmDirectoryOf(fixture.root, 'unnoted');
      const strange = vmDirectoryOf(fixture.root, 'none');
      await makeVmDirectory(strange, null);
      // One has the noted number and time, the other the name and the arguments.
      const sleeper = spawn('sleep', ['600']);
      const actor = spawn(
        process.execPath,
        ['-e', 'setTimeout(() => {}, 600000)', '--', '-uuid', strange.key],
        { argv0: 'qemu-system-x86_64', stdio: 'ignore' },
      );
      try {
        const sleeperPid = sleeper.pid ?? 0;
        const startTicks = (await processStat(sleeperPid))?.startTicks ?? -1;
        const bootId = await readBootId();
        await noteProcess(directory, 'unnoted', { pid: sleeperPid, startTicks }, bootId);
        await noteProcess(strange, 'none', { pid: sleeperPid, startTicks }, bootId);

        const driver = await fixture.open();
        expect(await driver.resume({ ...vm, state: 'starting' })).toMatchObject({
          state: 'running',
        });
        expect(await driver.resume({ ...none, state: 'running' })).toMatchObject({
          state: expect.stringMatching(/stopped|failed/) as unknown,
        });
        await Promise.all([driver.remove(vm), driver.remove(none)]);
        expect(await processStat(pid)).toBeNull();
        expect([sleeper.exitCode, sleeper.signalCode]).toEqual([null, null]);
        expect([actor.exitCode, actor.signalCode]).toEqual([null, null]);
      } finally {
        sleeper.kill('SIGKILL');
        actor.kill('SIGKILL');
        await Promise.all(
          [once(sleeper, 'exit'), once(actor, 'exit')].map((end) => end.catch(() => undefined)),
        );
      }
    },
    SLOW_MS,
  );

  it(
    'says why a VM cannot start, and starts it when that is over',
    async () => {
      await expect(fixture.driver.create(vmOf('imageless', 'no-such-image'))).rejects.toMatchObject(
        {
          message: expect.stringContaining('no-such-image') as unknown,
        },
      );
      const huge = { ...vmOf('huge'), resources: { cpu: 1_000, memory: 32, disk: 16 } };
      await fixture.driver.create(huge);
      const refused = await fixture.until(huge, ({ state }) => state === 'failed');
      expect(refused.reason?.detail).toBe(
        'QEMU runs no such VM: cpu is not a whole number from 1 to 255.',
      );
      const vm = vmOf('locked');
      await fixture.boot(vm);
      await fixture.driver.stop(vm);
      await fixture.until(vm, ({ state }) => state === 'stopped');
      // A program in the place of QEMU that fails.
      const wrong = join(fixture.dir, 'qemu-system-x86_64');
      await writeFile(wrong, '#!/bin/sh\ncase "$1" in --version) echo 1;; *) exit 3;; esac\n');
      await chmod(wrong, 0o755);
      await chmod(fixture.dir, 0o755);
      await fixture.driver.close();
      const driver = await fixture.open({ program: wrong });
      expect(driver.admits()).toBe(false);
      await driver.start(vm);
      const failed = await fixture.until(vm, ({ state }) => state === 'failed');
      expect(failed.reason).toEqual({
        code: 'start_failed',
        detail: 'QEMU could not start the VM (exit code 3).',
      });
      await driver.close();
      await fixture.open();
      await fixture.driver.start({ ...vm, state: 'failed' });
      await fixture.until(vm, ({ state }) => state === 'running');
    },
    SLOW_MS,
  );
});

describe('the QEMU driver, when a guest does not go off', () => {
  it(
    'ends it after the limit, and boots it anew if it was told so meanwhile',
    async () => {
      const fixture = await QemuFixture.start(1_000);
      const vm = vmRecord('deaf', 'spinning');
      try {
        await fixture.driver.create(vm);
        await fixture.until(vm, ({ state }) => state === 'running');
        const first = await fixture.pidOf('deaf');
        expect(await fixture.driver.stop(vm)).toMatchObject({ state: 'stopping' });
        expect(await fixture.driver.start(vm)).toMatchObject({ state: 'stopping' });
        await fixture.until(vm, ({ state }) => state === 'running');
        const second = await fixture.pidOf('deaf');
        expect(second).not.toBe(first);
        await fixture.driver.stop(vm);
        expect(await fixture.until(vm, ({ state }) => state !== 'stopping')).toMatchObject({
          state: 'stopped',
        });
        expect(await processStat(second)).toBeNull();
      } finally {
        await fixture.stop([vm]);
      }
    },
    SLOW_MS,
  );
});

describe('the QEMU driver, when a VM is stopped by force', () => {
  it(
    'does not ask the guest, and waits no longer for one that was asked or has yet to start',
    async () => {
      const fixture = await QemuFixture.start(SLOW_MS);
      const vm = vmRecord('deaf', 'spinning');
      const force = () => fixture.driver.stop(vm, { force: true });
      const offFrom = async (pid: number) => {
        const seen = await fixture.until(vm, ({ state }) => state !== 'stopping');
        expect(seen).toMatchObject({ state: 'stopped', reason: null });
        expect(await processStat(pid)).toBeNull();
        expect(await fixture.processesOf('deaf')).toEqual([]);
      };
      const started = async () => {
        await fixture.driver.start(vm);
        await fixture.until(vm, ({ state }) => state === 'running');
        return fixture.pidOf('deaf');
      };
      try {
        await fixture.driver.create(vm);
        await fixture.until(vm, ({ state }) => state === 'running');
        const asked = await fixture.pidOf('deaf');
        expect(await fixture.driver.stop(vm)).toMatchObject({ state: 'stopping' });
        // It was to start again once it is off; the force takes that back.
        await fixture.driver.start(vm);
        expect(await force()).toMatchObject({ state: 'stopping' });
        expect(await force()).toMatchObject({ state: 'stopping' });
        await offFrom(asked);
        expect(await force()).toMatchObject({ state: 'stopped' });

        const unasked = await started();
        await force();
        await offFrom(unasked);

        // A QEMU that hears nothing any more is killed.
        const frozen = await started();
        process.kill(frozen, 'SIGSTOP');
        await force();
        await offFrom(frozen);

        // Before its process is there, there is nothing to end; the wish is kept.
        await fixture.driver.start(vm);
        await force();
        expect(await fixture.driver.stop(vm)).toMatchObject({ state: 'stopping' });
        await fixture.until(vm, ({ state }) => state === 'stopped');
        expect(await fixture.processesOf('deaf')).toEqual([]);
        await started();
      } finally {
        await fixture.stop([vm]);
      }
    },
    SLOW_MS,
  );
});

describe('what stands around a VM', () => {
  let fixture: QemuFixture;
  beforeEach(async () => {
    fixture = await QemuFixture.start();
  }, SLOW_MS);
  afterEach(() => fixture.stop([]), SLOW_MS);

  it(
    'is tried once per start of the machine: an accelerator is believed when a guest got through',
    async () => {
      expect(fixture.driver.accelerator).toMatch(/^(kvm|tcg)$/);
      const note = join(fixture.root, 'accelerator.json');
      const { mtimeMs } = await stat(note);
      await fixture.open();
      expect((await stat(note)).mtimeMs).toBe(mtimeMs);
      // A QEMU that runs and whose guest never gets anywhere is no accelerator.
      const mute = join(fixture.dir, 'mute');
      await writeFile(mute, '#!/bin/sh\nexec sleep 600\n');
      await chmod(mute, 0o755);
      await chmod(fixture.dir, 0o755);
      const trial = {
        program: mute,
        root: fixture.root,
        bootId: await readBootId(),
        user: await vmUserOf('nobody'),
        clock: systemClock,
        log: silentLog,
      };
      expect(await bootsWith('tcg', trial, 300)).toBe(false);
      expect(await fixture.leftovers()).toEqual([]);
    },
    SLOW_MS,
  );

  it(
    'is cleared away when nobody knows the VM any more, but not while it runs',
    async () => {
      const vm = vmRecord('lost');
      await fixture.boot(vm);
      await fixture.driver.settle(new Set());
      expect(await fixture.processesOf('lost')).toHaveLength(1);
      const pid = await fixture.pidOf('lost');
      await fixture.driver.close();
      process.kill(pid, 'SIGKILL');
      await waitForEnd(pid);
      await fixture.open();
      await fixture.driver.settle(new Set());
      // Its disk is all that is left of it.
      expect(await fixture.leftovers()).toEqual([expect.stringMatching(/\.qcow2$/)]);
    },
    SLOW_MS,
  );

  it('is kept short: the file of a console that a guest fills', async () => {
    const path = join(fixture.dir, 'console.log');
    await mkdir(fixture.dir, { recursive: true });
    await writeFile(path, 'short');
    await shortenLog(path);
    expect(await readFile(path, 'utf8')).toBe('short');
    await writeFile(path, `${'x'.repeat(CONSOLE_BYTES_MAX)}the end`);
    await shortenLog(path);
    expect((await stat(path)).size).toBe(1024 * 1024);
    expect((await readFile(path, 'utf8')).endsWith('xthe end')).toBe(true);
  });
});

async function waitForEnd(pid: number): Promise<void> {
  while ((await processStat(pid)) !== null) await systemClock.sleep(20);
}
