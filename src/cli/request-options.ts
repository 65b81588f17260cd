/** The options that say what a VM needs and where it may go; `vm create` and `place` share them. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { Constraints } from '../model/constraints.js';
import { LABEL_KEY_PATTERN, LABEL_VALUE_PATTERN } from '../model/ids.js';
import type { PlacementRequestBody } from '../wire/placements.js';
import { collectAmount, parseCount, parseSizeMib, splitPair } from './amounts.js';

type Pairs = Readonly<Record<string, string>>;

export interface RequestOptions {
  readonly cpu: number;
  readonly memory: number;
  readonly disk: number;
  readonly resource?: Readonly<Record<string, number>>;
  readonly zone?: string;
  readonly require?: Pairs;
  readonly forbid?: Pairs;
  readonly host?: string;
  readonly exclude?: readonly string[];
}

/** Enough for a small Linux: a first VM should fit on a laptop. */
const DEFAULT_CPU = 1;
const DEFAULT_MEMORY_MIB = 512;
const DEFAULT_DISK_MIB = 1_024;

/** Adds the options to a command. */
export function addRequestOptions(command: Command): Command {
  return command
    .addOption(new Option('--cpu <count>', 'vCPUs').argParser(parseCount).default(DEFAULT_CPU))
    .addOption(
      new Option('--memory <size>', 'memory: 2048 (MiB), 512MiB, 2GiB')
        .argParser(parseSizeMib)
        .default(DEFAULT_MEMORY_MIB, '512MiB'),
    )
    .addOption(
      new Option('--disk <size>', 'disk, in the same units')
        .argParser(parseSizeMib)
        .default(DEFAULT_DISK_MIB, '1GiB'),
    )
    .option('--resource <class=amount>', 'another class, such as gpu=1; repeatable', collectAmount)
    .option('--zone <zone>', 'only hosts of this zone')
    .option('--require <key=value>', 'only hosts with this label; repeatable', collectLabel)
    .option('--forbid <key=value>', 'no host with this label; repeatable', collectLabel)
    .option('--host <host>', 'only this host, by id or name')
    .option('--exclude <host>', 'not this host, by id or name; repeatable', collect);
}

/** The part of a request that the options make. */
export function requestOf(options: RequestOptions): PlacementRequestBody {
  const { cpu, memory, disk } = options;
  const constraints = constraintsOf(options);
  return {
    resources: { ...options.resource, cpu, memory, disk },
    ...(Object.keys(constraints).length === 0 ? {} : { constraints }),
  };
}

function constraintsOf({ zone, require, forbid, host, exclude }: RequestOptions) {
  const labels = {
    ...(require === undefined ? {} : { required: require }),
    ...(forbid === undefined ? {} : { forbidden: forbid }),
  };
  return {
    ...(zone === undefined ? {} : { zone }),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    ...(host === undefined ? {} : { host }),
    ...(exclude === undefined ? {} : { exclude: [...exclude] }),
  } satisfies Constraints;
}

const collect = (text: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  text,
];

/** @throws InvalidArgumentError */
function collectLabel(text: string, before: Pairs = {}): Pairs {
  const [key = '', value] = splitPair(text);
  if (value === undefined || !LABEL_KEY_PATTERN.test(key) || !LABEL_VALUE_PATTERN.test(value)) {
    throw new InvalidArgumentError('It must be a label and its value, such as disk=ssd.');
  }
  return { ...before, [key]: value };
}
