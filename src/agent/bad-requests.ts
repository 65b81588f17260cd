/** Calls that never reach the application because they are not HTTP, too long or too slow. */
import { STATUS_CODES, type Server } from 'node:http';
import { ERROR_CODES, type ErrorCode } from '../model/errors.js';
import { PROBLEM_CONTENT_TYPE, problemType } from '../wire/problem.js';

/** By the code that Node gives its errors; everything else is no valid HTTP. */
const CODE_OF_FAILURE: Readonly<Record<string, ErrorCode>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
  HPE_HEADER_OVERFLOW: 'headers_too_large',
};

/** Tells them as problem documents, as all others are; Node itself would answer next to nothing. */
export function tellBadRequests(server: Server): void {
  server.on('clientError', (failure: Error & { readonly code?: string }, socket) => {
    if (socket.writable && socket.writableLength === 0) {
      socket.end(answerOf(CODE_OF_FAILURE[failure.code ?? ''] ?? 'invalid_request'));
    }
    // What was sent after the mistake is not waited for.
    socket.once('finish', () => socket.destroy());
    if (!socket.writable) socket.destroy();
  });
}

function answerOf(code: ErrorCode): string {
  const { status, title } = ERROR_CODES[code];
  const body = JSON.stringify({
    type: problemType(code),
    title,
    status,
    code,
    detail: `${title}.`,
  });
  return [
    `HTTP/1.1 ${status.toString()} ${STATUS_CODES[status] ?? ''}`,
    `Content-Type: ${PROBLEM_CONTENT_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body).toString()}`,
    'Cache-Control: no-store',
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}
