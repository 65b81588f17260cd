/** `berth host fence`: the operator's word that a host is off. */
import type { Command } from 'commander';
import { hostSchema } from '../wire/hosts.js';
import type { CliContext } from './context.js';
import { hostPath } from './host-path.js';
import { counted, plain, printJson, printLine } from './print.js';
import { examples, jsonOption, runCommand } from './run-command.js';

interface FenceOptions {
  readonly reason: string;
  readonly json?: boolean;
}

export function registerFence(host: Command, context: CliContext): void {
  host
    .command('fence')
    .description('say that a host is off: its VMs with --on-host-loss restart run elsewhere')
    .argument('<host>', 'its id or name')
    .requiredOption('--reason <text>', 'how you know, for those who ask what became of their VMs')
    .addOption(jsonOption())
    .addHelpText('after', examples('berth host fence host-1 --reason "power is cut"'))
    .action((idOrName: string, { json, reason }: FenceOptions) =>
      runCommand(context, async (client) => {
        const path = `${hostPath(idOrName)}/fence`;
        const fenced = await client.call('POST', path, hostSchema, { body: { reason } });
        if (json === true) {
          printJson(context, fenced);
          return;
        }
        const { name, vms, fence } = fenced;
        // A repeat is told the word that counts: the first one.
        const word = fence === null ? '' : ` since ${fence.at}: ${fence.reason} (${fence.by})`;
        printLine(context, plain(`${name} is fenced${word}.`));
        printLine(context, `Staying with it: ${counted(vms, 'VM')}. The others go on elsewhere.`);
        printLine(context, 'Do not switch it on until you mean it to come back: it is then told');
        printLine(context, 'which VMs are no longer its own, and takes new ones.');
      }),
    );
}
