/** Parties that wait for a place, in order of arrival. Counts requests: a set weighs what it holds. */
import type { Party } from './placing.js';

export class PartyQueue {
  #parties: Party[] = [];
  #size = 0;

  /** Requests that wait. */
  get size(): number {
    return this.#size;
  }

  push(party: Party): void {
    this.#parties.push(party);
    this.#size += party.members.length;
  }

  /** As many as fit into a batch, at least one: a set is never split, however large. */
  take(requestsMax: number): Party[] {
    let count = 0;
    let requests = 0;
    for (const { members } of this.#parties) {
      if (count > 0 && requests + members.length > requestsMax) break;
      count += 1;
      requests += members.length;
    }
    this.#size -= requests;
    return this.#parties.splice(0, count);
  }

  takeAll(): Party[] {
    return this.take(Infinity);
  }

  /**
   * Those for which it is too late: their time is over, or nobody waits for the answer any more.
   * @param now on the clock of the deadlines
   */
  takeStale(now: number): Party[] {
    const isStale = ({ deadline, members }: Party): boolean =>
      deadline <= now || members.every(({ request }) => request.isGone?.() === true);
    const stale = this.#parties.filter(isStale);
    if (stale.length === 0) return stale;
    const gone = new Set(stale);
    this.#parties = this.#parties.filter((party) => !gone.has(party));
    for (const { members } of stale) this.#size -= members.length;
    return stale;
  }
}
