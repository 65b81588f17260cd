/** One question for many askers. */

/**
 * Calls with the same key share a lookup, but only one that begins after they came: an answer is
 * never older than its question, so what was changed before a call is seen by it.
 */
export function shared<T>(look: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const running = new Map<string, Promise<T>>();
  const next = new Map<string, Promise<T>>();

  const start = (key: string): Promise<T> => {
    const lookup = look(key).finally(() => {
      if (running.get(key) === lookup) running.delete(key);
    });
    running.set(key, lookup);
    return lookup;
  };

  return (key) => {
    const before = running.get(key);
    if (before === undefined) return start(key);
    const waiting = next.get(key);
    if (waiting !== undefined) return waiting;
    const begin = (): Promise<T> => {
      next.delete(key);
      return start(key);
    };
    const following = before.then(begin, begin);
    next.set(key, following);
    return following;
  };
}
