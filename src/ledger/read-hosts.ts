/** Reads many host hashes in a few writes, so that no single one holds up other commands long. */
import type { Redis } from 'ioredis';
import { replies } from './failures.js';
import type { LedgerKeys } from './keys.js';

const HOSTS_PER_PIPELINE = 500;

/** @returns the hashes in the order of the ids; an empty one for a host that is gone */
export async function readHosts(
  redis: Redis,
  keys: LedgerKeys,
  ids: readonly string[],
): Promise<Record<string, string>[]> {
  const hashes: Record<string, string>[] = [];
  for (let from = 0; from < ids.length; from += HOSTS_PER_PIPELINE) {
    const pipeline = redis.pipeline();
    for (const id of ids.slice(from, from + HOSTS_PER_PIPELINE)) pipeline.hgetall(keys.host(id));
    hashes.push(...((await replies(pipeline)) as Record<string, string>[]));
  }
  return hashes;
}
