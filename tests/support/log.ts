/** A log that prints nothing, for parts whose lines a test does not look at. */
import type { Log } from '../../src/model/ports.js';

export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};
