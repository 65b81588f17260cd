/** `berth reservation …`: create, list, show, delete. Room that is held for a VM of later. */
import { randomUUID } from 'node:crypto';
import { Option, type Command } from 'commander';
import { ID_PATTERN } from '../model/ids.js';
import {
  RESERVATION_S_DEFAULT,
  reservationPageSchema,
  reservationSchema,
  type ReservationBody,
} from '../wire/reservations.js';
import { parseCount, showAmount } from './amounts.js';
import type { CliContext } from './context.js';
import { parseDurationS } from './durations.js';
import { CliFailure, EXIT } from './failure.js';
import { gather } from './pages.js';
import { printFacts, printJson, printLine, printTable } from './print.js';
import {
  addRequestOptions,
  pathOption,
  requestOf,
  type RequestOptions,
} from './request-options.js';
import { examples, jsonOption, runCommand } from './run-command.js';
import { amounts, constraintsLine } from './vm-view.js';

const PATH = '/v1/reservations';

export function registerReservationCommands(program: Command, context: CliContext): void {
  const reservation = program
    .command('reservation')
    .description('hold room on a host for later; create, list, show and delete');
  registerCreate(reservation, context);
  registerList(reservation, context);
  registerShow(reservation, context);
  registerDelete(reservation, context);
}

interface JsonOption {
  readonly json?: boolean;
}

interface CreateOptions extends RequestOptions, JsonOption {
  readonly name?: string;
  readonly path?: string;
  readonly for: number;
}

function registerCreate(reservation: Command, context: CliContext): void {
  const create = reservation
    .command('create')
    .description('hold room on the host that fits best')
    .option('--name <name>', 'name; one is made up when absent')
    .addOption(pathOption())
    .addOption(
      new Option('--for <time>', 'how long: 30m, 2h, 7d')
        .argParser(parseDurationS)
        .default(RESERVATION_S_DEFAULT, '1h'),
    );
  addRequestOptions(create)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples('berth reservation create --name release --cpu 8 --memory 16GiB --for 2h'),
    )
    .action((options: CreateOptions) =>
      runCommand(context, async (client) => {
        const { name, path, for: expiresInS, json } = options;
        const made = await client.call('POST', PATH, reservationSchema, {
          body: {
            ...(name === undefined ? {} : { name }),
            ...(path === undefined ? {} : { path }),
            ...requestOf(options),
            expiresInS,
          },
          idempotencyKey: randomUUID(),
        });
        if (json === true) {
          printJson(context, made);
          return;
        }
        printLine(context, `${made.name} holds room on ${made.host.name} until ${made.expiresAt}.`);
        printFacts(context, [
          ['  id', made.id],
          ['  resources', amounts(made.resources)],
        ]);
        printLine(context, `Take it: berth vm create --reservation ${made.id} …`);
      }),
    );
}

function registerList(reservation: Command, context: CliContext): void {
  reservation
    .command('list')
    .description('list reservations')
    .option('--limit <count>', 'at most so many; all when absent', parseCount)
    .addOption(jsonOption())
    .addHelpText('after', examples('berth reservation list'))
    .action(({ json, limit }: JsonOption & { readonly limit?: number }) =>
      runCommand(context, async (client) => {
        const page = await gather(client, PATH, reservationPageSchema, {}, limit);
        if (json === true) printJson(context, page);
        else if (page.items.length === 0) printLine(context, 'No reservations.');
        else printReservations(context, page.items);
        if (json !== true && page.nextCursor !== null) {
          printLine(context, '… and more; raise --limit to see them');
        }
      }),
    );
}

function printReservations(context: CliContext, reservations: readonly ReservationBody[]): void {
  printTable(
    context,
    [
      { head: 'NAME', flexible: true },
      { head: 'ID' },
      { head: 'HOST', flexible: true },
      { head: 'CPU', align: 'right' },
      { head: 'MEMORY', align: 'right' },
      { head: 'EXPIRES' },
    ],
    reservations.map(({ name, id, host, resources, expiresAt }) => [
      name,
      id,
      host.name,
      ...['cpu', 'memory'].map((resource) => showAmount(resource, resources[resource] ?? 0)),
      // To the minute: the id needs the rest of the line.
      expiresAt.slice(0, 16),
    ]),
  );
}

function registerShow(reservation: Command, context: CliContext): void {
  reservation
    .command('show')
    .description('show a reservation: its room, its host, its end')
    .argument('<id>', 'its id')
    .addOption(jsonOption())
    .addHelpText('after', examples('berth reservation show rsv-…'))
    .action((id: string, { json }: JsonOption) =>
      runCommand(context, async (client) => {
        const found = await client.call('GET', pathOf(id), reservationSchema);
        if (json === true) {
          printJson(context, found);
          return;
        }
        printFacts(context, [
          ['name', found.name],
          ['id', found.id],
          ['path', found.path],
          ['host', `${found.host.name} (${found.host.id})`],
          ['resources', amounts(found.resources)],
          ['constraints', constraintsLine(found.constraints)],
          ['expires', found.expiresAt],
          ['created', found.createdAt],
        ]);
      }),
    );
}

function registerDelete(reservation: Command, context: CliContext): void {
  reservation
    .command('delete')
    .description('end a reservation; its room is free at once')
    .argument('<id>', 'its id')
    .addOption(jsonOption())
    .addHelpText('after', examples('berth reservation delete rsv-…'))
    .action((id: string, { json }: JsonOption) =>
      runCommand(context, async (client) => {
        const ended = await client.call('DELETE', pathOf(id), reservationSchema);
        if (json === true) printJson(context, ended);
        else
          printLine(
            context,
            `${ended.name} (${ended.id}) is over; ${ended.host.name} has its room back.`,
          );
      }),
    );
}

/** @throws CliFailure when this can be no reservation */
function pathOf(id: string): string {
  if (!ID_PATTERN.test(id)) {
    throw new CliFailure(EXIT.usage, `"${id}" can not be the id of a reservation.`);
  }
  return `${PATH}/${encodeURIComponent(id)}`;
}
