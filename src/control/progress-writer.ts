/**
 * Takes what steps found to the catalogue, gathered: while one write is under way, and for a moment after
 * one of several, the findings that come meanwhile wait for the next. Thousands of VMs in flight then
 * cost few transactions, and one that comes alone waits for nothing.
 */
import type { Catalogue, Clock, Progress, WorkItem } from '../model/ports.js';

interface Waiting {
  readonly vmId: string;
  readonly lease: string;
  readonly progress: Progress;
  resolve(saved: boolean): void;
  reject(error: unknown): void;
}

/** Findings in one write. */
const BATCH_MAX = 256;

/** Where several come at once more follow, and a write costs as much as a dozen findings in it. */
const GATHER_MS = 15;

export class ProgressWriter {
  readonly #catalogue: Pick<Catalogue, 'saveProgress'>;
  readonly #clock: Pick<Clock, 'sleep'>;
  readonly #waiting: Waiting[] = [];
  #writing = false;

  constructor(catalogue: Pick<Catalogue, 'saveProgress'>, clock: Pick<Clock, 'sleep'>) {
    this.#catalogue = catalogue;
    this.#clock = clock;
  }

  /** @returns false when the VM's lease was lost, and nothing was written */
  save({ vm, lease }: WorkItem, progress: Progress): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ vmId: vm.id, lease, progress, resolve, reject });
      if (!this.#writing) void this.#write();
    });
  }

  async #write(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH_MAX);
      try {
        const saved = await this.#catalogue.saveProgress(batch);
        for (const waiting of batch) waiting.resolve(saved.has(waiting.vmId));
      } catch (error) {
        for (const waiting of batch) waiting.reject(error);
      }
      const isMore = this.#waiting.length >= BATCH_MAX;
      if (batch.length > 1 && !isMore) await this.#clock.sleep(GATHER_MS);
    }
    this.#writing = false;
  }
}
