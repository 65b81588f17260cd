/**
 * One look at a configured Redis before everything else is started, for somebody who waits at a
 * terminal. A replica among others (`berth serve`) waits for its Redis instead; see ledger.ts.
 */
import { Redis } from 'ioredis';
import { accessOf, type RedisTarget } from '../ledger/redis-target.js';
import { unavailableRedis } from './start-failure.js';

const LIMIT_MS = 3_000;

/**
 * Of Sentinels and clusters the ledger's own start tells: they may be choosing a master just now.
 * @throws Error that names REDIS_URL when it does not answer
 */
export async function tryRedis(target: RedisTarget): Promise<void> {
  if (typeof target === 'string' || !('url' in target)) return;
  const client = new Redis(target.url, {
    ...accessOf(target),
    lazyConnect: true,
    connectTimeout: LIMIT_MS,
    commandTimeout: LIMIT_MS,
    retryStrategy: null,
    maxRetriesPerRequest: 0,
  });
  let trouble: unknown;
  client.on('error', (error) => (trouble ??= error));
  try {
    await client.connect();
    await client.ping();
  } catch (error) {
    throw unavailableRedis(trouble ?? error, target);
  } finally {
    client.disconnect();
  }
}
