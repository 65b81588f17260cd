/** The options that say what a VM needs and where it may go; `vm create` and `place` share them. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { Constraints } from '../model/constraints.js';
import { GROUP_POLICIES, type GroupRule } from '../model/groups.js';
import { LABEL_KEY_PATTERN, LABEL_VALUE_PATTERN, NAME_PATTERN } from '../model/ids.js';
import { STRATEGY_NAMES } from '../model/strategies.js';
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
  readonly group?: readonly GroupRule[];
  readonly host?: string;
  readonly exclude?: readonly string[];
}

/** Enough for a small Linux: a first VM should fit on a laptop. */
const DEFAULT_CPU = 1;
const DEFAULT_MEMORY_MIB = 512;
const DEFAULT_DISK_MIB = 1_024;

/** Whose it is; its groups are named within it. */
export const pathOption = (): Option => new Option('--path <tenant:project>', 'whom it belongs to');

export const strategyOption = (): Option =>
  new Option('--strategy <strategy>', 'how hosts are ranked for it').choices(STRATEGY_NAMES);

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
    .option(
      '--group <name:policy>',
      `group it belongs to; ${GROUP_POLICIES.join(', ')}; repeatable`,
      collectGroup,
    )
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

function constraintsOf({ zone, require, forbid, group, host, exclude }: RequestOptions) {
  const labels = {
    ...(require === undefined ? {} : { required: require }),
    ...(forbid === undefined ? {} : { forbidden: forbid }),
  };
  return {
    ...(zone === undefined ? {} : { zone }),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    ...(group === undefined ? {} : { groups: [...group] }),
    ...(host === undefined ? {} : { host }),
    ...(exclude === undefined ? {} : { exclude: [...exclude] }),
  } satisfies Constraints;
}

const collect = (text: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  text,
];

/** @throws InvalidArgumentError */
function collectGroup(text: string, before: readonly GroupRule[] = []): readonly GroupRule[] {
  const [name = '', given = ''] = text.split(':');
  const policy = GROUP_POLICIES.find((known) => known === given);
  if (policy === undefined || !NAME_PATTERN.test(name)) {
    throw new InvalidArgumentError('It must be a group and its policy, such as web:anti-affinity.');
  }
  return [...before, { name, policy }];
}

/** @throws InvalidArgumentError */
function collectLabel(text: string, before: Pairs = {}): Pairs {
  const [key = '', value] = splitPair(text);
  if (value === undefined || !LABEL_KEY_PATTERN.test(key) || !LABEL_VALUE_PATTERN.test(value)) {
    throw new InvalidArgumentError('It must be a label and its value, such as disk=ssd.');
  }
  return { ...before, [key]: value };
}
