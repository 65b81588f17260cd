/** A bar that fills while a command computes, where somebody is watching. */
import { systemClock } from '../std/clock.js';
import { inSlices } from '../std/slices.js';
import type { CliContext } from './context.js';

const CELLS = 24;
const SLICE_MS = 100;

/** Runs work with a bar on standard error; without one when nobody watches. */
export async function withProgress<Result>(
  context: CliContext,
  text: string,
  work: Generator<number, Result>,
): Promise<Result> {
  const isShown = context.isTty === true;
  try {
    return await inSlices(work, {
      sliceMs: SLICE_MS,
      now: () => systemClock.monotonic(),
      onSlice: (done) => {
        if (isShown) context.stderr.write(`\r${text} ${barOf(done)}`);
      },
    });
  } finally {
    // The line is wiped, so that what is printed next stands alone.
    if (isShown) context.stderr.write(`\r${' '.repeat(text.length + CELLS + 6)}\r`);
  }
}

/** `████████░░░░  42 %` */
export function barOf(done: number): string {
  const share = Math.min(1, Math.max(0, done));
  const full = Math.round(share * CELLS);
  const percent = Math.floor(share * 100)
    .toString()
    .padStart(3);
  return `${'█'.repeat(full)}${'░'.repeat(CELLS - full)} ${percent} %`;
}
