/** The port of the host agents: "do it". */
import type { AgentStatus, AgentVm } from '../agent-report.js';
import type { InventoryOverrides } from '../inventory.js';
import type { Resources } from '../resources.js';
import type { VmUser } from '../vm.js';
import type { AgentContact } from './catalogue.js';

/** What an agent is told to have. */
export interface VmOrder {
  readonly vmId: string;
  readonly name: string;
  readonly assignment: number;
  readonly resources: Resources;
  readonly image: string | null;
  readonly users: readonly VmUser[];
  /** What the operator says of the host's room: the agent checks its claim under it. */
  readonly overrides: InventoryOverrides;
}

export interface StopOptions {
  /** The guest is not asked: the VM ends at once, also one that is stopping already. */
  readonly force?: boolean | undefined;
}

/**
 * Calls to host agents. All are idempotent. Each fails with DomainError `agent_unreachable` when
 * there was no (usable) answer: then the effect is unknown. `stale_assignment` and `agent_refused`
 * are definite.
 */
export interface Agents {
  /**
   * The IP address to which calls for this base URL shall go, for good.
   * @throws DomainError `invalid_request` naming `address` when it lies outside the fleet's networks
   */
  resolve(address: string): Promise<string>;
  status(contact: AgentContact): Promise<AgentStatus>;
  /**
   * "Have this VM": claims and creates it, or tells how it is if it is already there.
   * @throws DomainError `claim_refused` with the classes that are short in `extra.shortfalls`
   */
  ensureVm(contact: AgentContact, order: VmOrder): Promise<AgentVm>;
  /** @returns null when the agent has no such VM */
  startVm(contact: AgentContact, vmId: string, assignment: number): Promise<AgentVm | null>;
  /** @returns null when the agent has no such VM */
  stopVm(
    contact: AgentContact,
    vmId: string,
    assignment: number,
    options?: StopOptions,
  ): Promise<AgentVm | null>;
  /** "Have this VM no more." @returns true when it is gone, false while it is being removed */
  removeVm(contact: AgentContact, vmId: string, assignment: number): Promise<boolean>;
}
