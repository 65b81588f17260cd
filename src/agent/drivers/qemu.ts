/**
 * Runs VMs with QEMU, one process each. A process outlives the agent and is found again. What
 * stands around it (disks, network, control groups) is handed in; see vm-parts.ts.
 */
import { execFile } from 'node:child_process';
import { access, constants, mkdir, readdir, realpath, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DomainError } from '../../model/errors.js';
import type { Clock, Log, StopOptions } from '../../model/ports.js';
import { memoryLimitMib } from '../cgroups/limits.js';
import type { MeasuredProcess } from '../discovery/vm-use.js';
import type { Accelerator } from '../qemu/arguments.js';
import { chooseAccelerator } from '../qemu/accelerator.js';
import { kvmGroup, type VmUser } from '../qemu/launch.js';
import { Machine, type Workshop } from '../qemu/machine.js';
import { isAlive, readProcessNote } from '../qemu/process.js';
import { vmDirectoryOf } from '../qemu/vm-directory.js';
import type { VmDisks, VmGroups, VmNetworks, VmRates } from '../vm-parts.js';
import type { VmRecord } from '../vm-store.js';
import type { Driver } from './driver.js';

const run = promisify(execFile);

export interface QemuOptions {
  /** The driver's own directory. */
  readonly dir: string;
  /** Full path of QEMU. */
  readonly program: string;
  /** Names this start of the machine. */
  readonly bootId: string;
  /** As whom VMs run; null when they run as the agent does, which is not root. */
  readonly user: VmUser | null;
  readonly networks: VmNetworks;
  readonly groups: VmGroups;
  readonly disks: VmDisks;
  /** A VM's limits. */
  readonly rates: (vm: VmRecord) => VmRates;
  /** How long a guest may take to power itself off before it is ended. */
  readonly powerOffLimitMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** The device in whose place a VM's network is opened. */
const TUN = '/dev/net/tun';

/** Tries what runs guests here, unless that is known of this start of the machine. */
export async function openQemuDriver(options: QemuOptions): Promise<Driver> {
  const { program, bootId, user, clock, log } = options;
  await mkdir(options.dir, { recursive: true, mode: 0o700 });
  const root = await realpath(options.dir);
  const accelerator = await chooseAccelerator({ program, root, bootId, user, clock, log });
  log.info('VMs run with QEMU', { program, accelerator: accelerator ?? 'none' });
  const workshop: Workshop = {
    ...options,
    root,
    // Without one no VM is admitted; those that are here are only looked at and removed.
    accelerator: accelerator ?? 'tcg',
    kvmGroup: await kvmGroup(),
    tunNode: options.networks.mode === 'tap' ? await tunNodeFor(user, root) : null,
  };
  return new QemuDriver(workshop, accelerator);
}

class QemuDriver implements Driver {
  readonly name = 'qemu';
  readonly withheld = ['gpu'];
  readonly hotplugs = false;
  readonly accelerator: Accelerator | null;
  readonly #workshop: Workshop;
  readonly #machines = new Map<string, Machine>();
  #changed: (vmId: string) => void = () => undefined;
  #isClosing = false;

  constructor(workshop: Workshop, accelerator: Accelerator | null) {
    this.#workshop = workshop;
    this.accelerator = accelerator;
  }

  overheadMib(guestMib: number): number {
    return memoryLimitMib(guestMib) - guestMib;
  }

  open(changed: (vmId: string) => void): void {
    this.#changed = changed;
  }

  /** A disk that has become unreadable or full of errors shows here first. */
  async check(): Promise<void> {
    if (this.#isClosing) throw new DomainError('shutting_down', 'The agent is stopping.');
    await access(this.#workshop.root, constants.R_OK | constants.W_OK);
  }

  admits(): boolean {
    return this.accelerator !== null;
  }

  resume(vm: VmRecord) {
    return this.#machineOf(vm).resume();
  }

  /**
   * Disks are never swept: a VM whose record could not be read is not known either, and its disk is
   * all that is left of it.
   */
  async settle(vmIds: ReadonlySet<string>): Promise<void> {
    const { root, networks, groups, log } = this.#workshop;
    const kept = new Set(vmIds);
    for (const entry of await readdir(root, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      const note = await readProcessNote({ processNote: join(root, entry.name, 'process.json') });
      if (note === null || vmIds.has(note.vmId)) continue;
      if (await isAlive(note)) {
        kept.add(note.vmId);
        log.error('a VM runs here that is not on record; it is left alone', { ...note });
      } else await rm(vmDirectoryOf(root, note.vmId).path, { recursive: true, force: true });
    }
    await networks.sweep(kept);
    await groups.sweep(kept);
  }

  inspect(vm: VmRecord) {
    return Promise.resolve(this.#machineOf(vm).seen);
  }

  /** @throws DomainError when its disks cannot be had, as when the image is not here */
  async create(vm: VmRecord) {
    // Here and not behind the answer: another host may have what this one has not.
    await this.#workshop.disks.prepare(vm);
    return this.#machineOf(vm).boot(vm, 'creating');
  }

  start(vm: VmRecord) {
    return Promise.resolve(this.#machineOf(vm).boot(vm, 'starting'));
  }

  stop(vm: VmRecord, { force = false }: StopOptions = {}) {
    return Promise.resolve(this.#machineOf(vm).stop(force));
  }

  async remove(vm: VmRecord): Promise<void> {
    await this.#machineOf(vm).remove();
    this.#machines.delete(vm.id);
  }

  consoleLog(vmId: string): string {
    return vmDirectoryOf(this.#workshop.root, vmId).consoleLog;
  }

  processOf(vmId: string): MeasuredProcess | null {
    return this.#machines.get(vmId)?.process ?? null;
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await Promise.all([...this.#machines.values()].map((machine) => machine.close()));
  }

  #machineOf(vm: VmRecord): Machine {
    const known = this.#machines.get(vm.id);
    if (known !== undefined) return known;
    const machine = new Machine(this.#workshop, vm, () => {
      this.#changed(vm.id);
    });
    this.#machines.set(vm.id, machine);
    return machine;
  }
}

/**
 * A device node for VMs where /dev/net/tun lets only root in. It gives no rights that TAPs would
 * not give: each belongs to the user for whom it was made.
 * @returns null where the machine's own will do
 */
async function tunNodeFor(user: VmUser | null, root: string): Promise<string | null> {
  if (user === null) return null;
  const mode = (await stat(TUN).catch(() => null))?.mode ?? 0o666;
  if ((mode & 0o006) === 0o006) return null;
  const node = join(root, 'tun');
  await rm(node, { force: true });
  await run('mknod', ['--mode=0666', node, 'c', '10', '200']);
  return node;
}
