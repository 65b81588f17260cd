/** `berth generate`: a fleet and a load for `berth simulate`, made from a seed. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { generate } from '../planner/generate.js';
import { parseCount } from './amounts.js';
import type { CliContext } from './context.js';
import { CliFailure, EXIT, systemCode } from './failure.js';
import { parsePositive, writeText } from './plan-files.js';
import { printLine } from './print.js';
import { examples, runLocally } from './run-command.js';

interface GenerateOptions {
  readonly out: string;
  readonly hosts: number;
  readonly zones: number;
  readonly requests: number;
  readonly load: number;
  readonly lifetime: number;
  readonly seed: string;
}

const HOSTS_MAX = 100_000;
const REQUESTS_MAX = 1_000_000;

export function registerGenerateCommand(program: Command, context: CliContext): void {
  program
    .command('generate')
    .description('make hosts.csv and requests.csv from a seed, to simulate with')
    .requiredOption('--out <folder>', 'where to write them')
    .addOption(
      new Option('--hosts <count>', 'how many hosts').argParser(upTo(HOSTS_MAX)).default(100),
    )
    .addOption(new Option('--zones <count>', 'how many zones').argParser(upTo(1_000)).default(1))
    .addOption(
      new Option('--requests <count>', 'how many requests')
        .argParser(upTo(REQUESTS_MAX))
        .default(20_000),
    )
    .addOption(
      new Option('--load <share>', 'what they ask for of the tightest class, once warm')
        .argParser(parsePositive)
        .default(0.95),
    )
    .addOption(
      new Option('--lifetime <seconds>', 'mean lifetime').argParser(parsePositive).default(86_400),
    )
    .option('--seed <text>', 'chance: the same seed makes the same files', '1')
    .addHelpText('after', examples('berth generate --out /tmp/fleet --hosts 200 --seed 7'))
    .action((options: GenerateOptions) =>
      runLocally(context, async () => {
        const { out, lifetime, ...input } = options;
        const { hosts, requests } = generate({ ...input, meanLifetimeS: lifetime });
        await makeFolder(out);
        await writeText(join(out, 'hosts.csv'), hosts);
        await writeText(join(out, 'requests.csv'), requests);
        printLine(context, `hosts.csv and requests.csv are in ${out}.`);
      }),
    );
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((cause: unknown) => {
    throw new CliFailure(
      EXIT.usage,
      `${path} cannot be made (${systemCode(cause) ?? 'unknown'}).`,
      { cause },
    );
  });
}

/** @throws InvalidArgumentError */
const upTo =
  (most: number) =>
  (text: string): number => {
    const count = parseCount(text);
    if (count > most) throw new InvalidArgumentError(`It must be at most ${most.toString()}.`);
    return count;
  };
