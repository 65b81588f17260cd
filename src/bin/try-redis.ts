/**
 * One look at a configured Redis before everything else is started, for somebody who waits at a
 * terminal. A replica among others (`berth serve`) waits for its Redis instead; see ledger.ts.
 */
import { Redis } from 'ioredis';
import { unavailableRedis } from './start-failure.js';

const LIMIT_MS = 3_000;

/** @throws Error that names REDIS_URL when it does not answer */
export async function tryRedis(url: string): Promise<void> {
  const client = new Redis(url, {
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
    throw unavailableRedis(trouble ?? error, url);
  } finally {
    client.disconnect();
  }
}
