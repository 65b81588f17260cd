/** One pool of connections, to a PostgreSQL server or to an embedded one; the rest cannot tell. */
import { setImmediate as othersTurn } from 'node:timers/promises';
import {
  Kysely,
  PostgresDialect,
  type PostgresCursor,
  type PostgresPool,
  type PostgresQueryResult,
} from 'kysely';
import pg from 'pg';
import type { Log } from '../model/ports.js';
import { isNoAnswer } from './failures.js';
import { openPglite } from './pglite.js';

export type DatabaseAddress = { readonly databaseUrl: string } | { readonly pgliteDir: string };

export interface ConnectionOptions {
  readonly log: Log;
  readonly poolMax: number;
  /** For one statement, at the server. */
  readonly statementTimeoutMs: number;
}

/** Tables are typed where their rows are read; see rows.ts. */
export type Database = Kysely<Record<string, never>>;

export interface Connection {
  readonly db: Database;
  readonly close: () => Promise<void>;
}

const CONNECT_LIMIT_MS = 3_000;

/** How much longer than the server we wait ourselves, so that its own answer comes first. */
const ANSWER_GRACE_MS = 1_000;

/** Whole numbers of 64 bits are numbers here: amounts and counters stay below 2^53. */
const types = new pg.TypeOverrides();
types.setTypeParser(pg.types.builtins.INT8, Number);

/** @throws Error when an embedded database is in use by another process */
export async function connect(
  address: DatabaseAddress,
  options: ConnectionOptions,
): Promise<Connection> {
  if ('pgliteDir' in address) {
    const embedded = await openPglite(address.pgliteDir);
    // One session, and it must not be ended for being idle: all clients share it.
    const settings = { types, max: 1, idleTimeoutMillis: 0 };
    const pool = new pg.Pool(Object.assign(settings, embedded.poolConfig));
    // It works in this thread and answers without any input or output, so that statements in a row
    // would keep all else from its turn: requests, Redis, the answers of agents.
    return joined(pool, options, { before: othersTurn, after: () => embedded.close() });
  }
  const { poolMax, statementTimeoutMs } = options;
  const pool = new pg.Pool({
    connectionString: address.databaseUrl,
    types,
    max: poolMax,
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
    query_timeout: statementTimeoutMs + ANSWER_GRACE_MS,
    statement_timeout: statementTimeoutMs,
    idle_in_transaction_session_timeout: statementTimeoutMs,
    keepAlive: true,
    application_name: 'berth',
    // record_bookings relies on it, whatever the server's default is.
    options: '-c default_transaction_isolation=read\\ committed',
  });
  return joined(pool, options, {});
}

interface Hooks {
  /** Awaited before every statement. */
  readonly before?: () => Promise<unknown>;
  /** Awaited when the pool has ended. */
  readonly after?: () => Promise<void>;
}

function joined(pool: pg.Pool, { log }: ConnectionOptions, { before, after }: Hooks): Connection {
  // Errors without a listener would end the process, and the pool listens only while a connection is
  // idle: not between two statements, nor in the moment when it is handed out. A broken one is
  // replaced by the pool.
  pool.on('connect', (client) => {
    client.on('error', (error) => {
      log.debug('a database connection broke', { error });
    });
  });
  pool.on('error', (error) => {
    log.warn('an idle database connection broke', { error });
  });
  const db = new Kysely<Record<string, never>>({
    dialect: new PostgresDialect({ pool: droppingSilent(pool, before) }),
  });
  let closing: Promise<void> | null = null;
  return {
    db,
    close: () => (closing ??= db.destroy().then(() => after?.())),
  };
}

/**
 * The pool, but a connection that did not answer is not used again: the statement is still under
 * way on it, and every later one would wait behind it.
 */
function droppingSilent(pool: pg.Pool, before: Hooks['before']): PostgresPool {
  return {
    end: () => pool.end(),
    async connect() {
      const client = await pool.connect();
      let silent = false;
      function query<R>(
        text: string,
        parameters: readonly unknown[],
      ): Promise<PostgresQueryResult<R>>;
      function query<R>(cursor: PostgresCursor<R>): PostgresCursor<R>;
      function query(text: unknown, parameters: readonly unknown[] = []): unknown {
        if (typeof text !== 'string') throw new Error('rows are not streamed here');
        const asked = () => client.query(text, [...parameters]);
        return (before === undefined ? asked() : before().then(asked)).catch((error: unknown) => {
          silent ||= isNoAnswer(error);
          throw error;
        });
      }
      return {
        query,
        release: () => {
          client.release(silent);
        },
      };
    },
  };
}
