/**
 * Long work on one thread beside other work: a generator that yields how much of it is done is run a
 * few milliseconds at a time, and everybody else has a turn in between.
 */

export interface SliceOptions {
  /** How long it may keep the thread at a stretch. */
  readonly sliceMs: number;
  /** Called before each slice; what it throws ends the work. */
  readonly onSlice?: (done: number) => void;
  readonly now: () => number;
}

/** Runs work to its end. @returns what the generator returns */
export async function inSlices<Result>(
  work: Generator<number, Result>,
  { sliceMs, onSlice, now }: SliceOptions,
): Promise<Result> {
  let done = 0;
  for (;;) {
    onSlice?.(done);
    const until = now() + sliceMs;
    do {
      const step = work.next();
      if (step.done === true) return step.value;
      done = step.value;
    } while (now() < until);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
