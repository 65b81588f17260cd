/**
 * Memory of a replica's tables: the ledger's two mirrors with all that is kept for deciding, in a
 * process that only reads, and in one that has rebuilt the ledger itself. Redis is real.
 * Prints a table and one JSON line. Options: --hosts 10000 --vms 100000
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { startRedis } from '../tests/support/redis.js';
import { conclude, storesAt } from './conclude.js';
import type { Step } from './memory-replica.js';

const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '10000' },
    vms: { type: 'string', default: '100000' },
  },
});

async function replica(url: string, part: 'read' | 'rebuild'): Promise<readonly Step[]> {
  const child = fork(
    new URL('./memory-replica.ts', import.meta.url),
    [url, values.hosts, values.vms, part],
    { execArgv: ['--import', 'tsx'] },
  );
  const answered = once(child, 'message') as Promise<[readonly Step[]]>;
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the replica ended with ${String(code)} and said nothing`);
  });
  const [steps] = await Promise.race([answered, ended]);
  await ended.catch(() => undefined);
  return steps;
}

const redis = await startRedis();
try {
  const parts = {
    rebuild: await replica(redis.url, 'rebuild'),
    read: await replica(redis.url, 'read'),
  };
  const table = new Table({
    head: ['process', 'after', 'resident MB', 'most so far MB'],
    style: { head: [], border: [] },
  });
  for (const [part, steps] of Object.entries(parts)) {
    for (const { step, rssMb, peakMb } of steps) {
      table.push([part, step, rssMb.toFixed(0), peakMb.toFixed(0)]);
    }
  }
  const size = { hosts: Number(values.hosts), vms: Number(values.vms) };
  conclude(
    { bench: 'memory', ...size, ...parts },
    table.toString(),
    await storesAt({ redisUrl: redis.url }),
  );
} finally {
  await redis.stop();
}
