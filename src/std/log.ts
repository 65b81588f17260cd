/** Logs: one JSON line an event through winston, or coloured lines for a terminal. */
import winston from 'winston';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface Logger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
  child(fields: Readonly<Record<string, unknown>>): Logger;
}

/** Field names whose values never reach a log, at any depth that a line may have. */
const SECRET_FIELD = /authorization|credential|password|secret|token/i;

const REDACTED = '***';
const DEPTH_MAX = 6;

/** Classes of failures that are part of the work; told by name, for this room knows no other. */
const EXPECTED_NAMES: ReadonlySet<string> = new Set(['DomainError']);

/** A copy that can be printed: secrets starred, errors spelt out, cycles and depths cut. */
export function printable(value: unknown, depth = 0): unknown {
  if (value instanceof Error) return printableError(value, depth);
  if (typeof value === 'string') return maskUrls(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (depth >= DEPTH_MAX) return '…';
  if (Array.isArray(value)) return value.map((item) => printable(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      SECRET_FIELD.test(key) ? REDACTED : printable(item, depth + 1),
    ]),
  );
}

/** An expected failure is told in short: where it was thrown helps nobody. */
function printableError(error: Error, depth: number): unknown {
  const { cause } = error;
  const isExpected = EXPECTED_NAMES.has(error.name) || isSystemError(error);
  const told = {
    name: error.name,
    message: maskUrls(error.message),
    ...('code' in error ? { code: error.code } : {}),
    ...('internal' in error ? { internal: printable(error.internal, depth + 1) } : {}),
  };
  if (!isExpected) {
    return {
      ...told,
      stack: maskUrls(error.stack ?? ''),
      ...(cause === undefined ? {} : { cause: printable(cause, depth + 1) }),
    };
  }
  if (cause === undefined) return told;
  return { ...told, cause: cause instanceof Error ? shortly(cause) : printable(cause, depth + 1) };
}

const shortly = (error: Error) => ({
  ...('code' in error ? { code: error.code } : {}),
  message: maskUrls(error.message),
});

/** A connection that could not be made: its stack shows nothing but Node itself. */
const isSystemError = (error: Error): boolean => 'syscall' in error && error.syscall === 'connect';

/** Stars the password of every URL in a text. */
function maskUrls(text: string): string {
  return text.replaceAll(/(\w+:\/\/[^:@/\s]*):[^@/\s]+@/g, `$1:${REDACTED}@`);
}

/** Lines that nobody will see are dropped before anything is made of them. */
const upTo = (level: LogLevel) =>
  winston.format((info) => ((LEVELS[info.level] ?? 0) <= (LEVELS[level] ?? 0) ? info : false))();

const LEVELS: Readonly<Record<string, number>> = winston.config.npm.levels;

const redact = winston.format((info) => {
  for (const key of Object.keys(info)) {
    info[key] = SECRET_FIELD.test(key) ? REDACTED : printable(info[key]);
  }
  return info;
});

/**
 * @param pretty coloured lines for people instead of JSON
 * @param stream where lines go; standard error when absent
 */
export function createLogger(options: {
  readonly level: LogLevel;
  readonly pretty: boolean;
  readonly stream?: NodeJS.WritableStream;
}): Logger {
  const { combine, timestamp, colorize, printf } = winston.format;
  // What people look for first comes first.
  const json = printf(({ timestamp: time, level, message, ...fields }) =>
    JSON.stringify({ timestamp: time, level, message, ...fields }),
  );
  const pretty = printf(({ timestamp: time, level, message, ...fields }) => {
    const rest = Object.entries(fields)
      .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
      .join(' ');
    return `${String(time)} ${level} ${String(message)}${rest === '' ? '' : `  ${rest}`}`;
  });
  const wanted = upTo(options.level);
  return winston.createLogger({
    level: options.level,
    format: options.pretty
      ? combine(wanted, redact(), timestamp({ format: 'HH:mm:ss.SSS' }), colorize(), pretty)
      : combine(wanted, redact(), timestamp(), json),
    transports: [new winston.transports.Stream({ stream: options.stream ?? process.stderr })],
  });
}
