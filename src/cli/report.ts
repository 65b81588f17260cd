/** Prints a failure for a person: what is wrong, where, what to do. Never a stack. */
import type { CliContext } from './context.js';
import { CliFailure, EXIT, type ExitCode } from './failure.js';
import { plain } from './print.js';

/** @returns the exit code that the failure asks for */
export function report(context: CliContext, error: unknown): ExitCode {
  const { message, details, exitCode } = error instanceof CliFailure ? error : unexpected(error);
  const lines = [
    `error: ${plain(message)}${details.code === undefined ? '' : ` (${plain(details.code)})`}`,
    ...(details.errors ?? []).map((item) => `  ${plain(item.field)}: ${plain(item.message)}`),
    ...(details.lines ?? []).map((line) => `  ${plain(line)}`),
    ...(details.hint === undefined ? [] : [`hint: ${plain(details.hint)}`]),
    ...(details.requestId === undefined ? [] : [`request: ${plain(details.requestId)}`]),
  ];
  context.stderr.write(`${lines.join('\n')}\n`);
  return exitCode;
}

const unexpected = (error: unknown): CliFailure =>
  new CliFailure(EXIT.failure, error instanceof Error ? error.message : String(error));
