/** `berth host set`: what an operator says of a host, over its agent and the configuration. */
import { InvalidArgumentError, type Command } from 'commander';
import { LABEL_KEY_PATTERN, RESOURCE_CLASS_PATTERN } from '../model/ids.js';
import { hostSchema, type HostBody, type PatchHostBody } from '../wire/hosts.js';
import { collectAmount, splitPair } from './amounts.js';
import type { CliContext } from './context.js';
import { CliFailure, EXIT } from './failure.js';
import { hostPath } from './host-path.js';
import { printHost } from './host-view.js';
import { printJson } from './print.js';
import { examples, jsonOption, runCommand } from './run-command.js';

type Numbers = Readonly<Record<string, number>>;
type Texts = Readonly<Record<string, string>>;

interface SetOptions {
  readonly json?: boolean;
  readonly zone?: string;
  readonly label?: Texts;
  readonly overcommit?: Numbers;
  readonly reserve?: Numbers;
  readonly total?: Numbers;
  readonly unset?: readonly string[];
}

/** Names of the API for those that may be said class by class or label by label. */
const PER_NAME = ['labels', 'overcommit', 'reserve', 'totals'] as const;
type PerName = (typeof PER_NAME)[number];

/** What `--unset` takes, as people write it and as the API names it. */
const UNSET: Readonly<Record<string, PerName | 'zone'>> = {
  zone: 'zone',
  label: 'labels',
  overcommit: 'overcommit',
  reserve: 'reserve',
  total: 'totals',
};

export function registerHostSet(host: Command, context: CliContext): void {
  host
    .command('set')
    .description('change what counts of a host, whatever its agent and the configuration say')
    .argument('<host>', 'its id or name')
    .option('--zone <name>', 'the zone that it counts to')
    .option('--label <key=value>', 'add or replace a label; may be repeated', collectLabel)
    .option('--overcommit <class=factor>', 'how often a class may be sold', collectNumber)
    .option('--reserve <class=share>', 'share of a class that is kept back: 0.2', collectNumber)
    .option('--total <class=amount>', 'what it has of a class: gpu=4, memory=64GiB', collectAmount)
    .option(
      '--unset <what>',
      'take back: zone, label, overcommit, reserve, total, or one of them: overcommit.cpu',
      (text: string, before: readonly string[] | undefined) => [...(before ?? []), text],
    )
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'berth host set host-1 --label rack=r7 --overcommit cpu=2 --total gpu=4',
        'berth host set host-1 --unset label.rack --unset total',
      ),
    )
    .action((idOrName: string, options: SetOptions) =>
      runCommand(context, async (client) => {
        const path = hostPath(idOrName);
        // The API replaces a whole list; what was said of other classes and labels stays.
        const { overrides } = await client.call('GET', path, hostSchema);
        const body = patchOf(overrides, options);
        const changed = await client.call('PATCH', path, hostSchema, { body });
        if (options.json === true) printJson(context, changed);
        else printHost(context, changed);
      }),
    );
}

/** @throws CliFailure when nothing is to change, or `--unset` names what cannot be */
function patchOf(before: HostBody['overrides'], options: SetOptions): PatchHostBody {
  const after: Partial<Record<PerName, Record<string, string | number>>> = {};
  const changed = (name: PerName) => (after[name] ??= { ...before[name] });
  let zone: string | null | undefined;
  for (const text of options.unset ?? []) {
    const at = text.indexOf('.');
    const what = UNSET[at < 0 ? text : text.slice(0, at)];
    if (what === undefined || (what === 'zone' && at >= 0)) {
      throw new CliFailure(EXIT.usage, `"${text}" is nothing that can be taken back.`);
    }
    if (what === 'zone') zone = null;
    else if (at < 0) after[what] = {};
    else Reflect.deleteProperty(changed(what), text.slice(at + 1));
  }
  const { label, overcommit, reserve, total } = options;
  const said = { labels: label, overcommit, reserve, totals: total };
  for (const name of PER_NAME) {
    if (said[name] !== undefined) Object.assign(changed(name), said[name]);
  }
  zone = options.zone ?? zone;
  if (zone === undefined && Object.keys(after).length === 0) {
    throw new CliFailure(EXIT.usage, 'Say what is to change; see berth host set --help.');
  }
  return { ...after, ...(zone === undefined ? {} : { zone }) } as PatchHostBody;
}

function collectLabel(text: string, before: Texts = {}): Texts {
  const [key = '', value = ''] = splitPair(text);
  if (!LABEL_KEY_PATTERN.test(key)) {
    throw new InvalidArgumentError('It must be a key and a value, such as rack=r7.');
  }
  return { ...before, [key]: value };
}

function collectNumber(text: string, before: Numbers = {}): Numbers {
  const [name = '', digits = ''] = splitPair(text);
  if (!RESOURCE_CLASS_PATTERN.test(name) || !/^\d{1,6}(\.\d{1,6})?$/.test(digits)) {
    throw new InvalidArgumentError('It must be a class and a number, such as cpu=2.5.');
  }
  return { ...before, [name]: Number(digits) };
}
