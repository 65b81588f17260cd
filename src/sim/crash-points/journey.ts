/** What a journey is: something that people or machines set going, with the end that it must have. */
import type { Stage } from './stage.js';

export interface Journey {
  readonly name: string;
  /** Hosts that have joined when it begins. */
  readonly hosts: number;
  /** What is there before it begins: nothing fails meanwhile. */
  prepare?(stage: Stage): Promise<void>;
  /** The journey itself: faults befall these calls, and those of all loops beside them. */
  run(stage: Stage): Promise<void>;
  /** Looks, when all is at rest, whether it came out as it must. */
  check?(stage: Stage): Promise<void>;
  /** Whether it begins with the replicas, before any host has joined. */
  readonly fromBoot?: boolean;
}
