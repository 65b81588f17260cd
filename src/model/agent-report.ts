/** What a host agent says of its machine and its VMs. */
import type { MeasuredTotal } from './inventory.js';
import type { ResourceClass, Resources } from './resources.js';
import type { Reason } from './vm.js';

/** States of a VM as its agent sees them. */
export const AGENT_VM_STATES = [
  'creating',
  'running',
  'stopping',
  'stopped',
  'starting',
  'failed',
] as const;
export type AgentVmState = (typeof AGENT_VM_STATES)[number];

export interface AgentVm {
  readonly id: string;
  readonly assignment: number;
  readonly state: AgentVmState;
  readonly resources: Resources;
  readonly reason: Reason | null;
}

export type MeasuredTotals = Readonly<Record<ResourceClass, MeasuredTotal>>;

export interface AgentStatus {
  readonly hostId: string;
  readonly version: string;
  readonly bootId: string;
  /** Grows with every report of an agent, so that one that was overtaken can be told. */
  readonly report: number;
  readonly totals: MeasuredTotals;
  /** What the machine really uses per class, where it is known. */
  readonly used: Resources;
  /** What the host cannot hold its VMs to, each a sentence for people; absent: it does not say. */
  readonly notEnforced?: readonly string[] | undefined;
  readonly vms: readonly AgentVm[];
}
