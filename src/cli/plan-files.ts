/** Files for the planner: what is on the disk, read and checked; and what is written. */
import { readFile, writeFile } from 'node:fs/promises';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { RESOURCE_CLASS_PATTERN } from '../model/ids.js';
import type { CapacityPolicy } from '../model/inventory.js';
import type { ResourceClass } from '../model/resources.js';
import { FileFault } from '../planner/csv.js';
import type { TextFile } from '../planner/read-files.js';
import { splitPair } from './amounts.js';
import { CliFailure, EXIT, systemCode } from './failure.js';

type Factors = Readonly<Record<ResourceClass, number>>;

export interface PolicyOptions {
  readonly overcommit?: Factors;
  readonly reserve?: Factors;
}

/** Options that say what of the hosts in a file may be booked. */
export const addPolicyOptions = (command: Command): Command =>
  command
    .addOption(
      new Option('--overcommit <class=factor>', 'how often a total may be sold, such as cpu=4')
        .argParser(collectFactor(1_000))
        .default(undefined, '1'),
    )
    .addOption(
      new Option('--reserve <class=share>', 'share of a total that is not sold, such as memory=0.1')
        .argParser(collectFactor(0.99))
        .default(undefined, '0'),
    );

/** The numbers in files are what may be booked, unless the options say otherwise. */
export const policyOf = ({ overcommit = {}, reserve = {} }: PolicyOptions): CapacityPolicy => ({
  overcommit,
  reserve,
});

const collectFactor =
  (largest: number) =>
  (text: string, before: Factors = {}): Factors => {
    const [name = '', value = ''] = splitPair(text);
    const factor = Number(value);
    const isNumber = /^\d+(\.\d+)?$/.test(value) && factor <= largest;
    if (!RESOURCE_CLASS_PATTERN.test(name) || !isNumber) {
      const rule = `It must be a class and a number up to ${largest.toString()}, such as cpu=0.5.`;
      throw new InvalidArgumentError(rule);
    }
    return { ...before, [name]: factor };
  };

/** @throws CliFailure when it cannot be read */
export async function readText(path: string): Promise<TextFile> {
  try {
    return { name: path, text: await readFile(path, 'utf8') };
  } catch (cause) {
    throw notReached(`${path} cannot be read`, cause);
  }
}

/** @throws CliFailure when it cannot be written */
export async function writeText(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text);
  } catch (cause) {
    throw notReached(`${path} cannot be written`, cause);
  }
}

const notReached = (what: string, cause: unknown): CliFailure =>
  new CliFailure(EXIT.usage, `${what} (${systemCode(cause) ?? 'unknown'}).`, { cause });

/** Reads what files hold; what is wrong in them is wrong usage. */
export function understoodFile<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof FileFault) && !(cause instanceof RangeError)) throw cause;
    throw new CliFailure(EXIT.usage, cause.message, {
      ...(cause instanceof FileFault
        ? { hint: 'docs/planner.md shows the columns of each file' }
        : {}),
      cause,
    });
  }
}

/** `cpu,memory` as a list. @throws InvalidArgumentError */
export function parseClasses(text: string): readonly ResourceClass[] {
  const names = text.split(',');
  if (!names.every((name) => RESOURCE_CLASS_PATTERN.test(name))) {
    throw new InvalidArgumentError('It must be classes with commas between, such as cpu,memory.');
  }
  return names;
}

/** A number above 0. @throws InvalidArgumentError */
export function parsePositive(text: string): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value <= 0 || value > 1e9) {
    throw new InvalidArgumentError('It must be a number above 0, such as 0.95.');
  }
  return value;
}
