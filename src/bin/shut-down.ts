/** Stopping in order, once, within a limit. */
import type { Log } from '../model/ports.js';

/**
 * What stops when: steps in flight must not meet dead agents, so the control plane ends before the
 * hosts, and what everything else writes to ends last.
 */
const STAGES = ['control plane', 'hosts', 'stores'] as const;
export type Stage = (typeof STAGES)[number];

export interface Stoppable {
  readonly name: string;
  readonly stage: Stage;
  stop(): Promise<void>;
}

/** Things to stop, stage by stage; within one, the last one started is stopped first. */
export class ShutDown {
  readonly #log: Log;
  readonly #limitMs: number;
  readonly #parts: Stoppable[] = [];
  #stopping: Promise<void> | null = null;

  constructor(log: Log, limitMs: number) {
    this.#log = log;
    this.#limitMs = limitMs;
  }

  add(stage: Stage, name: string, stop: () => Promise<void>): void {
    this.#parts.push({ name, stage, stop });
  }

  /** Stops everything; a part that fails or hangs does not keep the others running. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  async #stopAll(): Promise<void> {
    const until = Date.now() + this.#limitMs;
    const lastFirst = this.#parts.splice(0).reverse();
    const inOrder = STAGES.flatMap((stage) => lastFirst.filter((part) => part.stage === stage));
    for (const part of inOrder) {
      // Even after the limit each part gets a moment: a child process must not be left behind.
      const leftMs = Math.max(500, until - Date.now());
      try {
        await withLimit(part.stop(), leftMs);
        this.#log.debug('stopped', { part: part.name });
      } catch (error) {
        this.#log.warn('did not stop in order', { part: part.name, error });
      }
    }
  }
}

/** Waits for work, but no longer than this. @throws Error when the time is over */
export async function withLimit(work: Promise<unknown>, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`took longer than ${limitMs.toString()} ms`));
    }, limitMs);
  });
  try {
    await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** A signal to a whole process group arrives twice where npm passes it on as well. */
const SAME_SIGNAL_MS = 1_000;

/** Resolves when the process is asked to stop; a second, later request ends it at once. */
export function stopRequest(log: Log): Promise<void> {
  return new Promise((resolve) => {
    let askedAt: number | null = null;
    const onSignal = (signal: NodeJS.Signals) => {
      if (askedAt === null) {
        askedAt = Date.now();
        log.info('stopping', { signal });
        resolve();
      } else if (Date.now() - askedAt > SAME_SIGNAL_MS) {
        process.exit(130);
      }
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
  });
}
