/** The control plane's timetable on real time: node-cron, whose ticks fall on the same instants on every replica. */
import cron from 'node-cron';
import type { Log } from '../model/ports.js';
import type { Scheduled } from './ports.js';

/** @returns the port `schedule` for a process that lives in real time */
export const cronSchedule =
  (log: Log) =>
  (name: string, periodS: number, tick: () => Promise<void>): Scheduled => {
    const task = cron.schedule(cronOf(periodS), tick, {
      name,
      noOverlap: true,
      // A tick that comes late in a busy process is made up for by the next one.
      suppressMissedWarning: true,
      logger: cronLogger(log),
    });
    return {
      async stop() {
        await task.stop();
      },
    };
  };

/** What node-cron has to say goes where everything else does, and not to the console. */
const cronLogger = (log: Log) => ({
  debug: () => undefined,
  info: (message: string) => {
    log.debug(message, { part: 'cron' });
  },
  warn: (message: string) => {
    log.debug(message, { part: 'cron' });
  },
  error: (message: string | Error) => {
    log.error(String(message), { part: 'cron' });
  },
});

/**
 * The cron expression of a period that divides a minute, or an hour in whole minutes; the
 * configuration allows no others.
 */
export function cronOf(periodS: number): string {
  if (periodS < 60) return `*/${periodS.toString()} * * * * *`;
  if (periodS < 3_600) return `0 */${(periodS / 60).toString()} * * * *`;
  return '0 0 * * * *';
}
