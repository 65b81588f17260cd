/** Finds what the ledger in place keeps in Redis, for tests that look at it or spoil it. */
import type { Redis } from 'ioredis';

/** What its keys begin with; of none that there is when there is no ledger. */
export async function ledgerPrefix(redis: Redis, cell = 'main'): Promise<string> {
  const incarnation = await redis.hget(`berth:{${cell}}:ledger`, 'incarnation');
  return `berth:{${cell}}:${incarnation ?? 'none'}:`;
}
