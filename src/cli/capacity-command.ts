/** `berth capacity`: how many more VMs fit, what runs out first, and whether a host may be lost. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { NAME_PATTERN } from '../model/ids.js';
import type { Resources } from '../model/resources.js';
import { STRATEGY_NAMES, type StrategyName } from '../model/strategies.js';
import { capacity, type Flavor } from '../planner/capacity.js';
import { tableOf, type PlannedFleet } from '../planner/fleet.js';
import { spare } from '../planner/spare.js';
import { rankingOn } from '../planner/strategies.js';
import { capacitySchema } from '../wire/planner.js';
import { collectAmount } from './amounts.js';
import { printCapacity, type CapacityReport } from './capacity-view.js';
import type { CliContext } from './context.js';
import { addFleetOptions, fleetOf, PLAN_TIMEOUT_MS, type FleetOptions } from './plan-fleet.js';
import { printJson } from './print.js';
import { withProgress } from './progress.js';
import { examples, jsonOption, runCommand } from './run-command.js';
import { withSpinner } from './spinner.js';

interface CapacityOptions extends FleetOptions {
  readonly flavor: readonly Flavor[];
  readonly addHost?: Resources;
  readonly spare?: boolean;
  readonly strategy: StrategyName;
  readonly json?: boolean;
}

export function registerCapacityCommand(program: Command, context: CliContext): void {
  const command = program
    .command('capacity')
    .description('how many more VMs of each flavor fit, on the live fleet or in files')
    .addOption(
      new Option(
        '--flavor <name:amounts>',
        'kind of VM, such as small:cpu=2,memory=4GiB; repeatable',
      )
        .argParser(collectFlavor)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option(
        '--add-host <amounts>',
        'what one more host would add, of which this may be booked',
      ).argParser(parseAmounts),
    )
    .option('--spare', 'also whether any one host could be lost (N+1), per zone')
    .addOption(
      new Option('--strategy <strategy>', 'with --hosts and --spare: how hosts are ranked')
        .choices(STRATEGY_NAMES)
        .default('cosine'),
    );
  addFleetOptions(command)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'berth capacity --flavor small:cpu=2,memory=4GiB,disk=20GiB --spare',
        'berth capacity --flavor big:cpu=32,memory=128GiB --flavor small:cpu=2,memory=4GiB --add-host cpu=128,memory=512GiB,disk=8TiB',
        'berth capacity --flavor small:cpu=2,memory=4GiB --hosts hosts.csv --vms vms.csv --overcommit cpu=4',
      ),
    )
    .action((options: CapacityOptions) =>
      runCommand(context, async (client) => {
        const fleet = await fleetOf(options);
        const report =
          fleet === null
            ? await withSpinner(context, 'Counting', () =>
                client.call('POST', '/v1/capacity', capacitySchema, {
                  body: bodyOf(options),
                  timeoutMs: PLAN_TIMEOUT_MS,
                }),
              )
            : await inFiles(context, fleet, options);
        if (options.json === true) printJson(context, report);
        else printCapacity(context, report);
      }),
    );
}

const bodyOf = ({ flavor, addHost, spare: isSpare = false }: CapacityOptions) => ({
  flavors: flavor,
  spare: isSpare,
  ...(addHost === undefined ? {} : { addHost }),
});

async function inFiles(
  context: CliContext,
  fleet: PlannedFleet,
  { flavor, addHost, spare: isSpare, strategy }: CapacityOptions,
): Promise<CapacityReport> {
  const table = tableOf(fleet);
  const flavors = await withProgress(
    context,
    'Counting',
    capacity({ table, flavors: flavor, addHost: addHost ?? null }),
  );
  if (isSpare !== true) return { flavors, spare: null };
  const zones = await withProgress(
    context,
    'Losing each host',
    spare(table, fleet, rankingOn(fleet.hosts, strategy)),
  );
  return { flavors, spare: zones };
}

/** @throws InvalidArgumentError */
function collectFlavor(text: string, before: readonly Flavor[] = []): readonly Flavor[] {
  const at = text.indexOf(':');
  const name = text.slice(0, Math.max(0, at));
  if (!NAME_PATTERN.test(name)) {
    throw new InvalidArgumentError('It must be a name and amounts: small:cpu=2,memory=4GiB.');
  }
  if (before.some((flavor) => flavor.name === name)) {
    throw new InvalidArgumentError(`There are two flavors ${name}.`);
  }
  return [...before, { name, resources: parseAmounts(text.slice(at + 1)) }];
}

/** `cpu=2,memory=4GiB`. @throws InvalidArgumentError */
const parseAmounts = (text: string): Resources =>
  text.split(',').reduce<Resources>((sum, part) => collectAmount(part, sum), {});
