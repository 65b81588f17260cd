/**
 * Shares of the connections to the database: requests, bookings and loops each have their own, so
 * that none of them can take all. Who finds its lane full waits for a while and is then refused.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export interface LaneSettings {
  /** Connections in use at once. */
  readonly connectionsMax: number;
  /** Callers that may wait for one; more are refused at once. */
  readonly waitersMax: number;
  /** How long they wait. */
  readonly waitMaxMs: number;
  /** For the wait and a statement together; null: as long as the server allows a statement. */
  readonly answerMaxMs: number | null;
}

export type LaneName = 'requests' | 'bookings' | 'loops';

const WAITERS_MAX = 500;
/**
 * A caller hears within two seconds that the database does not answer. A record may have happened,
 * and is worth a longer wait.
 */
const ANSWER_MAX_MS = { requests: 1_400, bookings: 1_700 };
const WAIT_MAX_MS = 1_000;

/** Batches that the scheduler records at once. */
const BOOKINGS = 2;

/** @param poolMax connections in all */
export function lanesOf(poolMax: number): Readonly<Record<LaneName, LaneSettings>> {
  const shared = Math.max(2, poolMax - BOOKINGS);
  const requests = Math.ceil(shared / 2);
  const impatient = { waitersMax: WAITERS_MAX, waitMaxMs: WAIT_MAX_MS };
  return {
    requests: {
      connectionsMax: requests,
      ...impatient,
      answerMaxMs: ANSWER_MAX_MS.requests,
    },
    bookings: { connectionsMax: BOOKINGS, ...impatient, answerMaxMs: ANSWER_MAX_MS.bookings },
    // Their own limits say how many calls they have under way.
    loops: {
      connectionsMax: shared - requests,
      waitersMax: Infinity,
      waitMaxMs: 3_000,
      answerMaxMs: null,
    },
  };
}

/** Worded as the driver says it, since it means the same: nothing was done. */
export const tooLate = (): Error => new Error('timeout expired while waiting for a connection');

/** Whoever is in the lane, and who waits to get in, in order of arrival. */
export class Lane {
  readonly settings: LaneSettings;
  #present = 0;
  readonly #waiting: ((isIn: boolean) => void)[] = [];

  constructor(settings: LaneSettings) {
    this.settings = settings;
  }

  /** @throws Error when there is no place in time */
  async enter(): Promise<void> {
    const { connectionsMax, waitersMax, waitMaxMs } = this.settings;
    if (this.#present < connectionsMax) {
      this.#present += 1;
      return;
    }
    if (this.#waiting.length >= waitersMax) throw tooLate();
    const limit = new AbortController();
    const called = new Promise<boolean>((resolve) => {
      this.#waiting.push(resolve);
    });
    const mine = this.#waiting.at(-1);
    const late = sleep(waitMaxMs, false, { signal: limit.signal, ref: false }).catch(() => false);
    const isIn = await Promise.race([called, late]);
    limit.abort();
    if (isIn) return;
    const at = mine === undefined ? -1 : this.#waiting.indexOf(mine);
    if (at < 0 && (await called)) return; // In the same moment: the place is this one's after all.
    if (at >= 0) this.#waiting.splice(at, 1);
    throw tooLate();
  }

  /** Whoever waits is refused: there will be no answer. */
  refuseWaiting(): void {
    for (const refuse of this.#waiting.splice(0)) refuse(false);
  }

  leave(): void {
    // Whoever comes next takes the place over, so that nobody slips in between.
    const next = this.#waiting.shift();
    if (next === undefined) this.#present -= 1;
    else next(true);
  }
}
