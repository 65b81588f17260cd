/**
 * One VM under QEMU, over all of its processes: what was ordered, what is seen, and the work that
 * brings the one to the other. Orders answer at once; the work goes on behind them.
 *
 *   creating ─┐                    ┌─ guest off, or ended by order ──► stopped
 *             ├─► running ─► stopping                                     │ start
 *   starting ─┘      └─ its process dies, or cannot start ──► failed ─────┴──► starting
 *
 * `running` is what QEMU says, not what we hope: nobody can know from outside what a guest does.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainError } from '../../model/errors.js';
import type { Clock, Log } from '../../model/ports.js';
import type { Reason } from '../../model/vm.js';
import type { MeasuredProcess } from '../discovery/vm-use.js';
import type { Observation } from '../drivers/driver.js';
import type {
  NetworkAttachment,
  VmDisk,
  VmDisks,
  VmGroups,
  VmNetworks,
  VmRates,
} from '../vm-parts.js';
import type { VmRecord } from '../vm-store.js';
import {
  QMP_SOCKET,
  qemuArguments,
  RESCUE_SOCKET,
  type Accelerator,
  type DiskSpec,
} from './arguments.js';
import { consoleSize } from './console-log.js';
import { restAfter, type Rest } from './ending.js';
import {
  FIRST_DESCRIPTOR,
  launchProcess,
  type Child,
  type OpenFile,
  type VmUser,
} from './launch.js';
import {
  findProcess,
  forgetProcess,
  killProcess,
  noteProcess,
  readProcessNote,
  type VmProcess,
} from './process.js';
import { makeVmDirectory, vmDirectoryOf, type VmDirectory } from './vm-directory.js';
import { hasLeftSockets, VmLife } from './vm-life.js';

/** What all VMs of a host share. */
export interface Workshop {
  /** The driver's own directory, without symbolic links in its path. */
  readonly root: string;
  readonly program: string;
  readonly accelerator: Accelerator;
  readonly bootId: string;
  readonly user: VmUser | null;
  readonly kvmGroup: number | null;
  readonly tunNode: string | null;
  readonly networks: VmNetworks;
  readonly groups: VmGroups;
  readonly disks: VmDisks;
  rates(vm: VmRecord): VmRates;
  /** How long a guest may take to power itself off. */
  readonly powerOffLimitMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** How long a first report waits for what QEMU says. */
const ADOPTION_LIMIT_MS = 3_000;
const KILL_AGAIN_MS = 100;

export class Machine {
  readonly #workshop: Workshop;
  readonly #directory: VmDirectory;
  readonly #log: Log;
  readonly #changed: () => void;
  #vm: VmRecord;
  #seen: Observation;
  /** The work on its processes; null when it has none. */
  #work: Promise<void> | null = null;
  #life: VmLife | null = null;
  #interfaceName: string | null = null;
  /** `off` is `stopped` without asking the guest. */
  #wanted: 'running' | 'stopped' | 'off' | 'gone' = 'running';
  /** It was told to start while it was stopping. */
  #startsAgain = false;
  #isClosing = false;

  /** @param changed called when it is another than the last answer said */
  constructor(workshop: Workshop, vm: VmRecord, changed: () => void) {
    this.#workshop = workshop;
    this.#vm = vm;
    this.#directory = vmDirectoryOf(workshop.root, vm.id);
    this.#log = workshop.log.child({ vmId: vm.id });
    this.#changed = changed;
    this.#seen = { state: vm.state, reason: vm.reason, since: vm.stateSince };
  }

  get seen(): Observation {
    return this.#seen;
  }

  /** What runs it; null while nothing does. */
  get process(): MeasuredProcess | null {
    if (this.#life === null) return null;
    const { pid, startTicks } = this.#life.process;
    return { pid, startTicks, interfaceName: this.#interfaceName };
  }

  /** Makes what is missing of it and boots it. */
  boot(vm: VmRecord, as: 'creating' | 'starting'): Observation {
    this.#vm = vm;
    this.#wanted = 'running';
    if (this.#work !== null) {
      // A guest that powers itself off cannot be called back.
      this.#startsAgain = this.#seen.state === 'stopping';
      return this.#seen;
    }
    this.#enter(as);
    this.#begin(this.#launch());
    return this.#seen;
  }

  /** @param force the guest is not asked, and not waited for if it was asked before */
  stop(force: boolean): Observation {
    if (force) this.#wanted = 'off';
    else if (this.#wanted !== 'off') this.#wanted = 'stopped';
    this.#startsAgain = false;
    if (this.#work === null) {
      if (this.#seen.state !== 'failed') this.#enter('stopped');
      return this.#seen;
    }
    const isStopping = this.#seen.state === 'stopping';
    this.#enter('stopping');
    if (force) void this.#life?.end();
    else if (!isStopping) void this.#life?.powerOff(this.#workshop.powerOffLimitMs);
    return this.#seen;
  }

  /** Takes up what was before this agent was started. */
  async resume(): Promise<Observation> {
    const { state } = this.#vm;
    const { bootId } = this.#workshop;
    const found = await findProcess(this.#directory, bootId);
    if (found !== null) return this.#adopt(found);
    const note = await readProcessNote(this.#directory);
    if (state === 'stopped' || state === 'failed') return this.#seen;
    if (state === 'stopping') return this.#enter('stopped');
    // It was never started: its creation goes on.
    if (note?.bootId !== bootId && state !== 'running') return this.boot(this.#vm, state);
    const { state: rest, reason } = restAfter({
      wasWanted: false,
      shutdown: null,
      neverSpoke: false,
      isBroken: false,
      code: null,
      signal: null,
      hasLeftSockets: await hasLeftSockets(this.#directory),
    });
    return this.#enter(rest, reason);
  }

  /** Resolves once nothing of it is left. @throws DomainError `shutting_down` */
  async remove(): Promise<void> {
    this.#wanted = 'gone';
    this.#startsAgain = false;
    if (this.#work !== null) {
      if (this.#life !== null) void this.#life.end();
      await this.#work;
    }
    this.#refuseWhenClosing();
    const { disks, networks, groups, clock, bootId } = this.#workshop;
    for (;;) {
      const left = await findProcess(this.#directory, bootId);
      if (left === null) break;
      await killProcess(left);
      await clock.sleep(KILL_AGAIN_MS);
      this.#refuseWhenClosing();
    }
    await networks.detach(this.#vm.id);
    await groups.remove(this.#vm.id);
    await disks.remove(this.#vm.id);
    await rm(this.#directory.path, { recursive: true, force: true });
  }

  /** Lets go of it; its process goes on. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#life?.letGo();
    await this.#work;
  }

  #refuseWhenClosing(): void {
    if (this.#isClosing) throw new DomainError('shutting_down', 'The agent is stopping.');
  }

  /** A VM that is found running is what it is, whatever was noted of it. */
  async #adopt(found: VmProcess): Promise<Observation> {
    this.#wanted = this.#seen.state === 'stopping' ? 'stopped' : 'running';
    this.#log.info('a VM was found running', { pid: found.pid });
    // Its limits may have changed, or have gone while nobody looked after them.
    await this.#connect(this.#workshop.rates(this.#vm)).catch((error: unknown) => {
      this.#log.error('the network of a running VM could not be seen to', { error });
    });
    const life = this.#lifeOf(found, null, null);
    this.#begin(Promise.resolve(life));
    const until = this.#workshop.clock.monotonic() + ADOPTION_LIMIT_MS;
    while (life.status === null && this.#work !== null) {
      if (this.#workshop.clock.monotonic() > until) break;
      await this.#workshop.clock.sleep(10);
    }
    const isSilent = life.status === null && this.#life === life;
    return isSilent && this.#wanted === 'running' ? this.#enter('running', SILENT) : this.#seen;
  }

  #begin(first: Promise<VmLife | null>): void {
    const work = this.#attendAll(first).finally(() => {
      this.#work = null;
    });
    this.#work = work;
  }

  /** One process after the other, while it is to start again. */
  async #attendAll(first: Promise<VmLife | null>): Promise<void> {
    let life = await first;
    while (life !== null) {
      await this.#attend(life);
      if (!this.#startsAgain || this.#isClosing) return;
      this.#startsAgain = false;
      this.#enter('starting');
      this.#changed();
      life = await this.#launch();
    }
  }

  /** Resolves when its process has ended or was let go. */
  async #attend(life: VmLife): Promise<void> {
    this.#life = life;
    if (this.#isClosing) life.letGo();
    else if (this.#wanted === 'gone' || this.#wanted === 'off') void life.end();
    else if (this.#wanted === 'stopped') void life.powerOff(this.#workshop.powerOffLimitMs);
    else this.#look(life);
    const ending = await life.ended;
    this.#life = null;
    if (ending === null && !life.isStranger) return;
    const { state, reason } = ending === null ? NOT_OURS : restAfter(ending);
    if (state === 'failed') {
      this.#log.error('a VM has failed', { reason, qemuLog: this.#directory.qemuLog });
    }
    await forgetProcess(this.#directory);
    if (this.#startsAgain) return;
    this.#enter(state, reason);
    this.#changed();
  }

  /** @returns null when it could not be started */
  async #launch(): Promise<VmLife | null> {
    try {
      return await this.#launchNow();
    } catch (error) {
      this.#log.error('a VM could not be started', { error });
      this.#enter('failed', reasonOf(error));
      this.#changed();
      return null;
    }
  }

  async #launchNow(): Promise<VmLife> {
    const { groups, disks, bootId, user, program, accelerator } = this.#workshop;
    const { id, resources } = this.#vm;
    const directory = this.#directory;
    await makeVmDirectory(directory, user);
    const running = await findProcess(directory, bootId);
    if (running !== null) return this.#lifeOf(running, null, null);
    await removeSockets(directory);
    const memoryMib = resources.memory ?? 0;
    const cpu = resources.cpu ?? 0;
    const rates = this.#workshop.rates(this.#vm);
    const plan = planOf(directory, await disks.prepare(this.#vm));
    const network = await this.#connect(rates);
    const groupFiles = await groups.make(id, { cpu, memoryMib });
    const args = qemuArguments({
      uuid: directory.key,
      ...{ cpu, memoryMib, accelerator, network },
      disks: plan.disks,
      diskIoBytesPerS: rates.diskIoBytesPerS,
      diskIoBurst: rates.diskIoBurst,
      consoleDescriptor: FIRST_DESCRIPTOR,
    });
    const consoleFrom = await consoleSize(directory.consoleLog);
    const launched = await launchProcess({
      ...{ program, args, groupFiles, user },
      runDir: directory.runDir,
      files: plan.files,
      log: directory.qemuLog,
      kvmGroup: accelerator === 'kvm' ? this.#workshop.kvmGroup : null,
      tunNode: network.kind === 'tap' ? this.#workshop.tunNode : null,
    });
    try {
      await noteProcess(directory, id, launched, bootId);
    } catch (error) {
      await killProcess(launched);
      throw error;
    }
    this.#log.info('a VM was started', { pid: launched.pid, accelerator, network: network.kind });
    return this.#lifeOf(launched, launched, consoleFrom);
  }

  async #connect(rates: VmRates): Promise<NetworkAttachment> {
    const network = await this.#workshop.networks.attach(this.#vm.id, rates);
    this.#interfaceName = network.kind === 'tap' ? network.interfaceName : null;
    return network;
  }

  #lifeOf(found: VmProcess, child: Child | null, consoleFrom: number | null): VmLife {
    const life: VmLife = new VmLife({
      process: found,
      child,
      directory: this.#directory,
      consoleFrom,
      clock: this.#workshop.clock,
      log: this.#log,
      onChange: () => {
        if (this.#life === life) this.#look(life);
      },
    });
    return life;
  }

  /** Takes up what QEMU says of the guest. */
  #look({ status, suspicion }: VmLife): void {
    if (status === null || this.#wanted !== 'running' || this.#startsAgain) return;
    const reason = status === 'running' ? suspicion : standsStill(status);
    const before = this.#seen;
    this.#enter('running', reason);
    if (before !== this.#seen) this.#changed();
  }

  #enter(state: Observation['state'], reason: Reason | null = null): Observation {
    const { state: before, reason: why } = this.#seen;
    if (before === state && why?.code === reason?.code) return this.#seen;
    this.#seen = { state, reason, since: this.#workshop.clock.now() };
    return this.#seen;
  }
}

/** For tenants: what else went wrong is for the log alone. */
function reasonOf(error: unknown): Reason {
  if (error instanceof DomainError) return { code: error.code, detail: error.message };
  const detail =
    error instanceof RangeError
      ? `QEMU runs no such VM: ${error.message}.`
      : 'The VM could not be started on its host.';
  return { code: 'start_failed', detail };
}

/** Its process is there, and nobody knows how the guest is. Over once it speaks. */
const SILENT: Reason = {
  code: 'qemu_silent',
  detail: 'The process of the VM does not say how the guest is.',
};

const NOT_OURS: Rest = {
  state: 'failed',
  reason: { code: 'vm_died', detail: 'What runs in the place of the VM is another one.' },
};

const standsStill = (status: string): Reason => ({
  code: 'guest_stands_still',
  detail: `The guest stands still: QEMU calls it ${status}.`,
});

/** Which files QEMU gets under which descriptor. */
function planOf(
  { consoleLog }: VmDirectory,
  disks: readonly VmDisk[],
): { readonly files: readonly OpenFile[]; readonly disks: readonly DiskSpec[] } {
  const files: OpenFile[] = [{ path: consoleLog, mode: 'append' }];
  const descriptorOf = (file: OpenFile): number => FIRST_DESCRIPTOR + files.push(file) - 1;
  const specs = disks.map(({ name, format, readOnly, path, backing }) => ({
    ...{ name, format, readOnly },
    descriptor: descriptorOf({ path, mode: readOnly ? 'read' : 'write' }),
    backing:
      backing === null
        ? null
        : {
            format: backing.format,
            descriptor: descriptorOf({ path: backing.path, mode: 'read' }),
          },
  }));
  return { files, disks: specs };
}

async function removeSockets({ runDir }: VmDirectory): Promise<void> {
  for (const name of [QMP_SOCKET, RESCUE_SOCKET]) await rm(join(runDir, name), { force: true });
}
