/** The API of one replica: the application on a listening server, and how it stops in order. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import type { Control } from '../control/control.js';
import type { HostFileVerbs } from '../control/host-files.js';
import type { VerifyVerbs } from '../control/repair-books.js';
import type { Log } from '../model/ports.js';
import type { EventStore } from '../model/stores/events.js';
import type { IdempotencyStore } from '../model/stores/idempotency.js';
import { systemClock } from '../std/clock.js';
import { createApp } from './app.js';
import { EventFeed } from './event-feed.js';
import type { Closing } from './exchange.js';
import { inFlightUpTo } from './in-flight.js';
import { createLimits, DEFAULT_LIMITS, type LimitSettings } from './limits.js';
import type { Metrics } from './metrics.js';
import { createOpenApi } from './openapi.js';
import { refuseBadRequests } from './refusals.js';
import type { CatalogueReader } from './route.js';
import { ROUTES } from './routes.js';
import { securityHeaders } from './security-headers.js';
import { createSlots } from './slots.js';

export interface ApiOptions {
  readonly control: Control & HostFileVerbs & VerifyVerbs;
  readonly catalogue: CatalogueReader & IdempotencyStore & EventStore;
  readonly adminToken: string;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly version: string;
  /** 0: any free port. */
  readonly port: number;
  readonly bind: string;
  readonly bodyBytesMax?: number;
  /** Requests in flight beyond which more are refused. */
  readonly inFlightMax?: number;
  /** How often callers may ask; what is absent has its default. */
  readonly limits?: Partial<LimitSettings>;
  /** How events are followed; what is absent has its default. */
  readonly events?: Partial<typeof DEFAULT_EVENT_LIMITS>;
  /** Where files lie that are on their way to hosts; the system's own directory when absent. */
  readonly uploadDir?: string;
  /** Instead of the usual ones. */
  readonly serverLimits?: Partial<typeof SERVER_LIMITS>;
  /** How long requests in flight may take when this replica stops. */
  readonly closeLimitMs?: number;
}

export interface Api {
  /** @returns the URL under which it answers */
  listen(): Promise<{ readonly url: string; readonly port: number }>;
  /** Takes no more requests, finishes those in flight, and cuts off what takes too long. */
  close(): Promise<void>;
}

const DEFAULT_EVENT_LIMITS = { readersMax: 100, heartbeatMs: 15_000 };

const BODY_BYTES_MAX = 64 * 1024;

/** Files that are taken in at once: they share the disk and the line of this replica. */
const UPLOADS_MAX = 2;
/** Each has a host asked every now and then. */
const FOLLOWERS_MAX = 100;

/** More than are ever in flight while each is answered in time. */
const IN_FLIGHT_MAX = 1_000;

/** Open connections; more are closed before a byte is read. Each may hold up to a body. */
const CONNECTIONS_MAX = 10_000;

/** Below the limit of the whole shut-down, so that the rest still gets its turn. */
const CLOSE_LIMIT_MS = 8_000;

/** How often connections that have become idle are looked for while closing. */
const SWEEP_MS = 50;

/** Against callers that send slowly on purpose. They concern receiving only, not `?wait`. */
const SERVER_LIMITS = {
  headersTimeout: 10_000,
  // Images take long; bodies of JSON have a limit of their own (body.ts).
  requestTimeout: 6 * 3_600_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 5_000,
  maxHeaderSize: 16 * 1024,
  // The application asks for it, and says so.
  requireHostHeader: false,
};

export function createApi(options: ApiOptions): Api {
  const { adminToken, log, metrics, closeLimitMs = CLOSE_LIMIT_MS } = options;
  const closing = createClosing();
  const headers = securityHeaders();
  const { answer, messages } = createApp({
    routes: ROUTES,
    ports: {
      control: options.control,
      catalogue: options.catalogue,
      idempotency: options.catalogue,
      events: new EventFeed({
        store: options.catalogue,
        clock: systemClock,
        log,
        ...DEFAULT_EVENT_LIMITS,
        ...options.events,
      }),
      metrics,
      openApi: JSON.stringify(createOpenApi(ROUTES, options.version)),
      uploads: {
        directory: options.uploadDir ?? tmpdir(),
        slots: createSlots(UPLOADS_MAX, 'This replica takes no more files in at present.'),
      },
      consoleSlots: createSlots(FOLLOWERS_MAX, 'This replica has too many who follow consoles.'),
    },
    adminToken,
    limits: createLimits({ ...DEFAULT_LIMITS, ...options.limits }),
    bodyBytesMax: options.bodyBytesMax ?? BODY_BYTES_MAX,
    log,
    telemetry: metrics,
    closing,
    inFlight: inFlightUpTo(options.inFlightMax ?? IN_FLIGHT_MAX),
    headers,
  });
  const server = createServer({ ...SERVER_LIMITS, ...options.serverLimits, ...messages }, answer);
  server.maxConnections = CONNECTIONS_MAX;
  refuseBadRequests(server, { log, telemetry: metrics, headers });
  // What is expected beyond 100-continue is not known here; the request is answered all the same.
  server.on('checkExpectation', answer);
  let closed: Promise<void> | undefined;
  return {
    listen: () => listen(server, options.port, options.bind),
    close() {
      closing.begin();
      closed ??= closeServer(server, closeLimitMs, log);
      return closed;
    },
  };
}

function createClosing(): Closing & { begin(): void } {
  const listeners = new Set<() => void>();
  let begun = false;
  return {
    isClosing: () => begun,
    onClosing(callback) {
      listeners.add(callback);
      return () => {
        listeners.delete(callback);
      };
    },
    begin() {
      begun = true;
      for (const callback of listeners) callback();
    },
  };
}

function listen(
  server: Server,
  port: number,
  bind: string,
): Promise<{ readonly url: string; readonly port: number }> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, bind, () => {
      server.off('error', reject);
      const { port: taken } = server.address() as AddressInfo;
      resolve({ url: `http://${reachable(bind)}:${taken.toString()}`, port: taken });
    });
  });
}

/** "Every address" is none that one can call. */
function reachable(bind: string): string {
  if (bind === '0.0.0.0' || bind === '') return '127.0.0.1';
  if (bind === '::') return '[::1]';
  return bind.includes(':') ? `[${bind}]` : bind;
}

async function closeServer(server: Server, limitMs: number, log: Log): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
  });
  // A connection that was busy when closing began is not seen by `close` when it falls idle.
  const sweep = setInterval(() => {
    server.closeIdleConnections();
  }, SWEEP_MS);
  const limit = setTimeout(() => {
    log.warn('requests in flight were cut off', { limitMs });
    server.closeAllConnections();
  }, limitMs);
  try {
    await closed;
  } finally {
    clearInterval(sweep);
    clearTimeout(limit);
  }
}
