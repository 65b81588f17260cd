/**
 * A bug that is put in on purpose, to see whether it is found. Nothing in the product knows of them:
 * each replaces a part of a simulated world, or is handed to a property in place of the real thing.
 */
import type { Sabotage } from '../../../src/sim/world.js';

interface Named {
  readonly name: string;
  /** What is done wrong. */
  readonly what: string;
}

/** Found by simulated histories. */
export interface WorldBug extends Named {
  /** Rules of the auditor that it may break first. */
  readonly rules: readonly string[];
  /** Where to begin to look, so that it does not take long. */
  readonly seed?: number;
  /** Made anew for each hunt: it may remember things. */
  sabotage(): Sabotage;
}

/** Found by a property, or by running an interleaving, of the function that has it. */
export interface PropertyBug extends Named {
  /** The property that the real function keeps. */
  readonly property: string;
  /** @throws when the bug is found */
  check(): void | Promise<void>;
}

export type SeededBug = WorldBug | PropertyBug;
