/** Which failures of PostgreSQL mean "no answer": then what was asked may or may not have happened. */
import { DomainError } from '../model/errors.js';

/** Codes of Node's sockets that mean that the connection is gone or never was. */
const SOCKET_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOENT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** Classes of SQLSTATE: 08 connection, 53 out of resources, 57 operator's hand (57014 = time-out). */
const SERVER_CLASSES = /^(08|53|57)/;

/** What pg throws without a code. */
const MESSAGES =
  /connection terminated|timeout|time-out|client has encountered a connection error/i;

export function isNoAnswer(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return (
    SOCKET_CODES.has(code) ||
    SERVER_CLASSES.test(code) ||
    (code === '' && MESSAGES.test(error.message))
  );
}

/** Deadlock and serialization failure: nothing was written, and the same call may succeed. */
export const isRetryable = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === '40P01' || error.code === '40001');

export const isUniqueViolation = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === '23505';

/** Runs a call of the database. @throws DomainError `catalogue_unavailable` when there is no answer */
export async function answered<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    if (!isNoAnswer(cause)) throw cause;
    throw new DomainError(
      'catalogue_unavailable',
      'The catalogue (PostgreSQL) does not answer; try again.',
      { retryAfterS: 2, cause },
    );
  }
}
