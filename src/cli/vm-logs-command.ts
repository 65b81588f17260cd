/** `berth vm logs`: what the serial console of a VM has said. */
import { InvalidArgumentError, type Command } from 'commander';
import { TAIL_BYTES_MAX } from '../wire/logs.js';
import { parseCount } from './amounts.js';
import type { CliContext } from './context.js';
import { findVm, vmPath } from './find-vm.js';
import { examples, runCommand } from './run-command.js';

interface LogsOptions {
  readonly follow?: boolean;
  readonly tail?: number;
}

export function registerLogs(vm: Command, context: CliContext): void {
  vm.command('logs')
    .description('print what the serial console of a VM has said')
    .argument('<vm>', 'its id, or a name that only it has')
    .option('-f, --follow', 'go on with what it says from now on')
    .option('--tail <bytes>', 'only so much of what it said before (default: 65536)', parseTail)
    .addHelpText('after', examples('berth vm logs web-1', 'berth vm logs -f web-1'))
    .action((idOrName: string, { follow, tail }: LogsOptions) =>
      runCommand(context, async (client) => {
        const { id } = await findVm(client, idOrName);
        const query = { tailBytes: tail, ...(follow === true ? { follow: 'true' } : {}) };
        const texts = await client.read(`${vmPath(id)}/logs`, { query });
        for await (const text of texts) {
          context.stdout.write(context.isTty === true ? harmless(text) : text);
        }
      }),
    );
}

/** @throws InvalidArgumentError */
function parseTail(text: string): number {
  const bytes = parseCount(text);
  if (bytes <= TAIL_BYTES_MAX) return bytes;
  throw new InvalidArgumentError(`It must be at most ${TAIL_BYTES_MAX.toString()}.`);
}

/** What a guest says must not move the cursor of its reader, or name his window. */
export const harmless = (text: string): string =>
  text.replaceAll(/\r(?=\n)/g, '').replaceAll(/[^\P{Cc}\n\t]/gu, '\ufffd');
