/** Places for what goes on for long: so many of a kind at once in one replica, and no more. */
import { DomainError } from '../model/errors.js';

export interface Slots {
  /** @returns how to give the place back @throws DomainError `overloaded` */
  take(): () => void;
}

const RETRY_AFTER_S = 10;

/** @param full what to say when there is no place */
export function createSlots(max: number, full: string): Slots {
  let taken = 0;
  return {
    take() {
      if (taken >= max) throw new DomainError('overloaded', full, { retryAfterS: RETRY_AFTER_S });
      taken += 1;
      let isTaken = true;
      return () => {
        if (isTaken) taken -= 1;
        isTaken = false;
      };
    },
  };
}
