/** A sign of life while a command waits, where somebody is watching. */
import ora from 'ora';
import type { CliContext } from './context.js';

/** Runs `work` with a spinner on standard error; without one when nobody watches. */
export async function withSpinner<Result>(
  context: CliContext,
  text: string,
  work: () => Promise<Result>,
): Promise<Result> {
  if (context.isTty !== true || !hasWidth(context.stderr)) return work();
  // Standard input stays the terminal's own: Ctrl-C must end the program.
  const spinner = ora({ text, stream: context.stderr, discardStdin: false }).start();
  try {
    return await work();
  } finally {
    spinner.stop();
  }
}

/** A terminal that says it is 0 columns wide makes ora clear lines for ever. */
const hasWidth = (stream: NodeJS.WritableStream): boolean =>
  'columns' in stream && typeof stream.columns === 'number' && stream.columns > 0;
