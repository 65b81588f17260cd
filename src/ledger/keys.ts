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
  /** Sorted set of VM ids whose booking is not committed, by time of booking in milliseconds. */
  readonly reserved: string;
  /** Sorted set of rebuilds under way, `<epoch>:<token>`, by time of start in milliseconds. */
  readonly stagings: string;
  /** The placement lock. */
  readonly lock: string;
  /** What host and VM keys begin with, for scripts that find ids in a set. */
  readonly hostPrefix: string;
  readonly vmPrefix: string;
  readonly host: (hostId: string) => string;
  readonly vm: (vmId: string) => string;
  /** The same names for a ledger that is being built beside this one. */
  readonly staged: (staging: string) => LedgerKeys;
}

/** @param cell name of the cell; it becomes the hash tag */
export const ledgerKeys = (cell: string): LedgerKeys => keysUnder(`berth:{${cell}}:`);

function keysUnder(prefix: string): LedgerKeys {
  return {
    meta: `${prefix}meta`,
    log: `${prefix}log`,
    hosts: `${prefix}hosts`,
    vms: `${prefix}vms`,
    reserved: `${prefix}reserved`,
    stagings: `${prefix}stagings`,
    lock: `${prefix}lock:placement`,
    hostPrefix: `${prefix}host:`,
    vmPrefix: `${prefix}vm:`,
    host: (hostId) => `${prefix}host:${hostId}`,
    vm: (vmId) => `${prefix}vm:${vmId}`,
    staged: (staging) => keysUnder(`${prefix}next:${staging}:`),
  };
}
