/** `berth vm …`: create, list, show, logs, start, stop, delete. */
import { randomUUID } from 'node:crypto';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { ON_HOST_LOSS, VM_STATES } from '../model/vm.js';
import { vmPageSchema, vmSchema, type VmBody } from '../wire/vms.js';
import { parseCount } from './amounts.js';
import type { CliContext } from './context.js';
import { createVm, type CreateOptions } from './create-vm.js';
import { parseDurationS } from './durations.js';
import { findVm, vmPath } from './find-vm.js';
import { gather } from './pages.js';
import { printJson, printLine } from './print.js';
import { usersFrom, type UserOptions } from './user-options.js';
import { addRequestOptions, pathOption, strategyOption } from './request-options.js';
import { examples, jsonOption, runCommand } from './run-command.js';
import { registerLogs } from './vm-logs-command.js';
import { printVm, printVms } from './vm-view.js';

/** Longest wait that the API grants to one call. */
const WAIT_S_MAX = 300;
const WAIT_S_DEFAULT = 60;

export function registerVmCommands(program: Command, context: CliContext): void {
  const vm = program.command('vm').description('create, list, show, start, stop and delete VMs');
  registerCreate(vm, context);
  registerList(vm, context);
  registerShow(vm, context);
  registerLogs(vm, context);
  registerWish(vm, context, {
    verb: 'start',
    description: 'have a stopped VM run again',
    method: 'POST',
    pathOf: (id) => `${vmPath(id)}/start`,
    says: ({ name, state }) => `${name} is to run; it is ${state} now.`,
  });
  registerWish(vm, context, {
    verb: 'stop',
    description: 'stop a VM; it keeps its place and its disk',
    force: 'end it at once, without asking its guest: what that has not written is lost',
    method: 'POST',
    pathOf: (id) => `${vmPath(id)}/stop`,
    says: ({ name, state }) => `${name} is to stop; it is ${state} now.`,
  });
  registerWish(vm, context, {
    verb: 'delete',
    description: 'delete a VM, its disk included; there is no way back',
    method: 'DELETE',
    pathOf: vmPath,
    says: ({ name, id }) => `${name} (${id}) is being deleted.`,
  });
}

function registerCreate(vm: Command, context: CliContext): void {
  const create = vm
    .command('create')
    .description('create a VM on the host that fits best, and wait until it runs')
    .option('--name <name>', 'name; one is made up when absent')
    .option('--image <image>', 'image that its disk is made from')
    .option('--user <name>', 'who may log in to its guest, by the keys of --ssh-key')
    .option(
      '--ssh-key <file>',
      'public key of the user, as ssh-keygen makes it; may be repeated',
      (file: string, files?: readonly string[]) => [...(files ?? []), file],
    )
    .addOption(pathOption());
  addRequestOptions(create)
    .option('--id <id>', 'id of your own: a repeat with it never makes a second VM')
    .option('--key <key>', 'name of this request: a repeat with it is never done twice')
    .option('--count <count>', 'so many alike; their names end in -1, -2, …', parseCount)
    .option('--partial', 'with --count: as many as there is room for, instead of all or none')
    .addOption(
      new Option(
        '--on-host-loss <what>',
        'when its host is fenced: keep it waiting there (the default), or restart it elsewhere',
      ).choices(ON_HOST_LOSS),
    )
    .addOption(strategyOption())
    .option('--reservation <id>', 'take the room of this reservation, which ends with it')
    .option('--queue', 'when no host has room, wait in line instead of being refused')
    .option(
      '--deadline <time>',
      'longest wait in line: 45s, 30m, 2h; implies --queue',
      parseDurationS,
    )
    .option('--wait', 'wait until it runs, which is done anyway', true)
    .option('--no-wait', 'return as soon as it has a host, or a place in the line')
    .option('--timeout <seconds>', 'longest wait', parseWaitS, WAIT_S_DEFAULT)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'berth vm create --name web-1 --cpu 2 --memory 2GiB --disk 10GiB',
        'berth vm create --name web --count 3 --group web:anti-affinity',
        'berth vm create --image debian-12 --user jo --ssh-key ~/.ssh/id_ed25519.pub',
        'berth vm create --name batch-1 --queue --deadline 2h --no-wait',
        'berth vm create --zone zone-a --require disk=ssd --exclude host-3 --no-wait --json',
      ),
    )
    .action((options: CreateOptions & UserOptions) =>
      runCommand(context, async (client) => {
        const users = await usersFrom(options);
        await createVm(client, context, { ...options, users }, randomUUID());
      }),
    );
}

/** @throws InvalidArgumentError */
function parseWaitS(text: string): number {
  const seconds = parseCount(text);
  if (seconds > WAIT_S_MAX) {
    throw new InvalidArgumentError(`It must be at most ${WAIT_S_MAX.toString()}.`);
  }
  return seconds;
}

interface ListOptions {
  readonly host?: string;
  readonly path?: string;
  readonly state?: string;
  readonly limit?: number;
  readonly json?: boolean;
}

/** A VM that is deleted is not listed. */
const LISTED_STATES = VM_STATES.filter((state) => state !== 'deleted');

function registerList(vm: Command, context: CliContext): void {
  vm.command('list')
    .description('list VMs')
    .option('--host <host>', 'only those on this host, by id or name')
    .option('--path <path>', 'only those of this path')
    .addOption(new Option('--state <state>', 'only those in this state').choices(LISTED_STATES))
    .option('--limit <count>', 'at most so many; all when absent', parseCount)
    .addOption(jsonOption())
    .addHelpText('after', examples('berth vm list --state running', 'berth vm list --json'))
    .action(({ json, limit, ...query }: ListOptions) =>
      runCommand(context, async (client) => {
        const page = await gather(client, '/v1/vms', vmPageSchema, query, limit);
        if (json === true) printJson(context, page);
        else if (page.items.length === 0) printLine(context, 'No VMs.');
        else printVms(context, page.items);
        if (json !== true && page.nextCursor !== null) {
          printLine(context, '… and more; raise --limit to see them');
        }
      }),
    );
}

interface JsonOption {
  readonly json?: boolean;
}

function registerShow(vm: Command, context: CliContext): void {
  vm.command('show')
    .description('show a VM: where it is, in which state, and why')
    .argument('<vm>', 'its id, or a name that only it has')
    .addOption(jsonOption())
    .addHelpText('after', examples('berth vm show web-1'))
    .action((idOrName: string, { json }: JsonOption) =>
      runCommand(context, async (client) => {
        const found = await findVm(client, idOrName);
        if (json === true) printJson(context, found);
        else printVm(context, found);
      }),
    );
}

/** A command that only says what is wanted of a VM; the control plane does it in its own time. */
interface Wish {
  readonly verb: string;
  readonly description: string;
  readonly method: 'POST' | 'DELETE';
  /** What --force does; absent where there is no such option. */
  readonly force?: string;
  pathOf(id: string): string;
  says(vm: VmBody): string;
}

function registerWish(vm: Command, context: CliContext, wish: Wish): void {
  const command = vm
    .command(wish.verb)
    .description(wish.description)
    .argument('<vm>', 'its id, or a name that only it has');
  if (wish.force !== undefined) command.option('--force', wish.force);
  command
    .addOption(jsonOption())
    .addHelpText('after', examples(`berth vm ${wish.verb} web-1`))
    .action((idOrName: string, { json, force }: JsonOption & { readonly force?: boolean }) =>
      runCommand(context, async (client) => {
        const { id } = await findVm(client, idOrName);
        const options = force === true ? { body: { force } } : {};
        const answer = await client.call(wish.method, wish.pathOf(id), vmSchema, options);
        if (json === true) printJson(context, answer);
        else printLine(context, wish.says(answer));
      }),
    );
}
