/**
 * Names of everything that the ledger keeps in Redis. No other file spells a key, but for scripts
 * that learn the present incarnation as they run.
 * All keys of a cell share one hash tag, so that scripts may touch them together on Redis Cluster.
 */

/** What a cell has once, whatever ledger is in place. */
export interface CellKeys {
  /** Hash: incarnation, epoch, fence, seq. */
  readonly meta: string;
  /** Stream of changes. */
  readonly log: string;
  /** Sorted set of incarnations not in place: by the time of their last part in ms, or 0 when replaced. */
  readonly stagings: string;
  /** The placement lock. */
  readonly lock: string;
  /** Hash that has a field for each process that waits for the lock. */
  readonly lockWaiters: string;
  /** List that has an entry for a moment after the lock was given back. */
  readonly lockFreed: string;
  /** What all of these begin with; for scripts. A ledger's keys go on with its incarnation and `:`. */
  readonly prefix: string;
  /** The keys of one ledger, in place or not. */
  readonly ledger: (incarnation: string) => LedgerKeys;
}

/** What each ledger has for itself, so that another can be built beside it and put in its place. */
export interface LedgerKeys {
  /** Number of the last part that was put in, while it is being built. */
  readonly parts: string;
  /** Set of host ids. */
  readonly hosts: string;
  /** Set of VM ids. */
  readonly vms: string;
  /** Set of keys of groups that have members. */
  readonly groups: string;
  /** Sorted set of VM ids whose booking is not committed, by time of booking in milliseconds. */
  readonly reserved: string;
  /** What keys of hosts, VMs and groups begin with, for scripts that learn of ids as they run. */
  readonly hostPrefix: string;
  readonly vmPrefix: string;
  readonly groupPrefix: string;
  readonly host: (hostId: string) => string;
  readonly vm: (vmId: string) => string;
  readonly group: (key: string) => string;
}

/** What scripts on books.lua are told, as JSON. */
export const bookPrefixes = ({ hostPrefix, vmPrefix, groupPrefix }: LedgerKeys): string =>
  JSON.stringify({ host: hostPrefix, vm: vmPrefix, group: groupPrefix });

/** @param cell name of the cell; it becomes the hash tag */
export function cellKeys(cell: string): CellKeys {
  const prefix = `berth:{${cell}}:`;
  return {
    // Not the name of earlier releases, whose ledgers have other keys: to us there is none yet.
    meta: `${prefix}ledger`,
    log: `${prefix}log`,
    stagings: `${prefix}stagings`,
    lock: `${prefix}lock:placement`,
    lockWaiters: `${prefix}lock:waiters`,
    lockFreed: `${prefix}lock:freed`,
    prefix,
    ledger: (incarnation) => keysUnder(`${prefix}${incarnation}:`),
  };
}

const keysUnder = (prefix: string): LedgerKeys => ({
  parts: `${prefix}parts`,
  hosts: `${prefix}hosts`,
  vms: `${prefix}vms`,
  groups: `${prefix}groups`,
  reserved: `${prefix}reserved`,
  hostPrefix: `${prefix}host:`,
  vmPrefix: `${prefix}vm:`,
  groupPrefix: `${prefix}group:`,
  host: (hostId) => `${prefix}host:${hostId}`,
  vm: (vmId) => `${prefix}vm:${vmId}`,
  group: (key) => `${prefix}group:${key}`,
});
