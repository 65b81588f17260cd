/** `berth breaker`: whether Berth takes itself to be cut off from the fleet, and the word that it is not. */
import type { Command } from 'commander';
import { breakerSchema, type BreakerBody } from '../wire/breaker.js';
import type { CliContext } from './context.js';
import { plain, printJson, printLine } from './print.js';
import { examples, jsonOption, runCommand } from './run-command.js';

interface ShowOptions {
  readonly json?: boolean;
}

interface CloseOptions extends ShowOptions {
  readonly reason: string;
}

export function registerBreakerCommands(program: Command, context: CliContext): void {
  const breaker = program
    .command('breaker')
    .description('whether so many hosts are missing that Berth takes itself to be cut off');
  breaker
    .command('show')
    .description('whether it is open, and how many hosts are missing')
    .addOption(jsonOption())
    .addHelpText('after', examples('berth breaker show'))
    .action(({ json }: ShowOptions) =>
      runCommand(context, async (client) => {
        print(context, await client.call('GET', '/v1/ops/breaker', breakerSchema), json);
      }),
    );
  breaker
    .command('close')
    .description('say that the missing hosts are really lost')
    .requiredOption('--reason <text>', 'how you know')
    .addOption(jsonOption())
    .addHelpText('after', examples('berth breaker close --reason "rack 7 has no power"'))
    .action(({ json, reason }: CloseOptions) =>
      runCommand(context, async (client) => {
        const body = { close: true, reason };
        print(context, await client.call('POST', '/v1/ops/breaker', breakerSchema, { body }), json);
      }),
    );
}

function print(context: CliContext, breaker: BreakerBody, json = false): void {
  if (json) {
    printJson(context, breaker);
    return;
  }
  const { state, since, reason, hosts, missing, share, graceUntil, lookedAt, opensAbove } = breaker;
  const percent = (part: number) => `${Math.round(part * 100).toString()} %`;
  const lines = [
    `breaker   ${state}${since === null ? '' : ` since ${since}`}`,
    ...(reason === null ? [] : [`reason    ${reason}`]),
    `missing   ${missing.toString()} of ${hosts.toString()} hosts (${percent(share)})`,
    `opens     above ${percent(opensAbove.share)}, and at least ${opensAbove.hostsMin.toString()} hosts, within ${opensAbove.windowS.toString()} s`,
    ...(graceUntil === null ? [] : [`grace     until ${graceUntil}: nobody looked at the hosts`]),
    `last look ${lookedAt ?? 'none yet'}`,
  ];
  for (const line of lines) printLine(context, plain(line));
}
