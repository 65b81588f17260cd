/**
 * Names of everything that the ledger keeps in Redis. No other file spells a key.
 * All keys of a cell share one hash tag, so that scripts may touch them together on Redis Cluster.
 */

export interface LedgerKeys {
  /** Hash: incarnation, epoch, fence, seq. */
  readonly meta: string;
  /** Stream of changes. */
  readonly log: string;
  /** Set of host ids. */
  readonly hosts: string;
  /** Set of VM ids. */
  readonly vms: string;
  /** Set of keys of groups that have members. */
  readonly groups: string;
  /** Sorted set of VM ids whose booking is not committed, by time of booking in milliseconds. */
  readonly reserved: string;
  /** Sorted set of rebuilds under way, `<epoch>:<token>`, by time of start in milliseconds. */
  readonly stagings: string;
  /** The placement lock. */
  readonly lock: string;
  /** There for a moment after somebody did not get the lock. */
  readonly lockWanted: string;
  /** What keys of hosts, VMs and groups begin with, for scripts that learn of ids as they run. */
  readonly hostPrefix: string;
  readonly vmPrefix: string;
  readonly groupPrefix: string;
  readonly host: (hostId: string) => string;
  readonly vm: (vmId: string) => string;
  readonly group: (key: string) => string;
  /** The same names for a ledger that is being built beside this one. */
  readonly staged: (staging: string) => LedgerKeys;
}

/** What scripts on books.lua are told, as JSON. */
export const bookPrefixes = ({ hostPrefix, vmPrefix, groupPrefix }: LedgerKeys): string =>
  JSON.stringify({ host: hostPrefix, vm: vmPrefix, group: groupPrefix });

/** @param cell name of the cell; it becomes the hash tag */
export const ledgerKeys = (cell: string): LedgerKeys => keysUnder(`berth:{${cell}}:`);

function keysUnder(prefix: string): LedgerKeys {
  return {
    meta: `${prefix}meta`,
    log: `${prefix}log`,
    hosts: `${prefix}hosts`,
    vms: `${prefix}vms`,
    groups: `${prefix}groups`,
    reserved: `${prefix}reserved`,
    stagings: `${prefix}stagings`,
    lock: `${prefix}lock:placement`,
    lockWanted: `${prefix}lock:wanted`,
    hostPrefix: `${prefix}host:`,
    vmPrefix: `${prefix}vm:`,
    groupPrefix: `${prefix}group:`,
    host: (hostId) => `${prefix}host:${hostId}`,
    vm: (vmId) => `${prefix}vm:${vmId}`,
    group: (key) => `${prefix}group:${key}`,
    staged: (staging) => keysUnder(`${prefix}next:${staging}:`),
  };
}
