/**
 * Refuses a Redis that may throw keys away when its memory is full, on every node that may be or
 * become the master: a replica has a configuration of its own.
 */
import { Cluster, Redis } from 'ioredis';
import type { Log } from '../model/ports.js';
import { answered } from './failures.js';
import { accessOf, placeOf, type NodeAddress, type RedisTarget } from './redis-target.js';

const LOOK_LIMIT_MS = 2_000;

/** @throws Error that says which node, and how to mend it */
export async function checkEviction(client: Redis, target: RedisTarget, log: Log): Promise<void> {
  const cluster: unknown = client;
  if (cluster instanceof Cluster) {
    for (const node of cluster.nodes('all')) {
      const { host = '', port = 0 } = node.options;
      await checkNode(node, placeOf({ host, port }), log);
    }
    return;
  }
  await checkNode(client, null, log);
  if (typeof target === 'string' || !('sentinels' in target)) return;
  for (const address of replicasIn(await answered(client.info('replication')))) {
    const replica = new Redis({
      ...address,
      ...accessOf(target),
      lazyConnect: true,
      retryStrategy: null,
      connectTimeout: LOOK_LIMIT_MS,
      commandTimeout: LOOK_LIMIT_MS,
    });
    replica.on('error', () => undefined);
    try {
      await checkNode(replica, placeOf(address), log);
    } finally {
      replica.disconnect();
    }
  }
}

/** `slave0:ip=10.0.0.3,port=6379,state=online,…` */
const replicasIn = (replication: string): readonly NodeAddress[] =>
  [...replication.matchAll(/^slave\d+:ip=([^,\r]+),port=(\d+)/gm)].map(([, host = '', port]) => ({
    host,
    port: Number(port),
  }));

/** @param place null for the one that the start depends on anyway */
async function checkNode(node: Redis, place: string | null, log: Log): Promise<void> {
  let memory: string;
  try {
    // CONFIG is often forbidden where Redis is a service; INFO tells the same.
    memory = await answered(node.info('memory'));
  } catch (error) {
    if (place === null) throw error;
    // It may be down; that is what the others are for.
    log.warn('a node of Redis was not asked for its maxmemory-policy', { node: place, error });
    return;
  }
  const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1];
  if (policy === undefined) {
    log.warn('this Redis does not tell its maxmemory-policy; it must be noeviction');
    return;
  }
  if (policy === 'noeviction') return;
  const who = place === null ? 'Redis' : `The Redis node ${place}`;
  throw new Error(
    `${who} has maxmemory-policy ${policy}: when its memory is full it would throw bookings away ` +
      'and hosts would be booked twice. Set "maxmemory-policy noeviction" in its configuration ' +
      '(or run: redis-cli config set maxmemory-policy noeviction) and start again.',
  );
}
