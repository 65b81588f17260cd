/**
 * Every failure that Berth expects, with its stable code. docs/errors.md documents each of them,
 * and a test compares the two. Once published, a code keeps its meaning.
 */

export const ERROR_CODES = {
  invalid_request: { status: 400, title: 'The request is not valid' },
  invalid_json: { status: 400, title: 'The body is not valid JSON' },
  unauthenticated: { status: 401, title: 'A valid bearer token is required' },
  forbidden: { status: 403, title: 'This token does not allow this' },
  not_found: { status: 404, title: 'There is no such thing' },
  method_not_allowed: { status: 405, title: 'This method is not allowed here' },
  request_timeout: { status: 408, title: 'The request took too long to arrive' },
  no_feasible_host: { status: 409, title: 'No host can take this VM' },
  id_conflict: { status: 409, title: 'This id is already taken' },
  name_conflict: { status: 409, title: 'This name is already taken' },
  state_conflict: { status: 409, title: 'The present state does not allow this' },
  claim_refused: { status: 409, title: 'The host has no room for this VM' },
  stale_assignment: { status: 409, title: 'A newer assignment of this VM is known' },
  idempotency_in_progress: { status: 409, title: 'The same request is still being answered' },
  host_not_empty: { status: 409, title: 'The host still has VMs' },
  events_expired: { status: 410, title: 'These events are no longer kept' },
  image_missing: { status: 409, title: 'The host does not have this image' },
  body_too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: { status: 415, title: 'The body must be application/json' },
  disk_too_small: { status: 422, title: 'The disk is smaller than the image' },
  image_invalid: { status: 422, title: 'This image is not taken' },
  plan_too_long: { status: 422, title: 'The plan takes too long' },
  idempotency_key_reused: { status: 422, title: 'This key was used for another request' },
  overloaded: { status: 429, title: 'Too many requests are waiting' },
  rate_limited: { status: 429, title: 'Too many requests' },
  headers_too_large: { status: 431, title: 'The headers are too large' },
  internal_error: { status: 500, title: 'Something broke inside Berth' },
  agent_unreachable: { status: 502, title: 'The host agent did not answer' },
  agent_refused: { status: 502, title: 'The host agent refused' },
  ledger_rebuilding: { status: 503, title: 'The ledger is being rebuilt' },
  ledger_unavailable: { status: 503, title: 'The ledger does not answer' },
  catalogue_unavailable: { status: 503, title: 'The catalogue does not answer' },
  create_in_progress: {
    status: 503,
    title: 'An earlier create with this id is still being settled',
  },
  shutting_down: { status: 503, title: 'This replica is stopping' },
  image_storage_full: { status: 507, title: 'The host has no room for the image' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** One field of a request that is wrong, and what would be right. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
}

export interface DomainErrorOptions {
  /** For the log only: never leaves the process. */
  readonly internal?: string;
  readonly errors?: readonly FieldError[];
  /** What the code adds to its problem document. */
  readonly extra?: Readonly<Record<string, unknown>>;
  readonly retryAfterS?: number;
  readonly cause?: unknown;
}

/** An expected failure. `message` is for the caller and holds nothing secret. */
export class DomainError extends Error {
  override readonly name = 'DomainError';
  readonly code: ErrorCode;
  readonly internal: string | undefined;
  readonly errors: readonly FieldError[] | undefined;
  readonly extra: Readonly<Record<string, unknown>>;
  readonly retryAfterS: number | undefined;

  constructor(code: ErrorCode, message: string, options: DomainErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.internal = options.internal;
    this.errors = options.errors;
    this.extra = options.extra ?? {};
    this.retryAfterS = options.retryAfterS;
  }

  get status(): number {
    return ERROR_CODES[this.code].status;
  }
}

export const hasCode = (error: unknown, code: ErrorCode): error is DomainError =>
  error instanceof DomainError && error.code === code;

/** Stops the process's present work when something that cannot be so is so. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`broken invariant: ${message}`);
}
