/** What goes wrong between us and Redis, in the words of the house. */
import type { ChainableCommander } from 'ioredis';
import { DomainError } from '../model/errors.js';

const RETRY_AFTER_S = 1;

/** @param internal what exactly went wrong, for the log */
export const unavailable = (internal: string, cause?: unknown): DomainError =>
  new DomainError('ledger_unavailable', 'The ledger does not answer; try again.', {
    internal,
    retryAfterS: RETRY_AFTER_S,
    ...(cause === undefined ? {} : { cause }),
  });

/** @param internal what exactly was found, for the log */
export const rebuilding = (internal: string): DomainError =>
  new DomainError('ledger_rebuilding', 'The ledger is being rebuilt; try again.', {
    internal,
    retryAfterS: RETRY_AFTER_S,
  });

/** Waits for a reply; whatever Redis or its client throws becomes `ledger_unavailable`. */
export async function answered<T>(reply: Promise<T>): Promise<T> {
  try {
    return await reply;
  } catch (error) {
    throw unavailable(error instanceof Error ? error.message : 'unknown error', error);
  }
}

/** Replies of a pipeline or transaction, in order; the first error among them is thrown. */
export async function replies(pipeline: ChainableCommander): Promise<unknown[]> {
  const results = await answered(pipeline.exec());
  if (results === null) throw unavailable('the transaction was dropped');
  return results.map(([error, result]) => {
    if (error !== null) throw unavailable(error.message, error);
    return result;
  });
}
