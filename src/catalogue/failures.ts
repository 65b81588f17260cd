/** What failures of PostgreSQL mean: no answer (it may or may not have happened), try again, a bug. */
import { DomainError } from '../model/errors.js';

/** Codes of Node's sockets that mean that the connection is gone or never was. */
const SOCKET_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOENT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/**
 * SQLSTATE classes 08 (connection), 53 (out of resources) and 57 (operator's hand; 57014 is a
 * statement that took too long), 25P03 (idle in a transaction), 25006 (a standby answers).
 */
const SERVER_STATES = /^(08|53|57|25P03$|25006$)/;

/** What pg throws without a code. */
const MESSAGES =
  /^(connection terminated|query read timeout|timeout exceeded|timeout expired|client has encountered a connection error)/i;

/** Times that a deadlock or a serialization failure is tried again. */
const TRIES_MAX = 4;

/** pg, PGlite and Node each throw errors of their own class; what they share is the code. */
function codeOf(error: unknown): string {
  const coded = typeof error === 'object' && error !== null && 'code' in error;
  return coded && typeof error.code === 'string' ? error.code : '';
}

/** Whether the database did not answer: what was asked may or may not have happened. */
export function isNoAnswer(error: unknown): boolean {
  const code = codeOf(error);
  if (code !== '') return SOCKET_CODES.has(code) || SERVER_STATES.test(code);
  if (!(error instanceof Error)) return false;
  return MESSAGES.test(error.message) || (error.cause !== undefined && isNoAnswer(error.cause));
}

/** Whether there was not even the word that a connection is gone, for as long as we waited. */
export const isSilence = (error: unknown): boolean =>
  error instanceof Error && codeOf(error) === '' && /time-?out/i.test(error.message);

/** Deadlock and serialization failure: nothing was written, and the same call may succeed. */
const isRetryable = (error: unknown): boolean => ['40P01', '40001'].includes(codeOf(error));

/** Whether a row was refused because another one has this value. */
export const isDuplicate = (error: unknown, constraint: string): boolean =>
  codeOf(error) === '23505' &&
  typeof error === 'object' &&
  error !== null &&
  'constraint' in error &&
  error.constraint === constraint;

/**
 * Runs a call of the database; one that met a deadlock is run again.
 * @throws DomainError `catalogue_unavailable` when there is no answer
 */
export async function answered<T>(call: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await call();
    } catch (cause) {
      if (isRetryable(cause) && tries < TRIES_MAX) continue;
      if (!isNoAnswer(cause) && !isRetryable(cause)) throw cause;
      throw new DomainError(
        'catalogue_unavailable',
        'The catalogue (PostgreSQL) does not answer; try again.',
        { retryAfterS: 2, cause },
      );
    }
  }
}
