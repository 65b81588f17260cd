/** `berth place`: who would get this VM, and why? Books nothing. */
import type { Command } from 'commander';
import type { StrategyName } from '../model/strategies.js';
import { placementSchema, type PlacementRequestBody } from '../wire/placements.js';
import { parseCount } from './amounts.js';
import type { CliContext } from './context.js';
import { CliFailure, EXIT } from './failure.js';
import { printPlacement } from './place-view.js';
import { printJson } from './print.js';
import {
  addRequestOptions,
  pathOption,
  requestOf,
  strategyOption,
  type RequestOptions,
} from './request-options.js';
import { examples, jsonOption, runCommand } from './run-command.js';

/** A screenful: a large fleet has thousands. */
const ROWS_DEFAULT = 20;

interface PlaceOptions extends RequestOptions {
  readonly path?: string;
  readonly strategy?: StrategyName;
  readonly limit: number;
  readonly json?: boolean;
}

export function registerPlaceCommand(program: Command, context: CliContext): void {
  const place = program
    .command('place')
    .description('explain which host would get a VM, and why; books nothing');
  addRequestOptions(place)
    .addOption(pathOption())
    .addOption(strategyOption())
    .option('--limit <count>', 'most hosts to show in each table', parseCount, ROWS_DEFAULT)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'berth place --cpu 2 --memory 2GiB --disk 10GiB',
        'berth place --memory 64GiB --require disk=ssd --json',
      ),
    )
    .action((options: PlaceOptions) =>
      runCommand(context, async (client) => {
        const placement = await client.call('POST', '/v1/placements', placementSchema, {
          body: bodyOf(options),
        });
        if (options.json === true) printJson(context, placement);
        else printPlacement(context, placement, options.limit);
        if (placement.chosen === null) throw new CliFailure(EXIT.conflict, 'No host fits.');
      }),
    );
}

function bodyOf(options: PlaceOptions): PlacementRequestBody {
  const { path, strategy } = options;
  return {
    ...requestOf(options),
    ...(path === undefined ? {} : { path }),
    ...(strategy === undefined ? {} : { strategy }),
  };
}
