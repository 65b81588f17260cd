/** One pool of connections, to a PostgreSQL server or to an embedded one; the rest cannot tell. */
import { Kysely, PostgresDialect, type Dialect } from 'kysely';
import pg from 'pg';
import type { Log } from '../model/ports.js';
import { openPglite } from './pglite.js';

export type DatabaseAddress = { readonly databaseUrl: string } | { readonly pgliteDir: string };

export interface ConnectionOptions {
  readonly log: Log;
  readonly poolMax: number;
  /** For one statement, here and at the server. */
  readonly statementTimeoutMs: number;
}

/** Tables are typed where their rows are read; see rows.ts. */
export type Database = Kysely<Record<string, never>>;

export interface Connection {
  readonly db: Database;
  close(): Promise<void>;
}

const CONNECT_LIMIT_MS = 3_000;

const BIGINT = 20;

/** Whole numbers of 64 bits are numbers here: amounts and counters stay below 2^53. */
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === BIGINT && format !== 'binary'
      ? Number
      : pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser,
};

export async function connect(
  address: DatabaseAddress,
  options: ConnectionOptions,
): Promise<Connection> {
  if ('pgliteDir' in address) {
    const embedded = await openPglite(address.pgliteDir);
    const pool = new pg.Pool({ ...embedded.poolConfig, types, max: 1 });
    return joined(pool, options, () => embedded.close());
  }
  const { poolMax, statementTimeoutMs } = options;
  const pool = new pg.Pool({
    connectionString: address.databaseUrl,
    types,
    max: poolMax,
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
    query_timeout: statementTimeoutMs + 1_000,
    statement_timeout: statementTimeoutMs,
    idle_in_transaction_session_timeout: statementTimeoutMs,
    keepAlive: true,
    application_name: 'berth',
  });
  return joined(pool, options, () => Promise.resolve());
}

function joined(pool: pg.Pool, { log }: ConnectionOptions, after: () => Promise<void>): Connection {
  // A connection that breaks while idle is replaced; without a listener it would end the process.
  pool.on('error', (error) => {
    log.warn('an idle database connection broke', { error });
  });
  const dialect: Dialect = new PostgresDialect({ pool });
  const db = new Kysely<Record<string, never>>({ dialect });
  return {
    db,
    async close() {
      await db.destroy();
      await after();
    },
  };
}
