/**
 * Connections to Redis, tuned so that no command is ever sent twice and none waits for long.
 * They come back by themselves after Redis was away, and follow its master where it moves.
 */
import { Cluster, Redis, type ClusterOptions, type RedisOptions } from 'ioredis';
import type { Log } from '../model/ports.js';
import { fullJitterMs } from '../std/backoff.js';
import { unavailable } from './failures.js';
import {
  accessOf,
  type ClusterRedis,
  type RedisTarget,
  type SentinelRedis,
} from './redis-target.js';

/** Pauses between two tries to connect: at random, so that replicas do not come back all at once. */
const RETRY = { baseMs: 50, maxMs: 1_000 };
const RETRY_MIN_MS = 10;
const CONNECT_TIMEOUT_MS = 1_000;

/** Time-outs of a command without a word from the server, after which a new connection is made. */
const SILENCE_FACTOR = 2;

/** How often a cluster is asked which node has what. A moved slot is noticed without it. */
const SLOTS_REFRESH_MS = 5_000;

/** How long a start waits for Redis. */
export const READY_LIMIT_MS = 10_000;

export interface ConnectOptions {
  readonly name: string;
  /** After which a command counts as unanswered: it may or may not be done. */
  readonly commandTimeoutMs: number;
  readonly log: Log;
}

export function connect(target: RedisTarget, options: ConnectOptions): Redis {
  const client = open(target, options);
  if (typeof target === 'object' && 'sentinels' in target) keepTrying(client);
  logChanges(client, options.log.child({ connection: options.name }));
  return client;
}

const pauseOf = (tries: number): number => RETRY_MIN_MS + fullJitterMs(tries, RETRY, Math.random());

/** What holds for every connection, to whatever it leads. */
const commonOf = ({ name, commandTimeoutMs }: ConnectOptions) =>
  ({
    connectionName: `berth-${name}`,
    commandTimeout: commandTimeoutMs,
    // A peer that vanished, or a master that hangs, does not close its connection: without this every
    // command would run into its time-out for as long as the kernel hopes, which is many minutes.
    socketTimeout: commandTimeoutMs * SILENCE_FACTOR,
    connectTimeout: CONNECT_TIMEOUT_MS,
    // A command whose reply was lost may have been carried out: sent again, it would count twice.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 1,
    // After a failover the old master is a replica, or has none left; its name leads to the new one.
    reconnectOnError: (error: Error) => /^(READONLY|NOREPLICAS)/.test(error.message),
    replyMapping: 'legacy',
  }) satisfies RedisOptions;

function open(target: RedisTarget, options: ConnectOptions): Redis {
  const tuned = {
    ...commonOf(options),
    // Callers hear at once that Redis is away instead of queueing behind it.
    enableOfflineQueue: false,
    retryStrategy: pauseOf,
  } satisfies RedisOptions;
  if (typeof target === 'string') return new Redis(target, tuned);
  if ('url' in target) return new Redis(target.url, { ...accessOf(target), ...tuned });
  if ('sentinels' in target) return new Redis({ ...sentinelOptions(target), ...tuned });
  return openCluster(target, options);
}

function sentinelOptions(target: SentinelRedis): RedisOptions {
  const { sentinels, name, sentinelUsername, sentinelPassword, tls } = target;
  return {
    ...accessOf(target),
    sentinels: sentinels.map((address) => ({ ...address })),
    name,
    ...(sentinelUsername === undefined ? {} : { sentinelUsername }),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
    ...(tls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: { ...tls } }),
    sentinelCommandTimeout: CONNECT_TIMEOUT_MS,
    sentinelRetryStrategy: pauseOf,
    // A master that hangs keeps its connections: without the Sentinels' word we would stay with it
    // and believe it when it wakes up.
    failoverDetector: true,
    sentinelReconnectStrategy: pauseOf,
  };
}

/**
 * ioredis ends a connection for good when a Sentinel tells of a failover while it is being made, as
 * two failovers in short order do. Nobody but us may end one: it is begun again.
 */
function keepTrying(client: Redis): void {
  let isOver = false;
  let isClosed = false;
  const disconnect = client.disconnect.bind(client);
  client.disconnect = (reconnect = false) => {
    isOver ||= !reconnect;
    disconnect(reconnect);
  };
  client.on('connecting', () => (isClosed = false));
  // Of one that was made and then ended, as by QUIT, this comes first.
  client.on('close', () => (isClosed = true));
  client.on('end', () => {
    if (isOver || isClosed) return;
    setTimeout(() => {
      if (!isOver) client.connect().catch(() => undefined);
    }, pauseOf(1));
  });
}

/** All keys of a cell lie on one node, so that a cluster is to us as one Redis that may move. */
function openCluster(target: ClusterRedis, options: ConnectOptions): Redis {
  const tuned = {
    redisOptions: { ...commonOf(options), ...accessOf(target) },
    enableOfflineQueue: false,
    clusterRetryStrategy: pauseOf,
    slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
    slotsRefreshInterval: SLOTS_REFRESH_MS,
    // Sends again what a broken connection left unanswered, which may have been carried out.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    // Certificates name hosts: the nodes are called as they call themselves.
    ...(target.tls === undefined
      ? {}
      : { dnsLookup: (host: string, done: LookupDone) => done(null, host) }),
  } satisfies ClusterOptions;
  const cluster = new Cluster(
    target.cluster.map((address) => ({ ...address })),
    tuned,
  );
  // It has the same commands; the rest of what is used here (status, events, ends), too.
  return cluster as unknown as Redis;
}

type LookupDone = (error: null, address: string) => void;

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
 * @throws DomainError `ledger_unavailable` when it cannot in time
 */
export async function untilReady(client: Redis, limitMs: number): Promise<void> {
  if (client.status === 'ready') return;
  let trouble: Error | undefined;
  const onError = (error: Error) => {
    trouble = error;
  };
  // What one Sentinel or one node of a cluster says; the error that follows says less.
  let said: Error | undefined;
  const onSaid = (error: Error) => {
    said = error;
  };
  client.on('error', onError).on('sentinelError', onSaid).on('node error', onSaid);
  const ready = await new Promise<boolean>((resolve) => {
    const onReady = () => {
      clearTimeout(timer);
      resolve(true);
    };
    const timer = setTimeout(() => {
      client.off('ready', onReady);
      resolve(false);
    }, limitMs);
    client.once('ready', onReady);
  });
  client.off('error', onError).off('sentinelError', onSaid).off('node error', onSaid);
  if (ready) return;
  const cause = said ?? trouble;
  throw unavailable(`no connection to Redis: ${cause?.message ?? 'it is not ready'}`, cause);
}

/** Finishes what is under way, and ends the connection. */
export async function disconnect(client: Redis): Promise<void> {
  // Where Redis is away there is nothing to wait for.
  const isOver = await client.quit().then(
    () => true,
    () => false,
  );
  // QUIT does not end those that listen to the Sentinels.
  if (!isOver || hasSentinels(client)) client.disconnect();
}

const hasSentinels = ({ options }: Redis): boolean =>
  Array.isArray(options.sentinels) && options.sentinels.length > 0;
