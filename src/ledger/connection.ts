/**
 * Connections to Redis, tuned so that no command is ever sent twice and none waits for long.
 * They come back by themselves after Redis was away.
 */
import { Redis, type RedisOptions } from 'ioredis';
import type { Log } from '../model/ports.js';
import { answered, unavailable } from './failures.js';

/** A redis:// or rediss:// URL, the path of a unix socket, or ioredis's own options (Sentinel). */
export type RedisTarget = string | RedisOptions;

/** Longest pause between two tries to connect. */
const RETRY_MAX_MS = 1_000;
const RETRY_STEP_MS = 50;
const CONNECT_TIMEOUT_MS = 1_000;

/** How long a start waits for Redis. */
const READY_LIMIT_MS = 10_000;

/** @param commandTimeoutMs after which a command counts as unanswered: it may or may not be done */
export function connect(
  target: RedisTarget,
  options: { readonly name: string; readonly commandTimeoutMs: number; readonly log: Log },
): Redis {
  const tuned = {
    connectionName: `berth-${options.name}`,
    commandTimeout: options.commandTimeoutMs,
    connectTimeout: CONNECT_TIMEOUT_MS,
    // A command whose reply was lost may have been carried out: sent again, it would count twice.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 1,
    // Callers hear at once that Redis is away instead of queueing behind it.
    enableOfflineQueue: false,
    retryStrategy: (tries: number) => Math.min(RETRY_MAX_MS, tries * RETRY_STEP_MS),
    // After a failover the old master is a replica; its name now leads to the new one.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
    replyMapping: 'legacy',
  } satisfies RedisOptions;
  const client =
    typeof target === 'string' ? new Redis(target, tuned) : new Redis({ ...target, ...tuned });
  logChanges(client, options.log.child({ connection: options.name }));
  return client;
}

/** One line when the connection is lost and one when it is back, however often it is tried. */
function logChanges(client: Redis, log: Log): void {
  let lost = false;
  client.on('error', (error: Error) => {
    if (lost) return;
    lost = true;
    log.warn('no connection to Redis', { error });
  });
  client.on('ready', () => {
    if (lost) log.info('connected to Redis again');
    lost = false;
  });
}

/**
 * Resolves when the connection can be used.
 * @throws DomainError `ledger_unavailable` after ten seconds
 */
export async function untilReady(client: Redis): Promise<void> {
  if (client.status === 'ready') return;
  let trouble: Error | undefined;
  const onError = (error: Error) => (trouble = error);
  client.on('error', onError);
  const ready = await new Promise<boolean>((resolve) => {
    const onReady = () => {
      clearTimeout(timer);
      resolve(true);
    };
    const timer = setTimeout(() => {
      client.off('ready', onReady);
      resolve(false);
    }, READY_LIMIT_MS);
    client.once('ready', onReady);
  });
  client.off('error', onError);
  if (!ready) {
    throw unavailable(`no connection to Redis: ${trouble?.message ?? 'it is not ready'}`, trouble);
  }
}

/**
 * Refuses a Redis that may throw keys away when its memory is full.
 * @throws Error that says how to mend it
 */
export async function checkEviction(client: Redis, log: Log): Promise<void> {
  // CONFIG is often forbidden where Redis is a service; INFO tells the same.
  const memory = await answered(client.info('memory'));
  const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1];
  if (policy === undefined) {
    log.warn('this Redis does not tell its maxmemory-policy; it must be noeviction');
    return;
  }
  if (policy === 'noeviction') return;
  throw new Error(
    `Redis has maxmemory-policy ${policy}: when its memory is full it would throw bookings away ` +
      'and hosts would be booked twice. Set "maxmemory-policy noeviction" in its configuration ' +
      '(or run: redis-cli config set maxmemory-policy noeviction) and start again.',
  );
}
