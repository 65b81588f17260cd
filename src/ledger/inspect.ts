/**
 * Reads everything that the ledger holds, for `verify`. Beside live traffic it cannot be read as of
 * one instant without holding everybody up; so the stream of changes tells what to leave unjudged.
 */
import type { Redis } from 'ioredis';
import type { GroupCount, Membership } from '../model/groups.js';
import type { HeldBooking, LedgerBooks, LedgerMark } from '../model/stores/verify.js';
import type { LedgerBooking } from '../model/ports.js';
import type { Resources } from '../model/resources.js';
import { answered, replies } from './failures.js';
import { entriesOfHash } from './group-hash.js';
import { usedOfHash } from './host-hash.js';
import type { CellKeys } from './keys.js';
import { readHashes } from './read-hashes.js';

/** A stream entry: id, then field, value, field, value, … */
type Entry = readonly [id: string, fields: readonly string[]];

/** Changes that may happen while everything is read; with more, hardly a host would be left. */
const CHANGES_MAX = 5_000;

/** Where the stream is now; null when there is no ledger. */
export async function markOf(redis: Redis, { meta, log }: CellKeys): Promise<LedgerMark | null> {
  const [known, newest] = (await replies(
    redis.multi().hmget(meta, 'incarnation', 'epoch', 'seq').xrevrange(log, '+', '-', 'COUNT', 1),
  )) as [readonly (string | null)[], readonly Entry[]];
  const [incarnation, epoch, seq] = known;
  if (incarnation === null || incarnation === undefined) return null;
  const entryId = newest[0]?.[0] ?? '0-0';
  return { incarnation, epoch: Number(epoch), seq: Number(seq), entryId };
}

/** @returns null when nobody can tell what has changed since the mark */
export async function readBooks(
  redis: Redis,
  cell: CellKeys,
  since: LedgerMark,
): Promise<LedgerBooks | null> {
  const keys = cell.ledger(since.incarnation);
  const [hostIds, vmIds, groupKeys] = (await replies(
    redis.pipeline().smembers(keys.hosts).smembers(keys.vms).smembers(keys.groups),
  )) as [readonly string[], readonly string[], readonly string[]];
  const hostHashes = await readHashes(redis, hostIds.map(keys.host));
  const vmHashes = await readHashes(redis, vmIds.map(keys.vm));
  const groupHashes = await readHashes(redis, groupKeys.map(keys.group));
  const [seconds] = await answered(redis.time());
  const nowMs = Number(seconds) * 1_000;
  const changes = await changesSince(redis, cell, since);
  if (changes === null) return null;
  return {
    ...changes,
    hosts: new Map(hostIds.map((id, at) => [id, usedOfHash(hostHashes[at] ?? {})])),
    bookings: vmIds.flatMap((id, at) => bookingOfHash(id, vmHashes[at] ?? {}, nowMs)),
    groups: new Map(groupKeys.map((key, at) => [key, countsOf(key, groupHashes[at] ?? {})])),
  };
}

type Changes = Pick<LedgerBooks, 'seq' | 'changedHosts' | 'changedGroups'>;

async function changesSince(
  redis: Redis,
  { meta, log }: CellKeys,
  since: LedgerMark,
): Promise<Changes | null> {
  const [known, entries] = (await replies(
    redis
      .multi()
      .hmget(meta, 'incarnation', 'seq')
      .xrange(log, `(${since.entryId}`, '+', 'COUNT', CHANGES_MAX + 1),
  )) as [readonly (string | null)[], readonly Entry[]];
  const [incarnation, seq] = known;
  // One entry a change: with one missing (trimmed, or more than were asked for) the rest tells nothing.
  if (incarnation !== since.incarnation || Number(seq) - since.seq !== entries.length) return null;
  const changedHosts = new Set<string>();
  const changedGroups = new Set<string>();
  for (const [, fields] of entries) {
    for (let at = 0; at < fields.length; at += 2) {
      const text = fields[at + 1] ?? '{}';
      if (fields[at] === 'used') keysOfJson(text).forEach((id) => changedHosts.add(id));
      if (fields[at] === 'groups') keysOfJson(text).forEach((key) => changedGroups.add(key));
    }
  }
  return { seq: Number(seq), changedHosts, changedGroups };
}

const keysOfJson = (json: string): readonly string[] => Object.keys(readJson(json, {}));

/** What cannot be read shows as other than what the catalogue says: a finding, not a failure. */
function readJson<T extends object>(json: string, otherwise: T): T {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null ? (value as T) : otherwise;
  } catch {
    return otherwise;
  }
}

/** Empty for a booking that went while it was read. */
function bookingOfHash(
  vmId: string,
  hash: Readonly<Record<string, string>>,
  nowMs: number,
): readonly HeldBooking[] {
  const { booking, host, amounts = '{}', groups = '[]', frees = '[]', state, at = '0' } = hash;
  if (booking === undefined || host === undefined) return [];
  return [
    {
      bookingId: booking,
      vmId,
      hostId: host,
      resources: readJson<Resources>(amounts, {}),
      groups: membershipsIn(groups),
      committed: state === 'committed',
      ageMs: Math.max(0, nowMs - Number(at)),
      frees: freedIn(frees),
    },
  ];
}

function membershipsIn(json: string): readonly Membership[] {
  const list: unknown = readJson<object>(json, []);
  return Array.isArray(list) ? (list as readonly Membership[]) : [];
}

/** As books.lua keeps them: the whole hashes of what was freed. An empty list may be `{}` there. */
function freedIn(json: string): readonly LedgerBooking[] {
  const list: unknown = readJson<object>(json, []);
  if (!Array.isArray(list)) return [];
  return (list as readonly { booking: string; vmId: string; host: string }[]).map(
    ({ booking, vmId, host }) => ({ bookingId: booking, vmId, hostId: host }),
  );
}

const countsOf = (
  key: string,
  hash: Readonly<Record<string, string>>,
): ReadonlyMap<string, GroupCount> =>
  new Map([...entriesOfHash(key, hash)].map(([, hostId, count]) => [hostId, count]));
