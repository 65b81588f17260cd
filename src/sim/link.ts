/** The way from a replica to a store or an agent, and what the ledger's double says when it fails. */
import { DomainError } from '../model/errors.js';

/**
 * One trip: the effect happens at the far end, some time, once or not at all, and the answer may get
 * lost. `directly` is the way without faults.
 */
export type Link = <T>(site: string, effect: () => T | Promise<T>) => Promise<T>;

export const directly: Link = async (_site, effect) => await effect();

/** @param internal what exactly went wrong, for the log */
export const unavailable = (internal: string): DomainError =>
  new DomainError('ledger_unavailable', 'The ledger does not answer; try again.', {
    internal,
    retryAfterS: 1,
  });

/** @param internal what exactly was found, for the log */
export const rebuilding = (internal: string): DomainError =>
  new DomainError('ledger_rebuilding', 'The ledger is being rebuilt; try again.', {
    internal,
    retryAfterS: 1,
  });
