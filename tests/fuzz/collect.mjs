/** Loaded into the control plane by the fuzz: at SIGUSR2 it collects its garbage and tells what is left. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

process.on('SIGUSR2', () => {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  process.stderr.write(`bytes in use: ${String(heapUsed + arrayBuffers)}\n`);
});
