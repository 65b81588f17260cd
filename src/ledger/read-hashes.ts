/** Reads many hashes in a few goes, so that no single one holds up other commands long. */
import type { Redis } from 'ioredis';
import { replies } from './failures.js';

const HASHES_PER_PIPELINE = 500;

/** @returns the hashes in the order of the keys; an empty one for a key that is gone */
export async function readHashes(
  redis: Redis,
  keys: readonly string[],
): Promise<Record<string, string>[]> {
  const hashes: Record<string, string>[] = [];
  for (let from = 0; from < keys.length; from += HASHES_PER_PIPELINE) {
    const pipeline = redis.pipeline();
    for (const key of keys.slice(from, from + HASHES_PER_PIPELINE)) pipeline.hgetall(key);
    hashes.push(...((await replies(pipeline)) as Record<string, string>[]));
  }
  return hashes;
}
