/** A QEMU driver on a directory of its own, with guests of one sector as its images. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Driver, Observation } from '../../../src/agent/drivers/driver.js';
import { openQemuDriver } from '../../../src/agent/drivers/qemu.js';
import { readBootId } from '../../../src/agent/identity.js';
import { vmUserOf } from '../../../src/agent/qemu/launch.js';
import { bookedRates, plainDisks, plainGroups, plainNetworks } from './plain-parts.js';
import { readProcessNote } from '../../../src/agent/qemu/process.js';
import { vmDirectoryOf, vmKeyOf } from '../../../src/agent/qemu/vm-directory.js';
import type { VmRecord } from '../../../src/agent/vm-store.js';
import { findProgram } from '../../../src/bin/redis-package.js';
import { systemClock } from '../../../src/std/clock.js';
import { silentLog } from '../../support/log.js';
import { politeGuest, spinningGuest } from '../../support/test-guest.js';

const run = promisify(execFile);

/** @throws Error where QEMU is not installed: these tests are nothing without it */
export async function requireQemu(): Promise<string> {
  const program = await findProgram('qemu-system-x86_64', process.env.PATH ?? '');
  if (program === null) {
    throw new Error('QEMU is not installed: apt-get install qemu-system-x86 qemu-utils');
  }
  return program;
}

export class QemuFixture {
  readonly changes: string[] = [];
  driver!: Driver;

  private constructor(
    readonly dir: string,
    readonly program: string,
    readonly powerOffLimitMs: number,
  ) {}

  static async start(powerOffLimitMs = 60_000): Promise<QemuFixture> {
    const program = await requireQemu();
    const fixture = new QemuFixture(
      await mkdtemp(join(tmpdir(), 'berth-qemu-')),
      program,
      powerOffLimitMs,
    );
    const images = join(fixture.dir, 'images');
    await mkdir(images);
    await writeFile(join(images, 'polite.raw'), politeGuest());
    await writeFile(join(images, 'spinning.raw'), spinningGuest());
    await fixture.open();
    return fixture;
  }

  get root(): string {
    return join(this.dir, 'qemu');
  }

  /** Opens a driver on the same directory, as an agent does that was started again. */
  async open(changes: { readonly program?: string } = {}): Promise<Driver> {
    this.driver = await openQemuDriver({
      dir: this.root,
      program: this.program,
      bootId: await readBootId(),
      user: await vmUserOf('nobody'),
      networks: plainNetworks(),
      groups: plainGroups(),
      disks: plainDisks(join(this.dir, 'images'), join(this.dir, 'disks')),
      rates: bookedRates,
      powerOffLimitMs: this.powerOffLimitMs,
      clock: systemClock,
      log: silentLog,
      ...changes,
    });
    this.driver.open((vmId) => this.changes.push(vmId));
    return this.driver;
  }

  /** Number of the process of a VM, as it was noted. */
  async pidOf(vmId: string): Promise<number> {
    const note = await readProcessNote(vmDirectoryOf(this.root, vmId));
    if (note === null) throw new Error(`no process is noted for ${vmId}`);
    return note.pid;
  }

  consoleOf(vmId: string): Promise<string> {
    return readFile(vmDirectoryOf(this.root, vmId).consoleLog, 'latin1');
  }

  /** Waits until a VM is so. */
  async until(vm: VmRecord, isSo: (seen: Observation) => boolean | Promise<boolean>) {
    const end = Date.now() + 120_000;
    for (;;) {
      const seen = await this.driver.inspect(vm);
      if (await isSo(seen)) return seen;
      if (Date.now() > end) {
        const log = await readFile(vmDirectoryOf(this.root, vm.id).qemuLog, 'utf8').catch(() => '');
        throw new Error(`waited in vain; it is ${JSON.stringify(seen)}; QEMU said: ${log}`);
      }
      await systemClock.sleep(20);
    }
  }

  /** Boots a VM and waits until its guest has greeted. */
  async boot(vm: VmRecord): Promise<void> {
    await this.driver.create(vm);
    await this.until(
      vm,
      async ({ state }) =>
        state === 'failed' ||
        (state === 'running' && (await this.consoleOf(vm.id)).includes('guest: up')),
    );
  }

  /** Processes of a VM that are there, as the machine sees them. */
  async processesOf(vmId: string): Promise<readonly string[]> {
    const { stdout } = await run('ps', ['-eo', 'pid,stat,args', '-ww']);
    return stdout
      .split('\n')
      .filter((line) => line.includes(vmKeyOf(vmId)) && line.includes('qemu-system'));
  }

  /** What is left in the driver's directories. */
  async leftovers(): Promise<readonly string[]> {
    const disks = await readdir(join(this.dir, 'disks')).catch(() => []);
    return [...(await readdir(this.root)).filter((name) => name !== 'accelerator.json'), ...disks];
  }

  async stop(vms: readonly VmRecord[]): Promise<void> {
    for (const vm of vms) await this.driver.remove(vm).catch(() => undefined);
    await this.driver.close();
    await rm(this.dir, { recursive: true, force: true });
  }
}

/** @param image `polite`, `spinning`, or none: then only the firmware runs */
export const vmRecord = (id: string, image: string | null = 'polite'): VmRecord => ({
  id,
  assignment: 1,
  name: 'x',
  resources: { cpu: 1, memory: 32, disk: 16 },
  image,
  users: [],
  state: 'creating',
  reason: null,
  stateSince: 0,
  removing: false,
});
