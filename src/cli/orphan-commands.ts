/** `berth orphan …`: VMs that run without a record, and recorded ones that their hosts do not have. */
import type { Command } from 'commander';
import { ID_PATTERN } from '../model/ids.js';
import { orphanSchema, straysSchema, type AdoptBody, type StraysBody } from '../wire/orphans.js';
import { vmSchema } from '../wire/vms.js';
import { showAmount } from './amounts.js';
import type { CliContext } from './context.js';
import { CliFailure, EXIT } from './failure.js';
import { printJson, printLine, printTable, type Column } from './print.js';
import { examples, jsonOption, runCommand } from './run-command.js';

export function registerOrphanCommands(program: Command, context: CliContext): void {
  const orphan = program
    .command('orphan')
    .description('VMs that run without a record, and recorded ones that are missing');
  registerList(orphan, context);
  registerAdopt(orphan, context);
  registerDestroy(orphan, context);
}

interface Options {
  readonly json?: boolean;
}

/** @throws CliFailure when one of them can be none */
function orphanPath(host: string, vmId: string, verb: string): string {
  for (const part of [host, vmId]) {
    if (ID_PATTERN.test(part)) continue;
    throw new CliFailure(EXIT.usage, `"${part}" can be neither a host nor the id of a VM.`);
  }
  return `/v1/ops/orphans/${encodeURIComponent(host)}/${encodeURIComponent(vmId)}/${verb}`;
}

function registerList(orphan: Command, context: CliContext): void {
  orphan
    .command('list')
    .description('what two reports of a host in a row say otherwise than the records')
    .addOption(jsonOption())
    .addHelpText('after', examples('berth orphan list'))
    .action(({ json }: Options) =>
      runCommand(context, async (client) => {
        const strays = await client.call('GET', '/v1/ops/orphans', straysSchema);
        if (json === true) printJson(context, strays);
        else printStrays(context, strays);
      }),
    );
}

function registerAdopt(orphan: Command, context: CliContext): void {
  orphan
    .command('adopt')
    .description('record an orphan as a VM of the host on which it runs')
    .argument('<host>', 'its host, by id or name')
    .argument('<vm>', 'its id')
    .option('--name <name>', 'the name of the VM; its id when absent')
    .option('--path <path>', 'the path that it belongs to; root when absent')
    .addOption(jsonOption())
    .addHelpText('after', examples('berth orphan adopt host-1 web-7 --path acme:web'))
    .action((host: string, vmId: string, { json, ...body }: Options & AdoptBody) =>
      runCommand(context, async (client) => {
        const path = orphanPath(host, vmId, 'adopt');
        const vm = await client.call('POST', path, vmSchema, { body });
        if (json === true) printJson(context, vm);
        else printLine(context, `${vm.name} (${vm.id}) is a VM on ${host} from now on.`);
      }),
    );
}

function registerDestroy(orphan: Command, context: CliContext): void {
  orphan
    .command('destroy')
    .description('have an orphan removed by its host, with its disk')
    .argument('<host>', 'its host, by id or name')
    .argument('<vm>', 'its id')
    .addOption(jsonOption())
    .addHelpText('after', examples('berth orphan destroy host-1 web-7'))
    .action((host: string, vmId: string, { json }: Options) =>
      runCommand(context, async (client) => {
        const path = orphanPath(host, vmId, 'destroy');
        const gone = await client.call('POST', path, orphanSchema, { body: {} });
        if (json === true) printJson(context, gone);
        else printLine(context, `${vmId} is told to go from ${gone.host.name} until it is gone.`);
      }),
    );
}

const ORPHAN_COLUMNS: readonly Column[] = [
  { head: 'HOST', flexible: true },
  { head: 'VM' },
  { head: 'STATE' },
  { head: 'CPU', align: 'right' },
  { head: 'MEMORY', align: 'right' },
  { head: 'DISK', align: 'right' },
  { head: 'RECORDED ON', flexible: true },
];

const MISSING_COLUMNS: readonly Column[] = [
  { head: 'HOST', flexible: true },
  { head: 'VM' },
  { head: 'NAME', flexible: true },
  { head: 'SINCE' },
];

function printStrays(context: CliContext, { orphans, missing }: StraysBody): void {
  if (orphans.length === 0 && missing.length === 0) {
    printLine(context, 'None: hosts have what is recorded, and nothing else.');
    return;
  }
  if (orphans.length > 0) {
    printLine(context, 'They run, and are not recorded there:');
    printTable(
      context,
      ORPHAN_COLUMNS,
      orphans.map(({ host, vmId, state, resources, recordedOn, leaving }) => [
        host.name,
        vmId,
        leaving ? 'leaving' : state,
        ...['cpu', 'memory', 'disk'].map((name) => showAmount(name, resources[name] ?? 0)),
        recordedOn?.name ?? '-',
      ]),
    );
  }
  if (orphans.length > 0 && missing.length > 0) printLine(context);
  if (missing.length > 0) {
    printLine(context, 'They are recorded, and their hosts do not have them:');
    printTable(
      context,
      MISSING_COLUMNS,
      missing.map(({ host, vm, since }) => [host.name, vm.id, vm.name, since]),
    );
  }
}
