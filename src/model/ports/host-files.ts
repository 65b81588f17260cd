/** The port of what hosts keep on their disks for VMs: images, and what consoles have said. */
import type { HostImage, ImageSource } from '../images.js';
import type { AgentContact } from './catalogue.js';

export interface ImagesOfHost {
  readonly items: readonly HostImage[];
  /** Its driver only pretends: it takes any name of an image, and keeps none. */
  readonly anyName: boolean;
}

/** Which part of a console is asked for. */
export type LogPart = { readonly from: number } | { readonly tailBytes: number };

export interface LogPiece {
  readonly bytes: Uint8Array;
  /** Where the next piece begins. */
  readonly next: number;
  /** Whether there was more already. */
  readonly more: boolean;
}

/**
 * Calls to host agents that are no orders: nothing is booked by them. Each fails with DomainError
 * `agent_unreachable` when there was no usable answer, and with the agent's own code when it refused.
 */
export interface HostFiles {
  images(contact: AgentContact): Promise<ImagesOfHost>;
  /**
   * The same bytes under the same name again change nothing.
   * @throws DomainError `image_invalid`, `name_conflict` and others of the agent's
   */
  putImage(contact: AgentContact, name: string, source: ImageSource): Promise<HostImage>;
  /** Also when there is none. @throws DomainError `state_conflict` when a disk lies over it */
  removeImage(contact: AgentContact, name: string): Promise<void>;
  /** @throws DomainError `not_found` when the VM is not there, or has no console */
  readLog(contact: AgentContact, vmId: string, part: LogPart): Promise<LogPiece>;
}
