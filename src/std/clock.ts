/** The real clock. Code that must run under virtual time is handed one of these instead. */
import { performance } from 'node:perf_hooks';
import type { Alarm } from './wake-up.js';

export const systemClock = {
  now: (): number => Date.now(),
  monotonic: (): number => performance.now(),
  sleep(ms: number, alarm?: Alarm): Promise<void> {
    return new Promise((resolve) => {
      if (alarm?.aborted === true) {
        resolve();
        return;
      }
      const done = () => {
        clearTimeout(timer);
        alarm?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      alarm?.addEventListener('abort', done, { once: true });
    });
  },
};
