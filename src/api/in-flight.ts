/**
 * How many requests a replica has in flight. What comes beyond the limit is refused at once, before
 * any work is done for it: under overload, work that is begun and given up keeps out what could be
 * done.
 */

export interface InFlight {
  /** @returns how to leave, once; null when there are too many */
  enter(): (() => void) | null;
}

export function inFlightUpTo(max: number): InFlight {
  let present = 0;
  return {
    enter() {
      if (present >= max) return null;
      present += 1;
      return () => {
        present -= 1;
      };
    },
  };
}
