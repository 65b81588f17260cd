/** Who brings VMs to their hosts once they are recorded. */
import type { Taking, WorkItem } from '../model/ports.js';

export interface Driver {
  /**
   * A lease for VMs that are about to be recorded, so that nobody has to look for them afterwards.
   * Room is kept for as many as it says, until `keep`.
   * @returns null when there is no room to drive any of them at once
   */
  promise(count: number): Taking | null;
  /** Drives what was taken under a lease. */
  keep(taking: Taking, taken: readonly WorkItem[]): void;
  /** VMs were recorded that nobody has taken. */
  poke(): void;
}

/** Somebody else looks for what is recorded. */
export const NO_DRIVER: Driver = {
  promise: () => null,
  keep: () => undefined,
  poke: () => undefined,
};
