/** Work per VM, one piece at a time; different VMs do not wait for one another. */

export interface VmQueue {
  /** Runs `work` after all earlier work on this VM, whether that succeeded or not. */
  run<T>(vmId: string, work: () => Promise<T>): Promise<T>;
  /** Resolves once nothing is under way. */
  idle(): Promise<void>;
}

export function createVmQueue(): VmQueue {
  const tails = new Map<string, Promise<unknown>>();
  return {
    run(vmId, work) {
      const before = tails.get(vmId) ?? Promise.resolve();
      const result = before.then(work);
      const tail = result
        .catch(() => undefined)
        .finally(() => {
          if (tails.get(vmId) === tail) tails.delete(vmId);
        });
      tails.set(vmId, tail);
      return result;
    },
    async idle() {
      while (tails.size > 0) await Promise.all(tails.values());
    },
  };
}
