/** The configured Redis as the ledger takes it. */
import { readFileSync } from 'node:fs';
import type { NodeAddress, RedisAccess, RedisTarget } from '../ledger/redis-target.js';
import { errorCode } from '../std/error-code.js';
import type { Settings } from './config-schema.js';

/**
 * @returns null when none is configured
 * @throws Error when the file with the authority cannot be read
 */
export function redisTargetOf(redis: Settings['redis']): RedisTarget | null {
  const { url, sentinels, sentinelName, cluster, sentinelUsername, sentinelPassword } = redis;
  if (url !== undefined) return { url, ...accessOf(redis) };
  if (cluster !== undefined) return { cluster: cluster.map(addressIn), ...accessOf(redis) };
  if (sentinels === undefined || sentinelName === undefined) return null;
  return {
    sentinels: sentinels.map(addressIn),
    name: sentinelName,
    sentinelUsername,
    sentinelPassword,
    ...accessOf(redis),
  };
}

function accessOf({ username, password, tls, caFile }: Settings['redis']): RedisAccess {
  const ca = caFile === undefined ? {} : { ca: readCa(caFile) };
  // A rediss:// URL without an authority of its own says all by itself.
  return { username, password, ...(tls || caFile !== undefined ? { tls: ca } : {}) };
}

function readCa(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const code = errorCode(cause) ?? String(cause);
    throw new Error(`${file} cannot be read (${code}): set REDIS_CA_FILE`, { cause });
  }
}

/** `host:port`, or `[address]:port`. */
function addressIn(text: string): NodeAddress {
  const at = text.lastIndexOf(':');
  return { host: text.slice(0, at).replaceAll(/[[\]]/g, ''), port: Number(text.slice(at + 1)) };
}
