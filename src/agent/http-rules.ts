/**
 * What holds for every call to the agent: who may call, what a body may be, and how failures are
 * told (problem+json). Nothing of VMs is here; see server.ts.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import express, { type ErrorRequestHandler, type RequestHandler, type Response } from 'express';
import { DomainError, ERROR_CODES, type ErrorCode } from '../model/errors.js';
import type { Log } from '../model/ports.js';
import { BOOT_HEADER } from '../wire/agent.js';
import { fieldErrors } from '../wire/field-errors.js';
import { PROBLEM_CONTENT_TYPE, problemType } from '../wire/problem.js';

const BODY_BYTES_MAX = 64 * 1024;
/** From the end of the headers on. */
const BODY_LIMIT_MS = 30_000;

/** Answers of a machine's own interface belong in no cache and are never guessed to be HTML. */
export const plainHeaders: RequestHandler = (_request, response, next) => {
  response.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' });
  next();
};

/** Lets through only who shows the credential; compares in constant time. */
export function requireBearer(credential: string): RequestHandler {
  const expected = digest(credential);
  return (request, response, next) => {
    const shown = /^Bearer ([\x21-\x7e]+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (shown !== undefined && timingSafeEqual(digest(shown), expected)) {
      next();
      return;
    }
    response.set('WWW-Authenticate', 'Bearer');
    next(new DomainError('unauthenticated', 'Show the credential of this agent.'));
  };
}

/**
 * An order may say for which start of the machine it was given. One that was given before the last
 * start is refused: what it was about may be somewhere else by now.
 */
export const forThisBoot =
  (bootId: string): RequestHandler =>
  (request, _response, next) => {
    const meant = request.get(BOOT_HEADER);
    next(
      meant === undefined || meant === bootId
        ? undefined
        : new DomainError('state_conflict', 'This machine was started anew since that was asked.'),
    );
  };

const digest = (text: string) => createHash('sha256').update(text).digest();

const readJson = express.json({ limit: BODY_BYTES_MAX, strict: false, type: 'application/json' });

/** Reads a JSON body, whatever its JSON is; what it must be, a schema says. */
export const jsonBody: readonly RequestHandler[] = [
  (request, _response, next) => {
    const hasBody =
      request.headers['transfer-encoding'] !== undefined ||
      Number(request.headers['content-length'] ?? 0) > 0;
    next(
      hasBody && request.is('application/json') === false
        ? new DomainError('unsupported_media_type', 'Send the body as application/json.')
        : undefined,
    );
  },
  (request, response, next) => {
    // Images take as long as they take; everything else is small.
    const late = setTimeout(() => {
      response.set('Connection', 'close');
      done(new DomainError('request_timeout', 'The body took too long to arrive.'));
    }, BODY_LIMIT_MS);
    let isDone = false;
    const done = (error?: unknown) => {
      if (isDone) return;
      isDone = true;
      clearTimeout(late);
      next(error);
    };
    readJson(request, response, done);
  },
];

/** A schema of wire/, as far as it is needed here. */
interface Schema<T> {
  safeParse(
    value: unknown,
  ): { success: true; data: T } | { success: false; error: Parameters<typeof fieldErrors>[0] };
}

/** @throws DomainError `invalid_request` with every field that is wrong */
export function valid<T>(schema: Schema<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new DomainError('invalid_request', 'Some fields are not valid; see errors.', {
    errors: fieldErrors(parsed.error),
  });
}

/** Tells every failure as a problem document. What was not expected is logged and not told. */
export function problems(log: Log): ErrorRequestHandler {
  // Express knows an error handler by its four parameters.
  return (thrown: unknown, request, response, _next) => {
    const error = expected(thrown);
    if (error.status >= 500) {
      log.error('a call failed', { method: request.method, path: request.path, error: thrown });
    }
    if (response.headersSent) {
      response.destroy();
      return;
    }
    sendProblem(response, error);
  };
}

function sendProblem(response: Response, error: DomainError): void {
  response
    .status(error.status)
    .type(PROBLEM_CONTENT_TYPE)
    .send(
      JSON.stringify({
        ...error.extra,
        type: problemType(error.code),
        title: ERROR_CODES[error.code].title,
        status: error.status,
        code: error.code,
        detail: error.message,
        ...(error.errors === undefined ? {} : { errors: error.errors }),
      }),
    );
}

/** What the body reader and the router throw, by status, where no type tells more. */
const CODE_OF_TYPE: Readonly<Record<string, ErrorCode>> = {
  'entity.parse.failed': 'invalid_json',
  'entity.too.large': 'body_too_large',
  'charset.unsupported': 'unsupported_media_type',
  'encoding.unsupported': 'unsupported_media_type',
};

function expected(thrown: unknown): DomainError {
  if (thrown instanceof DomainError) return thrown;
  if (typeof thrown === 'object' && thrown !== null && 'status' in thrown) {
    const code = 'type' in thrown ? CODE_OF_TYPE[String(thrown.type)] : undefined;
    if (code === 'body_too_large') {
      return new DomainError(code, `A body may have ${BODY_BYTES_MAX.toString()} bytes at most.`);
    }
    if (code === 'unsupported_media_type') {
      return new DomainError(code, 'Send the body as application/json in UTF-8, uncompressed.');
    }
    if (code !== undefined) return new DomainError(code, 'The body is not valid JSON.');
    // Such as a path that cannot be decoded, or a body that broke off.
    if (Number(thrown.status) < 500) {
      return new DomainError('invalid_request', 'The request is malformed.');
    }
  }
  return new DomainError('internal_error', 'The agent failed; its log tells more.');
}
