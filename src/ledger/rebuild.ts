/**
 * Makes a new ledger from the catalogue's snapshot, beside the present one, and swaps it in.
 * Reads no catalogue and decides nothing; control/ knows when a rebuild is due.
 */
import { randomUUID } from 'node:crypto';
import type { ChainableCommander, Redis } from 'ioredis';
import { factsOf, type Host } from '../model/host.js';
import type { CatalogueSnapshot } from '../model/ports.js';
import { addResources, NO_RESOURCES, withoutZeros, type Resources } from '../model/resources.js';
import type { Allocation } from '../model/vm.js';
import { answered, rebuilding, replies } from './failures.js';
import { hashesOfGroups } from './group-hash.js';
import { hashOfHost } from './host-hash.js';
import type { LedgerKeys } from './keys.js';
import { runScript } from './scripts.js';

/** Hosts or VMs that are written in one go. */
const CHUNK = 500;

/** A staging older than this was left behind by a process that died. */
const STAGING_AGE_MAX_MS = 600_000;

export interface Replacement {
  readonly epoch: number;
  /** Highest seq that the catalogue has recorded. */
  readonly highWater: number;
  readonly snapshot: CatalogueSnapshot;
  readonly logLengthMax: number;
}

/**
 * @returns the new incarnation; null when a ledger of this epoch or a later one is there
 * @throws DomainError `ledger_rebuilding` when Redis lost what was staged, `ledger_unavailable`
 */
export async function replaceLedger(
  redis: Redis,
  keys: LedgerKeys,
  replacement: Replacement,
): Promise<string | null> {
  const { epoch } = replacement;
  const present = await answered(redis.hget(keys.meta, 'epoch'));
  if (present !== null && Number(present) >= epoch) return null;

  const nowMs = await redisTimeMs(redis);
  await dropLeftovers(redis, keys, epoch, nowMs);
  const snapshot = {
    hosts: replacement.snapshot.hosts,
    allocations: onePerVm(replacement.snapshot.allocations),
  };
  const groups = hashesOfGroups(snapshot.allocations);
  const staging = `${epoch.toString()}:${randomUUID()}`;
  try {
    await stage(redis, keys, staging, { ...snapshot, groups }, nowMs);
    return await swap(redis, keys, keys.staged(staging), {
      ...replacement,
      snapshot,
      groupCount: groups.size,
    });
  } finally {
    // Where Redis is away, the next rebuild does it.
    await dropStaging(redis, keys, staging).catch(() => undefined);
  }
}

type Hash = Readonly<Record<string, string>>;

interface StagedLedger extends CatalogueSnapshot {
  readonly groups: ReturnType<typeof hashesOfGroups>;
}

/** Writes the new ledger beside the present one. */
async function stage(
  redis: Redis,
  keys: LedgerKeys,
  staging: string,
  { hosts, allocations, groups }: StagedLedger,
  nowMs: number,
): Promise<void> {
  const staged = keys.staged(staging);
  const used = sumsPerHost(allocations);
  // Noted with every chunk: Redis may be emptied between two, and what follows is to be found.
  const note = (pipeline: ChainableCommander, set: string, ids: readonly string[]) => {
    pipeline.zadd(keys.stagings, nowMs, staging);
    pipeline.sadd(set, ...ids);
  };
  const writeHost = (pipeline: ChainableCommander, host: Host) => {
    pipeline.hset(
      staged.host(host.id),
      hashOfHost(factsOf(host), used.get(host.id) ?? NO_RESOURCES),
    );
  };
  const writeVm = (pipeline: ChainableCommander, allocation: Allocation) => {
    pipeline.hset(staged.vm(allocation.vmId), hashOfAllocation(allocation, nowMs));
  };
  const writeGroup = (pipeline: ChainableCommander, [key, hash]: readonly [string, Hash]) => {
    pipeline.hset(staged.group(key), hash);
  };
  const idOf = ({ id }: Host) => id;
  const vmIdOf = ({ vmId }: Allocation) => vmId;
  const keyOf = ([key]: readonly [string, Hash]) => key;
  await inChunks(redis, hosts, writeHost, (to, some) => {
    note(to, staged.hosts, some.map(idOf));
  });
  await inChunks(redis, allocations, writeVm, (to, some) => {
    note(to, staged.vms, some.map(vmIdOf));
  });
  await inChunks(redis, [...groups], writeGroup, (to, some) => {
    note(to, staged.groups, some.map(keyOf));
  });
}

async function swap(
  redis: Redis,
  keys: LedgerKeys,
  staged: LedgerKeys,
  {
    epoch,
    highWater,
    snapshot,
    groupCount,
    logLengthMax,
  }: Replacement & { readonly groupCount: number },
): Promise<string | null> {
  const { meta, log, reserved, hosts, vms, groups } = keys;
  const incarnation = randomUUID();
  const reply = await runScript(redis, 'rebuild-swap', {
    keys: {
      ...{ meta, log, reserved, hosts, vms, groups },
      ...{ stagedHosts: staged.hosts, stagedVms: staged.vms, stagedGroups: staged.groups },
    },
    args: {
      epoch,
      incarnation,
      highWater,
      hostCount: snapshot.hosts.length,
      vmCount: snapshot.allocations.length,
      groupCount,
      logLengthMax,
      prefixes: JSON.stringify({
        host: keys.hostPrefix,
        vm: keys.vmPrefix,
        group: keys.groupPrefix,
        stagedHost: staged.hostPrefix,
        stagedVm: staged.vmPrefix,
        stagedGroup: staged.groupPrefix,
      }),
    },
  });
  if (reply.code === 'INCOMPLETE') throw rebuilding('Redis lost a part of the new ledger');
  return reply.code === 'SWAPPED' ? incarnation : null;
}

/** Stagings of earlier epochs can no longer be swapped in; old ones have lost their process. */
async function dropLeftovers(
  redis: Redis,
  keys: LedgerKeys,
  epoch: number,
  nowMs: number,
): Promise<void> {
  const found = await answered(redis.zrange(keys.stagings, 0, '-1', 'WITHSCORES'));
  for (let at = 0; at < found.length; at += 2) {
    const staging = found[at] ?? '';
    const ageMs = nowMs - Number(found[at + 1]);
    if (Number.parseInt(staging, 10) < epoch || ageMs > STAGING_AGE_MAX_MS) {
      await dropStaging(redis, keys, staging);
    }
  }
}

/** Deletes what is left of a staging; after a swap that is only its name. */
async function dropStaging(redis: Redis, keys: LedgerKeys, staging: string): Promise<void> {
  const staged = keys.staged(staging);
  for (const [set, keyOf] of [
    [staged.hosts, staged.host],
    [staged.vms, staged.vm],
    [staged.groups, staged.group],
  ] as const) {
    const ids = await answered(redis.smembers(set));
    await inChunks(redis, ids, (pipeline, id) => pipeline.del(keyOf(id)));
    await answered(redis.del(set));
  }
  await answered(redis.zrem(keys.stagings, staging));
}

async function inChunks<T>(
  redis: Redis,
  items: readonly T[],
  write: (pipeline: ChainableCommander, item: T) => unknown,
  first: (pipeline: ChainableCommander, chunk: readonly T[]) => void = () => undefined,
): Promise<void> {
  for (let from = 0; from < items.length; from += CHUNK) {
    const pipeline = redis.pipeline();
    const chunk = items.slice(from, from + CHUNK);
    first(pipeline, chunk);
    for (const item of chunk) write(pipeline, item);
    await replies(pipeline);
  }
}

const hashOfAllocation = (allocation: Allocation, nowMs: number): Record<string, string> => ({
  host: allocation.hostId,
  amounts: JSON.stringify(withoutZeros(allocation.resources)),
  path: allocation.path,
  ...(allocation.groups.length === 0 ? {} : { groups: JSON.stringify(allocation.groups) }),
  state: 'committed',
  at: nowMs.toString(),
  booking: allocation.bookingId,
  assignment: allocation.assignment.toString(),
});

/** The ledger has one key per VM; should the snapshot have more, the newest assignment counts. */
function onePerVm(allocations: readonly Allocation[]): readonly Allocation[] {
  const newest = new Map<string, Allocation>();
  for (const allocation of allocations) {
    const other = newest.get(allocation.vmId);
    if (other === undefined || other.assignment < allocation.assignment) {
      newest.set(allocation.vmId, allocation);
    }
  }
  return [...newest.values()];
}

function sumsPerHost(allocations: readonly Allocation[]): ReadonlyMap<string, Resources> {
  const sums = new Map<string, Resources>();
  for (const { hostId, resources } of allocations) {
    sums.set(hostId, addResources(sums.get(hostId) ?? NO_RESOURCES, withoutZeros(resources)));
  }
  return sums;
}

async function redisTimeMs(redis: Redis): Promise<number> {
  const [seconds, microseconds] = await answered(redis.time());
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
}
