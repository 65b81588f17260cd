/** How a command fails: an exit code, and what a person is told. Printing it is report.ts's work. */
import type { FieldError } from '../model/errors.js';

/** Exit codes of every command; `berth --help` and docs/cli.md list them. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  conflict: 4,
  unreachable: 5,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface FailureDetails {
  /** Stable code of the problem document, where there was one. */
  readonly code?: string | undefined;
  readonly errors?: readonly FieldError[] | undefined;
  /** More lines about what went wrong. */
  readonly lines?: readonly string[] | undefined;
  /** What to do about it. */
  readonly hint?: string | undefined;
  readonly requestId?: string | undefined;
  /** Set when the request was sent and no answer came: its effect is unknown. */
  readonly unsure?: boolean | undefined;
  readonly cause?: unknown;
}

/** An expected failure of a command. */
export class CliFailure extends Error {
  override readonly name = 'CliFailure';
  readonly exitCode: ExitCode;
  readonly details: FailureDetails;

  constructor(exitCode: ExitCode, message: string, details: FailureDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.exitCode = exitCode;
    this.details = details;
  }
}

/** The `code` that Node and undici give their errors, such as ECONNREFUSED. */
export const systemCode = (error: unknown): string | undefined =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
