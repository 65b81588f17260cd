/** The real clock. Code that must run under virtual time is handed one of these instead. */
import { performance } from 'node:perf_hooks';

export const systemClock = {
  now: (): number => Date.now(),
  monotonic: (): number => performance.now(),
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) {
        resolve();
        return;
      }
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener('abort', done, { once: true });
    });
  },
};
