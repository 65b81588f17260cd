/** One worker of `npm run sim`: runs the histories that it is told to, and says what came of them. */
import { parentPort } from 'node:worker_threads';
import { runHistories, type RunOptions } from '../sim/run.js';

// Expected failures are many; where each was made, nobody reads.
Error.stackTraceLimit = 0;

/** What a worker is told: histories of consecutive seeds. */
export type Share = Pick<RunOptions, 'seed' | 'histories' | 'mode' | 'failuresMax'>;

parentPort?.on('message', (share: Share) => {
  void runHistories(share).then((report) => parentPort?.postMessage(report));
});
