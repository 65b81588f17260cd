/** The part of the catalogue that keeps what has happened. */
import type { EventFilter, EventPlace, FleetEvent } from '../events.js';

export interface EventStore {
  /**
   * Gives committed changes their place in the order of events; any number of replicas may try.
   * @returns the newest place, and whether more changes wait
   */
  sequenceEvents(): Promise<{ readonly head: EventPlace; readonly more: boolean }>;
  /** Events after one position, up to and with another, oldest first. */
  events(range: {
    readonly after: number;
    readonly upTo: number;
    readonly filter: EventFilter;
    readonly limit: number;
  }): Promise<readonly FleetEvent[]>;
  /**
   * Where a reader that has seen this event goes on; null when it is no longer (or was never) kept.
   * @param within an event that is not at or below this path is one that never was
   */
  positionOf(key: string, within?: string): Promise<number | null>;
  /**
   * The place of the newest event at or below this path that is kept, up to a position; the very
   * beginning when there is none.
   */
  newestBelow(path: string, upTo: number): Promise<EventPlace>;
  /** Forgets events older than this, at most a few thousand. @returns how many */
  purgeEvents(olderThanMs: number): Promise<number>;
}
