/**
 * Failures of a start in words that say what to do: which setting is meant, where it leads and what
 * went wrong there. For the terminal only; callers of the API are told what model/errors.ts says.
 */
import { DomainError } from '../model/errors.js';
import { errorCode } from '../std/error-code.js';
import {
  placeOf as nodePlaceOf,
  type NodeAddress,
  type RedisTarget,
} from '../ledger/redis-target.js';
import { printable } from '../std/log.js';

const DEFAULT_REDIS_PORT = 6379;
const DEFAULT_POSTGRES_PORT = 5432;
const SQLSTATE = /^[0-9A-Z]{5}$/;

/** @returns what to throw when a server could not begin to listen */
export function portFailure(error: unknown, variable: string, bind: string, port: number): unknown {
  if (!(error instanceof Error) || !('syscall' in error) || error.syscall !== 'listen') {
    return error;
  }
  const code = errorCode(error) ?? error.message;
  const where = `${bind}:${port.toString()}`;
  const message =
    code === 'EADDRINUSE'
      ? `port ${port.toString()} on ${bind} is in use: stop what uses it, or set ${variable} to another (0 = any free one)`
      : `cannot listen on ${where} (${code}): set ${variable} or ${variable.replace('PORT', 'BIND')}`;
  return new Error(message, { cause: error });
}

/** @returns what to throw when the ledger could not be opened; other faults stay as they are */
export function redisFailure(error: unknown, target: RedisTarget): unknown {
  return error instanceof DomainError ? unavailableRedis(error, target) : error;
}

/** What to throw when a Redis does not answer as it should. */
export function unavailableRedis(error: unknown, target: RedisTarget): Error {
  const { what, remedy } = wordsOfRedis(target);
  return new Error(`${what} cannot be used (${reasonOf(error)}): start it, or ${remedy}`, {
    cause: error,
  });
}

/** What it is, and which setting names it. */
function wordsOfRedis(target: RedisTarget): { readonly what: string; readonly remedy: string } {
  if (typeof target === 'string' || 'url' in target) {
    const url = typeof target === 'string' ? target : target.url;
    return {
      what: `Redis at ${placeOf(url, DEFAULT_REDIS_PORT)}`,
      remedy: `set REDIS_URL (now ${starred(url)})`,
    };
  }
  const listed = (nodes: readonly NodeAddress[]) => nodes.map(nodePlaceOf).join(', ');
  if ('cluster' in target) {
    return { what: `the Redis Cluster at ${listed(target.cluster)}`, remedy: 'set REDIS_CLUSTER' };
  }
  return {
    what: `the master ${target.name} of the Sentinels ${listed(target.sentinels)}`,
    remedy: 'set REDIS_SENTINELS and REDIS_SENTINEL_NAME',
  };
}

/** @returns what to throw when the catalogue could not be opened; other faults stay as they are */
export function databaseFailure(error: unknown, url: string): unknown {
  if (!(error instanceof DomainError) && !SQLSTATE.test(errorCode(error) ?? '')) return error;
  return new Error(
    `PostgreSQL at ${placeOf(url, DEFAULT_POSTGRES_PORT)} cannot be used (${reasonOf(error)}): start it, or set DATABASE_URL (now ${starred(url)})`,
    { cause: error },
  );
}

/** Host and port, or the path of a socket. */
function placeOf(url: string, defaultPort: number): string {
  if (!URL.canParse(url)) return starred(url);
  const { hostname, port } = new URL(url);
  return `${hostname === '' ? 'localhost' : hostname}:${port === '' ? defaultPort.toString() : port}`;
}

const starred = (url: string): string => String(printable(url));

/** The innermost failure: there is what really happened. */
function reasonOf(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause !== undefined) inner = inner.cause;
  const code = errorCode(inner);
  const message = inner instanceof Error ? starred(inner.message) : String(inner);
  if (inner instanceof DomainError) return inner.internal ?? message;
  if (code === undefined) return message;
  // The message of a socket's failure says no more than its code and the place.
  return SQLSTATE.test(code) ? `${code}: ${message}` : code;
}
