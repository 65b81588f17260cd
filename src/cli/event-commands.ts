/** `berth events` and `berth audit`: what happens, and who did what. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { auditPageSchema, type AuditEntryBody } from '../wire/audit.js';
import { eventSchema, type EventBody } from '../wire/events.js';
import { createEventStreamReader } from '../wire/server-sent-events.js';
import { parseCount } from './amounts.js';
import type { Client, Query } from './client.js';
import type { CliContext } from './context.js';
import { CliFailure, EXIT } from './failure.js';
import { gather } from './pages.js';
import { plain, printJson, printLine, printTable, type Column } from './print.js';
import { examples, jsonOption, runCommand } from './run-command.js';
import { understood } from './understood.js';

/** Adds both commands. */
export function registerEventCommands(program: Command, context: CliContext): void {
  registerEvents(program, context);
  registerAudit(program, context);
}

interface EventOptions {
  readonly json?: boolean;
  readonly follow: boolean;
  readonly since?: string;
  readonly kind?: string;
  readonly vm?: string;
  readonly host?: string;
  readonly path?: string;
}

function registerEvents(program: Command, context: CliContext): void {
  program
    .command('events')
    .description('follow what happens to VMs, hosts and reservations')
    .option('--since <start>', 'start: begin with the oldest event that is kept')
    .option('--kind <kinds>', 'only these, joined by commas, such as vm.created,vm.deleted')
    .option('--vm <id>', 'only what happens to this VM')
    .option('--host <host>', 'only what happens to this host (id or name) and to VMs on it')
    .option('--path <path>', 'only what lies at or below this path')
    .option('--no-follow', 'end after what has happened so far')
    .option('--json', 'print each event as a line of JSON')
    .addHelpText('after', examples('berth events --kind vm.created,vm.deleted'))
    .action(({ json, follow, ...query }: EventOptions) =>
      runCommand(context, (client) =>
        followEvents(
          client,
          context,
          follow ? { ...query } : { ...query, follow: 'false' },
          (event) => {
            printLine(context, json === true ? JSON.stringify(event) : lineOf(event));
          },
        ),
      ),
    );
}

/** Signs of life come far more often. */
const SILENCE_MS = 120_000;
const RECONNECT_MS = 1_000;

/** Goes on after the last event when the connection breaks, until somebody stops the program. */
async function followEvents(
  client: Client,
  context: CliContext,
  query: Query,
  show: (event: EventBody) => void,
): Promise<void> {
  let lastEventId = '';
  let told = false;
  for (;;) {
    try {
      const options = { query, timeoutMs: SILENCE_MS, lastEventId };
      const texts = await client.follow('/v1/events', options);
      const reader = createEventStreamReader();
      for await (const text of texts) {
        for (const { data } of reader.take(text)) show(eventOf(data));
        if (reader.lastEventId !== '') lastEventId = reader.lastEventId;
        told = false;
      }
      if (query.follow === 'false') return;
    } catch (error) {
      if (lastEventId === '' || !(error instanceof CliFailure) || !isPassing(error)) throw error;
      // Once for each time that it goes away.
      if (!told) context.stderr.write(`${plain(error.message)} Going on as soon as it is back.\n`);
      told = true;
    }
    await sleep(RECONNECT_MS);
  }
}

/** Nobody answers, or says that another time is better. */
const isPassing = ({ exitCode, details }: CliFailure): boolean =>
  exitCode === EXIT.unreachable ||
  ['shutting_down', 'catalogue_unavailable', 'rate_limited'].includes(details.code ?? '');

function eventOf(data: string): EventBody {
  let document: unknown;
  try {
    document = JSON.parse(data);
  } catch {
    document = undefined;
  }
  if (understood<EventBody>(eventSchema, document)) return document;
  throw new CliFailure(EXIT.failure, 'The control plane sent an event that cannot be read.');
}

/** Widths that keep the columns of a growing list in line. */
const KIND_WIDTH = 20;
const NAME_WIDTH = 20;

function lineOf({ at, kind, vm, host, reservation, fleet }: EventBody): string {
  const subject = vm ?? host ?? reservation;
  const words = [
    at,
    kind.padEnd(KIND_WIDTH),
    (subject?.name ?? '').padEnd(NAME_WIDTH),
    ...(vm === undefined ? [] : vmWords(vm)),
    ...(host === undefined ? [] : hostWords(host)),
    ...(reservation === undefined ? [] : [`on ${reservation.host.name}`]),
    ...(fleet === undefined ? [] : fleetWords(fleet)),
  ];
  return plain(words.join('  '));
}

function hostWords(host: NonNullable<EventBody['host']>): string[] {
  const { state, mode, modeReason, fence } = host;
  return [
    state,
    ...(fence === undefined || fence === null ? [] : [`fenced: ${fence.reason} (${fence.by})`]),
    ...(mode === 'enabled' ? [] : [mode]),
    ...(modeReason === null ? [] : [modeReason]),
  ];
}

function fleetWords({ reason, hosts, missing }: NonNullable<EventBody['fleet']>): string[] {
  const share = `${missing.toString()} of ${hosts.toString()} hosts missing`;
  return [share, ...(reason === null ? [] : [reason])];
}

function vmWords({ state, desiredState, host, reason }: NonNullable<EventBody['vm']>): string[] {
  return [
    state === desiredState ? state : `${state}, wanted ${desiredState}`,
    ...(host === null ? [] : [`on ${host.name}`]),
    ...(reason === null ? [] : [`(${reason.code}: ${reason.detail})`]),
  ];
}

interface AuditOptions {
  readonly json?: boolean;
  readonly limit?: number;
  readonly actor?: string;
  readonly action?: string;
  readonly subject?: string;
  readonly since?: string;
}

const AUDIT_COLUMNS: readonly Column[] = [
  { head: 'AT' },
  { head: 'ACTOR', flexible: true },
  { head: 'ACTION' },
  { head: 'SUBJECT', flexible: true },
  { head: 'CHANGED', flexible: true },
];

/** Entries that a person is shown who does not say how many. */
const AUDIT_LIMIT = 50;

function registerAudit(program: Command, context: CliContext): void {
  program
    .command('audit')
    .description('list who did what, newest first')
    .option('--limit <count>', `at most so many (default: ${AUDIT_LIMIT.toString()})`, parseCount)
    .option('--actor <actor>', 'only what this token or host did, by its id or name')
    .option('--action <action>', 'only this, such as vm.delete')
    .option('--subject <id>', 'only what was done to the thing with this id')
    .option('--since <time>', 'only what was done since, such as 2026-11-21T10:00:00Z')
    .addOption(jsonOption())
    .addHelpText('after', examples('berth audit --action host.patch'))
    .action(({ json, limit = AUDIT_LIMIT, ...query }: AuditOptions) =>
      runCommand(context, async (client) => {
        const page = await gather(client, '/v1/audit', auditPageSchema, { ...query }, limit);
        if (json === true) {
          printJson(context, page);
          return;
        }
        if (page.items.length === 0) {
          printLine(context, 'Nothing of this kind was done.');
          return;
        }
        printTable(context, AUDIT_COLUMNS, page.items.map(auditCells));
        if (page.nextCursor !== null) printLine(context, '… and more; raise --limit to see them');
      }),
    );
}

const auditCells = (entry: AuditEntryBody): readonly string[] => [
  entry.at,
  entry.actor.name,
  entry.action,
  `${entry.subject.kind} ${nameIn(entry) ?? entry.subject.id}`,
  changesOf(entry),
];

function nameIn({ before, after }: AuditEntryBody): string | undefined {
  const name = (after ?? before)?.name;
  return typeof name === 'string' ? name : undefined;
}

/** The facts that differ; only their names, where they are more than a word. */
function changesOf({ before, after }: AuditEntryBody): string {
  if (before === null || after === null) return before === after ? '' : 'all of it';
  const names = Object.keys(after).filter(
    (name) => name !== 'updatedAt' && JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  );
  return names.map((name) => `${name}${valueOf(after[name])}`).join(', ');
}

const valueOf = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' ? `=${value.toString()}` : '';
