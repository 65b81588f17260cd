/** `berth host drain …` and `berth host retire`: taking a host out. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import {
  drainSchema,
  type DrainBody,
  type DrainMoveBody,
  type DrainRequestBody,
} from '../wire/drains.js';
import { hostSchema } from '../wire/hosts.js';
import type { Client } from './client.js';
import type { CliContext } from './context.js';
import { CliFailure, EXIT } from './failure.js';
import { hostPath } from './host-path.js';
import { counted, plain, printJson, printLine, printTable, type Column } from './print.js';
import { examples, jsonOption, runCommand } from './run-command.js';
import { withSpinner } from './spinner.js';

/** Pause between two looks at a drain that is waited for. */
const LOOK_EVERY_MS = 1_000;

interface Options {
  readonly json?: boolean;
}

interface DrainOptions extends Options, DrainRequestBody {
  readonly wait?: boolean;
}

export function registerDrainCommands(host: Command, context: CliContext): void {
  registerDrain(host, context);
  registerStatus(host, context);
  registerCancel(host, context);
  registerRetire(host, context);
}

const drainPath = (idOrName: string): string => `${hostPath(idOrName)}/drain`;

function registerDrain(host: Command, context: CliContext): void {
  host
    .command('drain')
    .description('move every VM of a host to others, one after another; each is stopped for it')
    .argument('<host>', 'its id or name')
    .option('--dry-run', 'only tell where each VM would go, and what blocks it', false)
    .option('--reason <text>', 'why, for those who come after you')
    .option('--owner <name>', 'whom to ask about it')
    .option(
      '--wait',
      'until the host is empty, or nothing goes on because all that is left is blocked',
    )
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'berth host drain host-1 --dry-run',
        'berth host drain host-1 --reason "disk replacement" --owner jo --wait',
      ),
    )
    .action((idOrName: string, { json, wait = false, ...body }: DrainOptions) =>
      runCommand(context, async (client) => {
        const begun = await client.call('POST', drainPath(idOrName), drainSchema, { body });
        const waits = wait && !body.dryRun;
        const drain = waits ? await awaited(client, context, begun) : begun;
        show(context, drain, json);
        if (waits) judge(drain);
      }),
    );
}

function registerStatus(host: Command, context: CliContext): void {
  host
    .command('drain-status')
    .description('show what the last drain of a host has moved where, and what is blocked')
    .argument('<host>', 'its id or name')
    .addOption(jsonOption())
    .addHelpText('after', examples('berth host drain-status host-1'))
    .action((idOrName: string, { json }: Options) =>
      runCommand(context, async (client) => {
        show(context, await client.call('GET', drainPath(idOrName), drainSchema), json);
      }),
    );
}

function registerCancel(host: Command, context: CliContext): void {
  host
    .command('drain-cancel')
    .description('end a drain: VMs that are still there stay, and the host is what it was before')
    .argument('<host>', 'its id or name')
    .addOption(jsonOption())
    .addHelpText('after', examples('berth host drain-cancel host-1'))
    .action((idOrName: string, { json }: Options) =>
      runCommand(context, async (client) => {
        show(context, await client.call('DELETE', drainPath(idOrName), drainSchema), json);
      }),
    );
}

interface RetireOptions extends Options {
  readonly force?: boolean;
  readonly reason?: string;
}

function registerRetire(host: Command, context: CliContext): void {
  host
    .command('retire')
    .description('take a host out for good: an empty one, or any by force')
    .argument('<host>', 'its id or name')
    .option('--force', 'although it has VMs: they count as failed from then on; needs --reason')
    .option('--reason <text>', 'why, for those who ask what became of their VMs')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'berth host retire host-1',
        'berth host retire host-1 --force --reason "burnt down"',
      ),
    )
    .action((idOrName: string, { json, force = false, reason }: RetireOptions) =>
      runCommand(context, async (client) => {
        const query = {
          ...(force ? { force: 'true' } : {}),
          ...(reason === undefined ? {} : { reason }),
        };
        const retired = await client.call('DELETE', hostPath(idOrName), hostSchema, { query });
        if (json === true) printJson(context, retired);
        else printLine(context, `${retired.name} is retired. Its name is free for another host.`);
      }),
    );
}

/** The drain when it is over, or when nothing of it can go on. */
async function awaited(client: Client, context: CliContext, begun: DrainBody): Promise<DrainBody> {
  return withSpinner(context, `Draining ${begun.host.name}`, async () => {
    let drain = begun;
    while (drain.state === 'draining' && !isStuck(drain)) {
      await sleep(LOOK_EVERY_MS);
      drain = await client.call('GET', drainPath(begun.host.id), drainSchema);
    }
    return drain;
  });
}

const isOf =
  (...states: readonly DrainMoveBody['state'][]) =>
  ({ state }: DrainMoveBody): boolean =>
    states.includes(state);

const isStuck = ({ moves }: DrainBody): boolean =>
  moves.some(isOf('blocked')) && !moves.some(isOf('planned', 'moving'));

/** @throws CliFailure when the drain that was waited for has not emptied the host */
function judge({ host, state, moves }: DrainBody): void {
  if (state === 'done') return;
  const blocked = counted(moves.filter(isOf('blocked')).length, 'VM');
  throw new CliFailure(
    EXIT.conflict,
    state === 'cancelled'
      ? `The drain of ${host.name} was cancelled.`
      : `${host.name} is not empty: ${blocked} cannot go anywhere now.`,
    { hint: 'what is blocked is tried again by itself as soon as there is room' },
  );
}

const COLUMNS: readonly Column[] = [
  { head: 'VM', flexible: true },
  { head: 'STATE' },
  { head: 'PLANNED', flexible: true },
  { head: 'TARGET', flexible: true },
];

const SAYS: Readonly<Record<DrainBody['state'], string>> = {
  planned: 'would be drained so',
  draining: 'is being drained and takes no new VMs',
  done: 'is drained: it has no VM, and takes none until it is uncordoned or retired',
  cancelled: 'is not drained any more',
};

function show(context: CliContext, drain: DrainBody, json: boolean | undefined): void {
  if (json === true) {
    printJson(context, drain);
    return;
  }
  const { host, state, reason, owner, moves } = drain;
  const why = [reason, owner === null ? null : `ask ${owner}`].filter((text) => text !== null);
  const because = why.length === 0 ? '' : ` (${why.join('; ')})`;
  printLine(context, plain(`${host.name} ${SAYS[state]}${because}.`));
  if (moves.length === 0) {
    printLine(context, 'It has no VMs.');
    return;
  }
  printLine(context);
  printTable(
    context,
    COLUMNS,
    moves.map((move) => [
      move.vm.name,
      move.state,
      move.planned?.name ?? '-',
      move.target?.name ?? '-',
    ]),
  );
  const told = moves.filter(({ detail }) => detail !== null);
  if (told.length > 0) printLine(context);
  for (const { vm, detail } of told) printLine(context, plain(`${vm.name}: ${detail ?? ''}`));
}
