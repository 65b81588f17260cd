/** From whatever was thrown to a problem document. What was not expected is not told. */
import { DomainError, ERROR_CODES, type ErrorCode } from '../model/errors.js';
import { WHOLE_BODY } from '../wire/field-errors.js';
import { problemType, type ProblemBody } from '../wire/problem.js';

/** Codes that any route may answer, so that the table need not repeat them. */
export const COMMON_ERRORS: readonly ErrorCode[] = [
  'invalid_request',
  'unauthenticated',
  'forbidden',
  'rate_limited',
  'overloaded',
  'request_timeout',
  'headers_too_large',
  'internal_error',
  'shutting_down',
];

/** Codes that any route with a body may answer. */
export const BODY_ERRORS: readonly ErrorCode[] = [
  'invalid_json',
  'body_too_large',
  'unsupported_media_type',
];

/** Codes that any route with an Idempotency-Key may answer. */
export const KEY_ERRORS: readonly ErrorCode[] = [
  'idempotency_in_progress',
  'idempotency_key_reused',
  'catalogue_unavailable',
];

/** The document for an expected failure. What the code adds never hides the standard fields. */
export const problemOf = (error: DomainError, requestId: string): ProblemBody => ({
  ...error.extra,
  type: problemType(error.code),
  title: ERROR_CODES[error.code].title,
  status: error.status,
  code: error.code,
  detail: error.message,
  requestId,
  ...(error.errors === undefined ? {} : { errors: [...error.errors] }),
});

/** By the `type` that the body reader gives its errors. */
const OF_TYPE: Readonly<Record<string, () => DomainError>> = {
  'entity.parse.failed': () =>
    new DomainError('invalid_json', 'The body is not valid JSON.', {
      errors: [{ field: WHOLE_BODY, message: 'must be valid JSON' }],
    }),
  'charset.unsupported': () => mediaTypeError('content-type', 'must be application/json in UTF-8'),
  'encoding.unsupported': () =>
    mediaTypeError('content-encoding', 'must be absent: compressed bodies are not read'),
  'request.aborted': () => malformed('(body)', 'broke off before its end'),
  'request.size.invalid': () => malformed('(body)', 'must be as long as Content-Length says'),
};

/** @param header which says that the body is of another kind */
export const mediaTypeError = (header: string, message: string): DomainError =>
  new DomainError(
    'unsupported_media_type',
    'Send the body as application/json in UTF-8, uncompressed.',
    { errors: [{ field: header, message }], extra: { accepted: 'application/json' } },
  );

/** For requests that go wrong before there are fields to check. */
export const malformed = (field: string, message: string): DomainError =>
  new DomainError('invalid_request', `The request is malformed: ${field} ${message}.`, {
    errors: [{ field, message }],
  });

/** Everything as a DomainError; what nobody expected becomes `internal_error`, without its text. */
export function expectedError(thrown: unknown): DomainError {
  if (thrown instanceof DomainError) return thrown;
  if (thrown instanceof Error) {
    // The router's word on a path that cannot be decoded.
    if (thrown.name === 'URIError') {
      return malformed('(path)', 'must be valid percent-encoded UTF-8');
    }
    if ('type' in thrown && 'status' in thrown && Number(thrown.status) < 500) {
      return OF_TYPE[String(thrown.type)]?.() ?? malformed('(body)', 'cannot be read');
    }
  }
  return new DomainError('internal_error', 'Something broke; the log of Berth tells more.', {
    cause: thrown,
  });
}

/** What a caller may do about being turned away comes with a time, even if nobody named one. */
export const retryAfterOf = ({ status, retryAfterS }: DomainError): number | undefined =>
  retryAfterS ?? (status === 429 || status === 503 ? 1 : undefined);
