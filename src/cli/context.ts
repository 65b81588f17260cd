/** What the command line is handed by its caller: it reads no environment and owns no stream. */

export interface CliContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Answers: tables, sentences, JSON. */
  readonly stdout: NodeJS.WritableStream;
  /** Everything else: failures, hints, the spinner. */
  readonly stderr: NodeJS.WritableStream;
  /** Whether somebody is watching; undefined is what Node says of a pipe. */
  readonly isTty: boolean | undefined;
  /** Ends the program; `process.exit` when absent. Tests hand in one that throws. */
  readonly exit?: (code: number) => never;
}
