/** One pool of connections, to a PostgreSQL server or to an embedded one; the rest cannot tell. */
import { performance } from 'node:perf_hooks';
import { setImmediate as othersTurn, setTimeout as sleep } from 'node:timers/promises';
import {
  Kysely,
  PostgresDialect,
  type PostgresCursor,
  type PostgresPool,
  type PostgresQueryResult,
} from 'kysely';
import pg from 'pg';
import type { Log } from '../model/ports.js';
import { isNoAnswer, isSilence } from './failures.js';
import { Lane, lanesOf, tooLate, type LaneName } from './lanes.js';
import { openPglite } from './pglite.js';
import { Silence } from './silence.js';

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
  /** The same database, each with a share of the connections; see lanes.ts. */
  readonly lanes: Readonly<Record<LaneName, Database>>;
  readonly close: () => Promise<void>;
}

const CONNECT_LIMIT_MS = 1_500;

/**
 * Between two statements of a transaction. A process that stands still or is cut off keeps its row
 * locks for so long, and callers of the other replicas wait for them 1.7 s at most.
 */
const SILENCE_MAX_MS = 1_200;

/** An embedded database does one statement at a time, in this process: it is slow, but not away. */
const EMBEDDED_WAIT_MS = 30_000;

/** How much longer than the server we wait ourselves, so that its own answer comes first. */
const ANSWER_GRACE_MS = 1_000;

/**
 * What sessions do differently from the server's defaults. record_bookings relies on READ COMMITTED.
 * All statements here are short, and one that is planned to be long (an empty table that was never
 * analysed is thought to hold rows) would be compiled first: 0.4 s for an answer of 1 ms.
 */
const SESSION = '-c default_transaction_isolation=read\\ committed -c jit=off';

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
    ...withSession(address.databaseUrl),
    types,
    max: poolMax,
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
    query_timeout: statementTimeoutMs + ANSWER_GRACE_MS,
    statement_timeout: statementTimeoutMs,
    idle_in_transaction_session_timeout: Math.min(SILENCE_MAX_MS, statementTimeoutMs),
    keepAlive: true,
    application_name: 'berth',
  });
  return joined(pool, options, {});
}

/** Joins `options` of the address with ours, which they would take the place of. */
function withSession(databaseUrl: string): Pick<pg.PoolConfig, 'connectionString' | 'options'> {
  const url = URL.canParse(databaseUrl) ? new URL(databaseUrl) : null;
  const own = url?.searchParams.get('options') ?? null;
  if (url === null || own === null) return { connectionString: databaseUrl, options: SESSION };
  url.searchParams.delete('options');
  return { connectionString: url.href, options: `${own} ${SESSION}` };
}

interface Hooks {
  /** Awaited before every statement. */
  readonly before?: () => Promise<unknown>;
  /** Awaited when the pool has ended. */
  readonly after?: () => Promise<void>;
}

function joined(
  pool: pg.Pool,
  { log, poolMax }: ConnectionOptions,
  { before, after }: Hooks,
): Connection {
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
  const settings = lanesOf(poolMax);
  const open: Lane[] = [];
  const silence = new Silence(() => {
    log.warn('the database does not answer; requests are refused until it does');
    for (const lane of open) if (isImpatient(lane)) lane.refuseWaiting();
  });
  const throughLane = (name: LaneName): Database => {
    const patience = before === undefined ? {} : { waitMaxMs: EMBEDDED_WAIT_MS };
    const lane = new Lane({ ...settings[name], ...patience });
    open.push(lane);
    const dialect = new PostgresDialect({ pool: droppingSilent(pool, lane, silence, before) });
    return new Kysely<Record<string, never>>({ dialect });
  };
  const lanes = {
    requests: throughLane('requests'),
    bookings: throughLane('bookings'),
    loops: throughLane('loops'),
  };
  const close = async () => {
    await Promise.all(Object.values(lanes).map((db) => db.destroy()));
    await pool.end();
    await after?.();
  };
  let closing: Promise<void> | null = null;
  return { lanes, close: () => (closing ??= close()) };
}

/** Loops go on asking, and so find out, too, when it answers again. */
const isImpatient = ({ settings }: Lane): boolean => settings.answerMaxMs !== null;

/**
 * The pool, but a connection that did not answer is not used again: the statement is still under
 * way on it, and every later one would wait behind it.
 */
function droppingSilent(
  pool: pg.Pool,
  lane: Lane,
  silence: Silence,
  before: Hooks['before'],
): PostgresPool {
  const patienceMs = before === undefined ? lane.settings.answerMaxMs : null;
  return {
    // Lanes share the pool; it is ended when all of them are.
    end: () => Promise.resolve(),
    async connect() {
      const endMs =
        patienceMs === null ? Infinity : performance.now() + silence.patienceMs(patienceMs);
      const leftMs = () => endMs - performance.now();
      if (leftMs() <= 0) throw tooLate();
      await lane.enter();
      const client = await connected(pool, leftMs()).catch((error: unknown) => {
        lane.leave();
        if (isSilence(error)) silence.unheard();
        throw error;
      });
      // Beside `query_timeout` of the pool; the driver takes the nearer one of this statement.
      // Statements of one transaction share it.
      const limit = () =>
        patienceMs === null ? {} : { query_timeout: Math.max(1, Math.ceil(leftMs())) };
      let silent = false;
      function query<R>(
        text: string,
        parameters: readonly unknown[],
      ): Promise<PostgresQueryResult<R>>;
      function query<R>(cursor: PostgresCursor<R>): PostgresCursor<R>;
      function query(text: unknown, parameters: readonly unknown[] = []): unknown {
        if (typeof text !== 'string') throw new Error('rows are not streamed here');
        // Such as the rollback of a transaction whose statement is still under way there.
        if (silent) return Promise.reject(new Error('connection terminated: it did not answer'));
        const asked = () => client.query({ text, values: [...parameters], ...limit() });
        return (before === undefined ? asked() : before().then(asked)).then(
          (result) => {
            silence.heard();
            return result;
          },
          (error: unknown) => {
            silent ||= isNoAnswer(error);
            if (isSilence(error)) silence.unheard();
            else silence.heard();
            throw error;
          },
        );
      }
      return {
        query,
        release: () => {
          client.release(silent);
          lane.leave();
        },
      };
    },
  };
}

/** One of the pool's connections, or a refusal in time; one that comes later goes back. */
async function connected(pool: pg.Pool, limitMs: number): Promise<pg.PoolClient> {
  const connecting = pool.connect();
  if (limitMs === Infinity) return connecting;
  const limit = new AbortController();
  const late = sleep(limitMs, null, { signal: limit.signal, ref: false }).catch(() => null);
  try {
    const client = await Promise.race([connecting, late]);
    if (client !== null) return client;
  } finally {
    limit.abort();
  }
  connecting.then(
    (client) => {
      client.release();
    },
    () => undefined,
  );
  throw tooLate();
}
