/**
 * Builds a ledger beside the present one, swaps it in, and clears the old one away. Reads no
 * catalogue and decides nothing; control/ knows when a rebuild is due and in which order it goes.
 */
import type { Redis } from 'ioredis';
import type { HostFacts } from '../model/host.js';
import type { LedgerPart, LedgerSwap } from '../model/ports.js';
import { NO_RESOURCES, withoutZeros } from '../model/resources.js';
import type { Allocation } from '../model/vm.js';
import { answered, rebuilding, replies } from './failures.js';
import { hashOfHost } from './host-hash.js';
import { bookPrefixes, type CellKeys, type LedgerKeys } from './keys.js';
import { runScript } from './scripts.js';

/** Keys that are deleted in one go. */
const KEYS_MAX = 500;

/** @returns how many VMs there are more */
export async function stagePart(
  redis: Redis,
  cell: CellKeys,
  incarnation: string,
  number: number,
  { hosts, gone, allocations }: LedgerPart,
): Promise<number> {
  const keys = cell.ledger(incarnation);
  const reply = await runScript(redis, 'stage', {
    keys: {
      stagings: cell.stagings,
      parts: keys.parts,
      hosts: keys.hosts,
      vms: keys.vms,
      groups: keys.groups,
      reserved: keys.reserved,
    },
    args: {
      incarnation,
      number,
      prefixes: bookPrefixes(keys),
      newHosts: JSON.stringify(hosts.map(stagedHost)),
      gone: JSON.stringify(gone.map(({ bookingId, vmId }) => ({ bookingId, vmId }))),
      bookings: JSON.stringify(allocations.map(stagedBooking)),
    },
  });
  if (reply.code === 'LOST') throw rebuilding('Redis lost a part of the new ledger');
  return Number(reply.rest[0]);
}

const stagedHost = (facts: HostFacts) => ({
  id: facts.id,
  hash: Object.entries(hashOfHost(facts, NO_RESOURCES)).flat(),
});

/** As the hash of a VM has it; what is stored as JSON is text already. */
const stagedBooking = (allocation: Allocation) => ({
  vmId: allocation.vmId,
  booking: allocation.bookingId,
  host: allocation.hostId,
  path: allocation.path,
  amounts: JSON.stringify(withoutZeros(allocation.resources)),
  ...(allocation.groups.length === 0 ? {} : { groups: JSON.stringify(allocation.groups) }),
  assignment: allocation.assignment.toString(),
});

/** @returns false when a ledger of this epoch or a later one is there */
export async function swapIn(
  redis: Redis,
  cell: CellKeys,
  incarnation: string,
  { epoch, highWater, parts }: LedgerSwap,
  logLengthMax: number,
): Promise<boolean> {
  const { meta, log, stagings } = cell;
  const { code } = await runScript(redis, 'rebuild-swap', {
    keys: { meta, log, stagings, parts: cell.ledger(incarnation).parts },
    args: { epoch, incarnation, highWater, number: parts, logLengthMax },
  });
  if (code === 'INCOMPLETE') throw rebuilding('Redis lost a part of the new ledger');
  return code === 'SWAPPED';
}

/** Clears away ledgers that were replaced, and those that got no part for so long. */
export async function clearAway(redis: Redis, cell: CellKeys, idleMs: number): Promise<void> {
  const [seconds] = await answered(redis.time());
  const before = (Number(seconds) * 1_000 - idleMs).toString();
  for (const incarnation of await answered(redis.zrange(cell.stagings, '0', before, 'BYSCORE'))) {
    await drop(redis, cell.ledger(incarnation));
    await answered(redis.zrem(cell.stagings, incarnation));
  }
}

/** The number of parts goes first: from then on no more can come, and nothing can be swapped in. */
async function drop(redis: Redis, keys: LedgerKeys): Promise<void> {
  await answered(redis.unlink(keys.parts));
  for (const [set, keyOf] of [
    [keys.hosts, keys.host],
    [keys.vms, keys.vm],
    [keys.groups, keys.group],
  ] as const) {
    let cursor = '0';
    do {
      const [next, ids] = await answered(redis.sscan(set, cursor, 'COUNT', KEYS_MAX));
      if (ids.length > 0) await replies(redis.pipeline().unlink(...ids.map(keyOf)));
      cursor = next;
    } while (cursor !== '0');
  }
  await answered(redis.unlink(keys.hosts, keys.vms, keys.groups, keys.reserved));
}
