/**
 * Requests that never reach the application because they are not HTTP, too long or too slow. They
 * too are told as problem documents; Node itself would close the connection with next to nothing.
 */
import { randomUUID } from 'node:crypto';
import { STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { DomainError } from '../model/errors.js';
import type { Log, Telemetry } from '../model/ports.js';
import { PROBLEM_CONTENT_TYPE } from '../wire/problem.js';
import { malformed, problemOf } from './problem.js';

export interface RefusalOptions {
  readonly log: Log;
  readonly telemetry: Telemetry;
  /** On every answer. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * What was sent after the mistake is still taken in for this long: a connection that is closed with
 * unread bytes is reset, and the caller may lose the answer.
 */
const LINGER_MS = 1_000;

/** The label of requests whose method or route nobody can tell. */
const UNKNOWN = '(none)';

/** Answers on the connection itself, for want of a request, and closes it. */
export function refuseBadRequests(server: Server, options: RefusalOptions): void {
  const refused = new WeakSet<Duplex>();
  const inFlight = new WeakMap<Duplex, ServerResponse>();

  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    inFlight.set(request.socket, response);
  });
  server.on('clientError', (error: Error & { readonly code?: string }, socket) => {
    // What follows a mistake is more mistakes.
    if (refused.has(socket)) return;
    refused.add(socket);
    const refusal = refusalOf(error.code ?? '');
    const before = inFlight.get(socket);
    if (before?.req.complete === true && !before.writableFinished) {
      // Answers come in the order of the requests.
      before.once('close', () => {
        refuse(socket, refusal, options);
      });
    } else if (before?.req.complete === false && before.headersSent) {
      // The request has its answer already; one answer is all it gets.
      socket.destroy();
    } else {
      refuse(socket, refusal, options);
    }
  });
  server.on('connect', (_request, socket) => {
    // Node has let go of this connection: nobody else hears when the caller resets it, and an error
    // that nobody hears ends the process.
    socket.on('error', () => {
      socket.destroy();
    });
    const error = new DomainError('method_not_allowed', 'CONNECT is not allowed here.', {
      extra: { allow: [] },
    });
    refuse(socket, error, options);
  });
}

function refuse(
  socket: Duplex,
  error: DomainError,
  { log, telemetry, headers }: RefusalOptions,
): void {
  // Nobody is there to hear it.
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const requestId = randomUUID();
  const status = error.status.toString();
  telemetry.count('berth_http_requests_total', { method: UNKNOWN, route: UNKNOWN, status });
  log.info('request', {
    requestId,
    method: UNKNOWN,
    route: UNKNOWN,
    status,
    code: error.code,
    detail: error.message,
  });
  socket.end(answerText(error, requestId, headers));
  if (error.code === 'request_timeout') {
    // The rest may still arrive, and must not be taken for a request any more.
    socket.once('finish', () => {
      socket.destroy();
    });
    return;
  }
  const linger = setTimeout(() => {
    socket.destroy();
  }, LINGER_MS);
  socket.once('close', () => {
    clearTimeout(linger);
  });
}

function answerText(
  error: DomainError,
  requestId: string,
  headers: Readonly<Record<string, string>>,
): string {
  const body = JSON.stringify(problemOf(error, requestId));
  const lines = Object.entries({
    ...headers,
    'X-Request-Id': requestId,
    'Content-Type': PROBLEM_CONTENT_TYPE,
    'Content-Length': Buffer.byteLength(body).toString(),
    'Cache-Control': 'no-store',
    Date: new Date().toUTCString(),
    Connection: 'close',
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  const reason = STATUS_CODES[error.status] ?? '';
  return `HTTP/1.1 ${error.status.toString()} ${reason}\r\n${lines.join('')}\r\n${body}`;
}

/** By the code that Node gives its errors. */
function refusalOf(code: string): DomainError {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new DomainError('request_timeout', 'The request did not arrive in time.');
    case 'HPE_HEADER_OVERFLOW':
      return new DomainError('headers_too_large', 'Path and headers may have 16 KiB at most.');
    case 'HPE_INVALID_CHUNK_SIZE':
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return malformed('(body)', 'must come in chunks as HTTP has them');
    case 'HPE_INVALID_METHOD':
      return malformed('(request)', 'must begin with a method of HTTP, such as GET');
    case 'HPE_INVALID_URL':
      return malformed('(path)', 'must be a path, such as /v1/vms');
    case 'HPE_INVALID_VERSION':
      return malformed('(request)', 'must be of HTTP/1.1');
    case 'HPE_INVALID_HEADER_TOKEN':
      return malformed('(request)', 'has a header that cannot be read');
    case 'HPE_INVALID_CONTENT_LENGTH':
    case 'HPE_UNEXPECTED_CONTENT_LENGTH':
      return malformed('content-length', 'must be one whole number, and the only length given');
    case 'HPE_INVALID_TRANSFER_ENCODING':
      return malformed('transfer-encoding', 'must be chunked, and the only length given');
    case 'HPE_INVALID_EOF_STATE':
      return malformed('(request)', 'broke off before its end');
    default:
      return malformed('(request)', 'is not valid HTTP/1.1');
  }
}
