/**
 * What is left out of a history, so that a failure is seen with as little around it as can be. Faults
 * and clients are numbered in the order of their turns.
 */
export interface Cuts {
  readonly faults: ReadonlySet<number>;
  readonly clients: ReadonlySet<number>;
  /** Hosts that it has at most; null: as drawn. */
  readonly hostsMax: number | null;
}

export const NO_CUTS: Cuts = { faults: new Set(), clients: new Set(), hostsMax: null };
