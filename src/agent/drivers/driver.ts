/**
 * What an agent needs of a hypervisor. The agent decides whether an order is obeyed and remembers
 * it; a driver only makes it so. All methods may be repeated without harm, and the agent never runs
 * two of them at once for one VM.
 */
import type { AgentVmState } from '../../model/agent-report.js';
import type { StopOptions } from '../../model/ports.js';
import type { ResourceClass } from '../../model/resources.js';
import type { Reason } from '../../model/vm.js';
import type { DriverPatchBody, DriverSettingsBody } from '../../wire/agent.js';
import type { MeasuredProcess } from '../discovery/vm-use.js';
import type { VmRecord } from '../vm-store.js';

/** How a VM is, as the driver sees it. */
export interface Observation {
  readonly state: AgentVmState;
  readonly reason: Reason | null;
  /** Since when, in milliseconds since 1970. */
  readonly since: number;
}

export interface Driver {
  readonly name: string;
  /** With what guests are run, where that makes a difference; null when nothing runs them here. */
  readonly accelerator?: 'kvm' | 'tcg' | null;
  /** Classes that it hands to no VM, so that they are not offered; absent: none. */
  readonly withheld?: readonly ResourceClass[];
  /** Memory in MiB that a VM may take on its host besides its guest's; absent: none. */
  overheadMib?(guestMib: number): number;
  /** False: it never plugs memory into a VM that runs. */
  readonly hotplugs?: boolean;
  /** Called once, first. `changed` is told of each VM that should be inspected anew. */
  open(changed: (vmId: string) => void): void;
  /** Exercises the way that every order goes: awaited before each order and each report. */
  check(): Promise<void>;
  /** Whether new VMs may be claimed at all, whatever room there is. */
  admits(): boolean;
  /** Takes up a VM that was recorded before this process started, and goes on with it. */
  resume(vm: VmRecord): Promise<Observation>;
  /** Called once, when all VMs were resumed: clears away what belongs to none of these. */
  settle(vmIds: ReadonlySet<string>): Promise<void>;
  inspect(vm: VmRecord): Promise<Observation>;
  /**
   * Makes what is missing of a VM and boots it; a disk that is there is never overwritten.
   * @throws DomainError for what the caller may read
   */
  create(vm: VmRecord): Promise<Observation>;
  start(vm: VmRecord): Promise<Observation>;
  /** Asks the guest to power off; with `force` it is not asked, even if it was before. */
  stop(vm: VmRecord, options?: StopOptions): Promise<Observation>;
  /** Resolves once nothing of the VM is left. */
  remove(vm: VmRecord): Promise<void>;
  /** Lets go of timers and connections; VMs stay as they are. */
  close(): Promise<void>;
  /** The process that runs a VM, for readings of what it uses; null while there is none. */
  processOf?(vmId: string): MeasuredProcess | null;
  /** The file with what a VM's serial console has said; absent: its VMs have no console. */
  consoleLog?(vmId: string): string;
  /** Only a driver that pretends can be told how to behave. */
  readonly settings?: DriverSettings;
}

export interface DriverSettings {
  read(): DriverSettingsBody;
  change(patch: DriverPatchBody): void;
}
