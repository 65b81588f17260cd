/** `berth simulate`: a load replayed on a fleet, both from files; no control plane is asked. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { ResourceClass } from '../model/resources.js';
import { STRATEGY_NAMES, type StrategyName } from '../model/strategies.js';
import { MILLI_PARTS } from '../planner/amount-columns.js';
import { compare } from '../planner/compare.js';
import { totalLimits } from '../planner/fleet.js';
import { filling } from '../planner/load.js';
import { readHosts, readRequests } from '../planner/read-files.js';
import type { ReplayInput, ReplayResult } from '../planner/replay.js';
import { parseCount } from './amounts.js';
import type { CliContext } from './context.js';
import {
  addPolicyOptions,
  parseClasses,
  parsePositive,
  policyOf,
  readText,
  understoodFile,
  writeText,
  type PolicyOptions,
} from './plan-files.js';
import { printJson, printLine } from './print.js';
import { withProgress } from './progress.js';
import { examples, runLocally } from './run-command.js';
import { simulationHtml } from './simulation-html.js';
import { printSimulation, samplesCsv } from './simulation-view.js';

interface SimulateOptions extends PolicyOptions {
  readonly hosts: string;
  readonly requests: string;
  readonly strategy: StrategyName;
  readonly compare?: readonly StrategyName[] | true;
  readonly classes?: readonly ResourceClass[];
  readonly fill?: number;
  readonly reserveLarge?: number;
  readonly seed: string;
  readonly json?: boolean;
  readonly csv?: boolean;
  readonly html?: string;
}

export function registerSimulateCommand(program: Command, context: CliContext): void {
  const command = program
    .command('simulate')
    .description('replay a load on a fleet, both from files, with the code that places VMs')
    .requiredOption('--hosts <file>', 'CSV of the hosts')
    .requiredOption('--requests <file>', 'CSV of what is asked for, and when')
    .addOption(
      new Option('--strategy <strategy>', 'how hosts are ranked')
        .choices(STRATEGY_NAMES)
        .default('cosine'),
    )
    .addOption(
      new Option('--compare [strategies]', 'these with commas between, or all, the best first')
        .argParser(parseStrategies)
        .conflicts('strategy'),
    )
    .option('--classes <classes>', 'look at these only, such as cpu,memory', parseClasses)
    .option(
      '--fill <share>',
      'ask again and again, in an order by the seed, until this share of the fleet is asked for; nobody leaves',
      parsePositive,
    )
    .option('--reserve-large <places>', 'keep so many for each of the largest VMs', parseCount)
    .option('--seed <text>', 'chance in --fill', '1');
  addPolicyOptions(command)
    .option('--json', 'print JSON')
    .addOption(new Option('--csv', 'print the course as CSV').conflicts('json'))
    .option('--html <file>', 'write a report with charts, one file')
    .addHelpText(
      'after',
      examples(
        'berth simulate --hosts hosts.csv --requests requests.csv --compare --html report.html',
        'berth simulate --hosts hosts.csv --requests requests.csv --overcommit cpu=4 --fill 1.3',
      ),
    )
    .action((options: SimulateOptions) =>
      runLocally(context, async () => {
        const input = await inputOf(options);
        const strategies = strategiesOf(options);
        const label =
          strategies.length === 1 ? 'Replaying' : `Replaying ${strategies.length.toString()} times`;
        const results = await withProgress(context, label, compare({ ...input, strategies }));
        if (options.html !== undefined) await writeText(options.html, simulationHtml(results));
        show(context, results, options);
      }),
    );
}

async function inputOf(options: SimulateOptions): Promise<Omit<ReplayInput, 'strategy'>> {
  const { reserveLarge = 0 } = options;
  const [hostsFile, requestsFile] = [
    await readText(options.hosts),
    await readText(options.requests),
  ];
  const { classes, fill, seed } = options;
  const reading = { parts: MILLI_PARTS, ...(classes === undefined ? {} : { classes }) };
  return understoodFile(() => {
    const hosts = readHosts(hostsFile, policyOf(options), reading);
    const requests = readRequests(requestsFile, hosts, reading);
    if (fill === undefined) return { hosts, requests, reserveLarge };
    return { hosts, requests: filling(requests, totalLimits(hosts), fill, seed), reserveLarge };
  });
}

function strategiesOf({ compare: asked, strategy }: SimulateOptions): readonly StrategyName[] {
  if (asked === undefined) return [strategy];
  return asked === true ? STRATEGY_NAMES : asked;
}

/** @throws InvalidArgumentError */
function parseStrategies(text: string): readonly StrategyName[] {
  const found = text.split(',').map((name) => STRATEGY_NAMES.find((known) => known === name));
  const strategies = found.filter((name) => name !== undefined);
  if (strategies.length < found.length || new Set(strategies).size < strategies.length) {
    throw new InvalidArgumentError(`It must be some of ${STRATEGY_NAMES.join(',')}, each once.`);
  }
  return strategies;
}

function show(
  context: CliContext,
  results: readonly ReplayResult[],
  { json, csv, html }: SimulateOptions,
): void {
  if (json === true) printJson(context, results);
  else if (csv === true) context.stdout.write(samplesCsv(results));
  else {
    printSimulation(context, results);
    if (html !== undefined) printLine(context, `\nThe report is in ${html}.`);
  }
}
