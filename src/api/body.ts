/** Reading a JSON body, whatever its JSON is; what it must be, the route's schema says. */
import express, { type Request, type Response } from 'express';
import { DomainError } from '../model/errors.js';
import { WHOLE_BODY } from '../wire/field-errors.js';
import { mediaTypeError } from './problem.js';

const JSON_MEDIA_TYPE = 'application/json';

/** For a body to arrive, from the end of the headers on. */
const BODY_LIMIT_MS = 30_000;

/** @returns undefined when there is no body */
export type BodyReader = (request: Request, response: Response) => Promise<unknown>;

/**
 * @param bytesMax a longer body is refused
 */
export function createBodyReader(bytesMax: number): BodyReader {
  const parse = express.json({
    limit: bytesMax,
    // A lone number is valid JSON; that it is no object is for the schema to say.
    strict: false,
    // A small body must not become a large one.
    inflate: false,
    type: JSON_MEDIA_TYPE,
  });

  return (request, response) =>
    new Promise((resolve, reject) => {
      const bytes = bodyBytes(request);
      if (bytes === 0) {
        resolve(undefined);
        return;
      }
      if (request.is(JSON_MEDIA_TYPE) === false) {
        reject(mediaTypeError('content-type', `must be ${JSON_MEDIA_TYPE}`));
        return;
      }
      // Refused by its announcement, before a byte of it is read.
      if (bytes > bytesMax) {
        reject(tooLarge(bytesMax));
        return;
      }
      const late = setTimeout(() => {
        reject(new DomainError('request_timeout', 'The body took too long to arrive.'));
      }, BODY_LIMIT_MS);
      parse(request, response, (error?: unknown) => {
        clearTimeout(late);
        if (error === undefined) resolve(request.body as unknown);
        else reject(isTooLarge(error) ? tooLarge(bytesMax) : asError(error));
      });
    });
}

/** Announced length; NaN (compares false) for a body whose length is not announced. */
function bodyBytes(request: Request): number {
  if (request.headers['transfer-encoding'] !== undefined) return Number.NaN;
  return Number(request.headers['content-length'] ?? 0);
}

const tooLarge = (bytesMax: number): DomainError =>
  new DomainError('body_too_large', `A body may have ${bytesMax.toString()} bytes at most.`, {
    errors: [{ field: WHOLE_BODY, message: `must have at most ${bytesMax.toString()} bytes` }],
  });

const isTooLarge = (error: unknown): boolean =>
  error instanceof Error && 'type' in error && error.type === 'entity.too.large';

const asError = (error: unknown): Error =>
  error instanceof Error ? error : new Error('the body reader failed', { cause: error });
