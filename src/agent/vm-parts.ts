/** What stands around the process of a VM, as a driver is handed it: room on disk, a network, a control group. */
import type { VmRecord } from './vm-store.js';

/** Limits in bytes per second, seen from the VM; null where there is none. */
export interface VmRates {
  readonly downloadBytesPerS: number | null;
  readonly uploadBytesPerS: number | null;
  readonly diskIoBytesPerS: number | null;
  /** How much more than the limit a short burst may take: 1 is none. */
  readonly downloadBurst: number;
  readonly uploadBurst: number;
  readonly diskIoBurst: number;
}

export type NetworkAttachment =
  | { readonly kind: 'tap'; readonly interfaceName: string; readonly mac: string }
  | { readonly kind: 'user'; readonly mac: string };

/** All methods may be repeated without harm. */
export interface VmNetworks {
  readonly mode: 'tap' | 'user';
  /** Limits that this host cannot hold, each a sentence for people; empty when it holds all. */
  readonly notEnforced: readonly string[];
  /** Makes what is missing of a VM's network. */
  attach(vmId: string, rates: VmRates): Promise<NetworkAttachment>;
  /** Resolves once nothing of it is left. */
  detach(vmId: string): Promise<void>;
  /** Removes what belongs to none of these VMs. */
  sweep(vmIds: ReadonlySet<string>): Promise<void>;
}

/** Control groups. All methods may be repeated without harm. */
export interface VmGroups {
  readonly notEnforced: readonly string[];
  /** Makes the VM's groups; returns the files into which its process is entered by its pid before it runs a guest. */
  make(
    vmId: string,
    limits: { readonly cpu: number; readonly memoryMib: number },
  ): Promise<readonly string[]>;
  remove(vmId: string): Promise<void>;
  sweep(vmIds: ReadonlySet<string>): Promise<void>;
}

export interface VmDisk {
  readonly path: string;
  readonly format: 'qcow2' | 'raw';
  /** The image below an overlay. */
  readonly backing: { readonly path: string; readonly format: 'qcow2' | 'raw' } | null;
  readonly readOnly: boolean;
  readonly name: 'root' | 'seed';
}

/** All methods may be repeated without harm. */
export interface VmDisks {
  /**
   * The disks of a VM, made where missing; one that is there is never overwritten.
   * @throws DomainError `image_missing` when the image is not on this host
   */
  prepare(vm: VmRecord): Promise<readonly VmDisk[]>;
  remove(vmId: string): Promise<void>;
  sweep(vmIds: ReadonlySet<string>): Promise<void>;
}
