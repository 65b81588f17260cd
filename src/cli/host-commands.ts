/** `berth host …`: list, show, cordon, uncordon; what else there is stands in files of its own. */
import type { Command } from 'commander';
import { hostPageSchema, hostSchema, type PatchHostBody } from '../wire/hosts.js';
import { parseCount } from './amounts.js';
import type { Client } from './client.js';
import type { CliContext } from './context.js';
import { parseDurationS } from './durations.js';
import { registerDrainCommands } from './drain-commands.js';
import { registerFence } from './fence-command.js';
import { hostPath } from './host-path.js';
import { registerHostSet } from './host-settings.js';
import { printHost, printHosts } from './host-view.js';
import { gather } from './pages.js';
import { printJson, printLine } from './print.js';
import { examples, jsonOption, runCommand } from './run-command.js';

export function registerHostCommands(program: Command, context: CliContext): void {
  const host = program.command('host').description('list, show and keep hosts');
  registerList(host, context);
  registerShow(host, context);
  registerCordon(host, context);
  registerUncordon(host, context);
  registerHostSet(host, context);
  registerFence(host, context);
  registerDrainCommands(host, context);
}

interface Options {
  readonly json?: boolean;
}

function registerList(host: Command, context: CliContext): void {
  host
    .command('list')
    .description('list hosts with their state and what is booked on them')
    .option('--limit <count>', 'at most so many; all when absent', parseCount)
    .addOption(jsonOption())
    .addHelpText('after', examples('berth host list'))
    .action(({ json, limit }: Options & { readonly limit?: number }) =>
      runCommand(context, async (client) => {
        const page = await gather(client, '/v1/hosts', hostPageSchema, {}, limit);
        if (json === true) {
          printJson(context, page);
          return;
        }
        if (page.items.length === 0) {
          printLine(context, 'No hosts yet. `berth agent` on a machine makes it one.');
          return;
        }
        printHosts(context, page.items);
        if (page.nextCursor !== null) printLine(context, '… and more; raise --limit to see them');
      }),
    );
}

function registerShow(host: Command, context: CliContext): void {
  host
    .command('show')
    .description('show a host: its state, its labels, and each resource class')
    .argument('<host>', 'its id or name')
    .addOption(jsonOption())
    .addHelpText('after', examples('berth host show host-1'))
    .action((idOrName: string, { json }: Options) =>
      runCommand(context, async (client) => {
        const found = await client.call('GET', hostPath(idOrName), hostSchema);
        if (json === true) {
          printJson(context, found);
          return;
        }
        printHost(context, found);
        printLine(context);
        printLine(context, `Its VMs: berth vm list --host ${found.name}`);
      }),
    );
}

interface CordonOptions extends Options {
  readonly reason?: string;
  readonly owner?: string;
  readonly for?: number;
}

function registerCordon(host: Command, context: CliContext): void {
  host
    .command('cordon')
    .description('keep new VMs away from a host; those that are there stay')
    .argument('<host>', 'its id or name')
    .option('--reason <text>', 'why, for those who come after you')
    .option('--owner <name>', 'whom they may ask')
    .option('--for <time>', 'until it ends by itself: 30m, 2h, 7d', parseDurationS)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples('berth host cordon host-1 --reason "new memory modules" --owner jo --for 2h'),
    )
    .action((idOrName: string, { json, for: expiresInS, ...why }: CordonOptions) =>
      runCommand(context, (client) =>
        setMode(
          { client, context, json: json === true },
          idOrName,
          { mode: 'cordoned', ...why, ...(expiresInS === undefined ? {} : { expiresInS }) },
          'is cordoned and takes no new VMs',
        ),
      ),
    );
}

function registerUncordon(host: Command, context: CliContext): void {
  host
    .command('uncordon')
    .description('let a host take new VMs again')
    .argument('<host>', 'its id or name')
    .addOption(jsonOption())
    .addHelpText('after', examples('berth host uncordon host-1'))
    .action((idOrName: string, { json }: Options) =>
      runCommand(context, (client) =>
        setMode(
          { client, context, json: json === true },
          idOrName,
          { mode: 'enabled' },
          'is enabled and takes new VMs while it is up',
        ),
      ),
    );
}

async function setMode(
  {
    client,
    context,
    json,
  }: { readonly client: Client; readonly context: CliContext; readonly json: boolean },
  idOrName: string,
  body: PatchHostBody,
  says: string,
): Promise<void> {
  const host = await client.call('PATCH', hostPath(idOrName), hostSchema, { body });
  if (json) printJson(context, host);
  else printLine(context, `${host.name} ${says}. It is ${host.state}.`);
}
