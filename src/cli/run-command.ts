/** What stands around every command: it is given a client, and its failure becomes an exit code. */
import { Option, type Command } from 'commander';
import { findAccess, tokenFile } from './access.js';
import { createClient, type Client } from './client.js';
import type { CliContext } from './context.js';
import { EXIT } from './failure.js';
import { report } from './report.js';

/** Runs a command's work; prints its failure and ends the program with its exit code. */
export async function runCommand(
  context: CliContext,
  work: (client: Client) => Promise<void>,
): Promise<void> {
  try {
    const access = await findAccess(context.env);
    await work(createClient(access, tokenFile(context.env)));
  } catch (error) {
    exitOf(context)(report(context, error));
  }
}

/** The same for a command that asks no control plane. */
export async function runLocally(context: CliContext, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    exitOf(context)(report(context, error));
  }
}

/** Makes a command and all below it print to our streams and end with our exit codes. */
export function adopt(command: Command, context: CliContext): void {
  command
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
    })
    // commander itself ends with 1 where something was typed wrongly.
    .exitOverride(({ exitCode }) => exitOf(context)(exitCode === 0 ? EXIT.ok : EXIT.usage));
  for (const child of command.commands) adopt(child, context);
}

const exitOf =
  (context: CliContext): ((code: number) => never) =>
  (code) =>
    context.exit === undefined ? process.exit(code) : context.exit(code);

/** `--json`, the same everywhere. */
export const jsonOption = (): Option => new Option('--json', 'print the answer of the API as JSON');

/** The examples that end a command's help. */
export const examples = (...lines: readonly string[]): string =>
  `\nExample:\n${lines.map((line) => `  $ ${line}`).join('\n')}`;
