/** What `control` needs of its process: time, log, metrics, places at which a test may stop it. */

/** What cuts a sleep short: as much of an AbortSignal as a sleep needs. */
export type Alarm = Pick<AbortSignal, 'aborted' | 'addEventListener' | 'removeEventListener'>;

export interface Clock {
  /** Milliseconds since 1970, for what people read. */
  now(): number;
  /** Milliseconds from a monotonic clock, for every duration. */
  monotonic(): number;
  /** Resolves after `ms`, or at once when the alarm goes off; never rejects. */
  sleep(ms: number, alarm?: Alarm): Promise<void>;
}

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log with these fields on every line. */
  child(fields: LogFields): Log;
}

/** Counters and timings; names and labels are those of docs/operating.md. */
export interface Telemetry {
  count(name: string, labels?: Readonly<Record<string, string>>, by?: number): void;
  /** @param value seconds of a duration, a size, or the present value of what goes up and down */
  observe(name: string, value: number, labels?: Readonly<Record<string, string>>): void;
}

/** Named places in a journey at which a test may kill the process. */
export const CHECKPOINTS = [
  'create:booked',
  'create:recorded',
  'create:agent-answered',
  'delete:marked',
  'delete:agent-answered',
  'delete:released',
  'move:held',
  'move:marked',
  'move:evicted',
  'move:rebooked',
] as const;
export type Checkpoint = (typeof CHECKPOINTS)[number];
