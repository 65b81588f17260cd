/**
 * What we use of redlock 5. Its export map leads TypeScript to no declarations, and a path mapping
 * to them would lead tsx away from the code.
 */
declare module 'redlock' {
  import type { EventEmitter } from 'node:events';
  import type { Redis } from 'ioredis';

  interface ExecutionStats {
    /** Why each server that refused did so. */
    readonly votesAgainst: ReadonlyMap<Redis, Error>;
  }

  interface Settings {
    /** Tries after the first. */
    readonly retryCount: number;
    /** Pause between two tries, in milliseconds, and by how much it varies. */
    readonly retryDelay: number;
    readonly retryJitter: number;
    /** Share of a lease that clocks may disagree by. */
    readonly driftFactor: number;
  }

  interface Scripts {
    /** Takes the text of redlock's own: KEYS the resources, ARGV[1] the value of the lock. */
    readonly releaseScript?: (text: string) => string;
  }

  export class ResourceLockedError extends Error {}

  export class ExecutionError extends Error {
    readonly attempts: readonly Promise<ExecutionStats>[];
  }

  export interface Lock {
    /** Nobody else's lock has it. */
    readonly value: string;
    release(): Promise<unknown>;
    extend(durationMs: number): Promise<Lock>;
  }

  class Redlock extends EventEmitter {
    constructor(clients: Iterable<Redis>, settings?: Partial<Settings>, scripts?: Scripts);
    acquire(resources: string[], durationMs: number): Promise<Lock>;
  }
  export { Redlock as default };
}
