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

/** A copy that can be printed: secrets starred, errors spelt out, cycles and depths cut. */
export function printable(value: unknown, depth = 0): unknown {
  if (value instanceof Error) {
    return {
      name: value.name,
      message: maskUrls(value.message),
      ...('code' in value ? { code: value.code } : {}),
      ...('internal' in value ? { internal: value.internal } : {}),
      stack: maskUrls(value.stack ?? ''),
      ...(value.cause === undefined ? {} : { cause: printable(value.cause, depth + 1) }),
    };
  }
  if (typeof value === 'string') return maskUrls(value);
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

/** Stars the password of every URL in a text. */
function maskUrls(text: string): string {
  return text.replaceAll(/(\w+:\/\/[^:@/\s]*):[^@/\s]+@/g, `$1:${REDACTED}@`);
}

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
  const { combine, timestamp, json, colorize, printf } = winston.format;
  const pretty = printf(({ timestamp: time, level, message, ...fields }) => {
    const rest = Object.entries(fields)
      .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
      .join(' ');
    return `${String(time)} ${level} ${String(message)}${rest === '' ? '' : `  ${rest}`}`;
  });
  return winston.createLogger({
    level: options.level,
    format: options.pretty
      ? combine(redact(), timestamp({ format: 'HH:mm:ss.SSS' }), colorize(), pretty)
      : combine(redact(), timestamp(), json()),
    transports: [new winston.transports.Stream({ stream: options.stream ?? process.stderr })],
  });
}
