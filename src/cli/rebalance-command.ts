/** `berth rebalance`: the few moves that would gain most. Advice only: nothing is moved. */
import { Option, type Command } from 'commander';
import {
  DEFAULT_GAIN_MIN,
  DEFAULT_MOVES_MAX,
  GOALS,
  rebalance,
  type Balance,
  type Goal,
  type RebalanceAdvice,
} from '../planner/rebalance.js';
import { rebalanceSchema } from '../wire/planner.js';
import { parseCount, showAmount, showShare } from './amounts.js';
import type { CliContext } from './context.js';
import { parsePositive } from './plan-files.js';
import { addFleetOptions, fleetOf, PLAN_TIMEOUT_MS, type FleetOptions } from './plan-fleet.js';
import { printFacts, printJson, printLine, printTable, type Column } from './print.js';
import { withProgress } from './progress.js';
import { examples, jsonOption, runCommand } from './run-command.js';
import { withSpinner } from './spinner.js';

interface RebalanceOptions extends FleetOptions {
  readonly goal: Goal;
  readonly gain: number;
  readonly moves: number;
  readonly json?: boolean;
}

export function registerRebalanceCommand(program: Command, context: CliContext): void {
  const command = program
    .command('rebalance')
    .description('advise the few moves of VMs that gain most; moves nothing')
    .addOption(
      new Option('--goal <goal>', 'use hosts evenly, or fill some and empty others')
        .choices(GOALS)
        .default('spread'),
    )
    .addOption(
      new Option('--gain <least>', 'what a move must gain at least')
        .argParser(parsePositive)
        .default(DEFAULT_GAIN_MIN),
    )
    .addOption(
      new Option('--moves <count>', 'most moves').argParser(parseCount).default(DEFAULT_MOVES_MAX),
    );
  addFleetOptions(command)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples('berth rebalance --moves 5', 'berth rebalance --hosts hosts.csv --vms vms.csv'),
    )
    .action((options: RebalanceOptions) =>
      runCommand(context, async (client) => {
        const { goal, gain: gainMin, moves: movesMax } = options;
        const fleet = await fleetOf(options);
        const advice =
          fleet === null
            ? await withSpinner(context, 'Weighing moves', () =>
                client.call('POST', '/v1/rebalance', rebalanceSchema, {
                  body: { goal, gainMin, movesMax },
                  timeoutMs: PLAN_TIMEOUT_MS,
                }),
              )
            : await withProgress(
                context,
                'Weighing moves',
                rebalance({ fleet, goal, gainMin, movesMax }),
              );
        if (options.json === true) printJson(context, advice);
        else printAdvice(context, advice);
      }),
    );
}

const MOVE_COLUMNS: readonly Column[] = [
  { head: '', align: 'right' },
  { head: 'VM', flexible: true },
  { head: 'FROM', flexible: true },
  { head: 'TO', flexible: true },
  { head: 'GAIN', align: 'right' },
  { head: 'MEMORY', align: 'right' },
  { head: 'DISK', align: 'right' },
];

const GAIN_DIGITS = 3;

function printAdvice(
  context: CliContext,
  { moves, isSettled, before, after }: RebalanceAdvice,
): void {
  if (moves.length === 0) {
    printLine(context, 'No move gains enough: leave everything where it is.');
    printFacts(context, balanceFacts(before, null));
    return;
  }
  printTable(
    context,
    MOVE_COLUMNS,
    moves.map(({ vm, from, to, gain, cost }, index) => [
      (index + 1).toString(),
      vm.name,
      from.name,
      to.name,
      gain.toFixed(GAIN_DIGITS),
      showAmount('memory', cost.memoryMib),
      showAmount('disk', cost.diskMib),
    ]),
  );
  printLine(context);
  printFacts(context, balanceFacts(before, after));
  printLine(context);
  printLine(
    context,
    isSettled
      ? 'After these, no move gains enough. Nothing was moved.'
      : 'There are more that gain enough: --moves shows them. Nothing was moved.',
  );
}

function balanceFacts(
  before: Balance,
  after: Balance | null,
): readonly (readonly [string, string])[] {
  const both = (show: (balance: Balance) => string): string =>
    after === null ? show(before) : `${show(before)} → ${show(after)}`;
  return [
    ['unevenness', both(({ unevenness }) => showShare(unevenness))],
    ['empty hosts', both(({ emptyHosts }) => emptyHosts.toString())],
    [
      'fullest',
      both(({ fullest }) =>
        fullest === null ? '-' : `${fullest.host.name} ${showShare(fullest.share)}`,
      ),
    ],
  ];
}
