/** `berth host …`: list, show, cordon, uncordon. */
import type { Command } from 'commander';
import { ID_PATTERN } from '../model/ids.js';
import { hostPageSchema, hostSchema, type PatchHostBody } from '../wire/hosts.js';
import { parseCount } from './amounts.js';
import type { Client } from './client.js';
import type { CliContext } from './context.js';
import { CliFailure, EXIT } from './failure.js';
import { printHost, printHosts } from './host-view.js';
import { gather } from './pages.js';
import { printJson, printLine } from './print.js';
import { examples, jsonOption, runCommand } from './run-command.js';

export function registerHostCommands(program: Command, context: CliContext): void {
  const host = program.command('host').description('list, show, cordon and uncordon hosts');
  registerList(host, context);
  registerShow(host, context);
  registerCordon(host, context);
  registerUncordon(host, context);
}

interface Options {
  readonly json?: boolean;
}

/** @throws CliFailure when this can be no host */
function hostPath(idOrName: string): string {
  if (!ID_PATTERN.test(idOrName)) {
    throw new CliFailure(EXIT.usage, `"${idOrName}" can be neither the id nor the name of a host.`);
  }
  return `/v1/hosts/${encodeURIComponent(idOrName)}`;
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

function registerCordon(host: Command, context: CliContext): void {
  host
    .command('cordon')
    .description('keep new VMs away from a host; those that are there stay')
    .argument('<host>', 'its id or name')
    .option('--reason <text>', 'why, for those who come after you')
    .addOption(jsonOption())
    .addHelpText('after', examples('berth host cordon host-1 --reason "new memory modules"'))
    .action((idOrName: string, { json, reason }: Options & { readonly reason?: string }) =>
      runCommand(context, (client) =>
        setMode(
          { client, context, json: json === true },
          idOrName,
          { mode: 'cordoned', ...(reason === undefined ? {} : { reason }) },
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
