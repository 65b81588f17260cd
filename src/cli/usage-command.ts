/** `berth usage`: how much of the fleet is booked and used, now and before. */
import { Option, type Command } from 'commander';
import {
  usageHistorySchema,
  usageSchema,
  type ResourcesUsageBody,
  type UsageBody,
} from '../wire/usage.js';
import { showAmount, showShare } from './amounts.js';
import type { Client } from './client.js';
import type { CliContext } from './context.js';
import { parseDurationS } from './durations.js';
import { gather } from './pages.js';
import { printJson, printLine, printTable, type Column } from './print.js';
import { examples, jsonOption, runCommand } from './run-command.js';

interface UsageOptions {
  readonly json?: boolean;
  readonly by?: 'zone' | 'host';
  readonly history?: boolean;
  readonly zone?: string;
  readonly host?: string;
  readonly hourly?: boolean;
  readonly last: number;
}

const DAY_S = 24 * 60 * 60;

export function registerUsageCommand(program: Command, context: CliContext): void {
  program
    .command('usage')
    .description('show capacity, limit, what is booked and what is really used')
    .addOption(new Option('--by <part>', 'also of each').choices(['zone', 'host']))
    .option('--history', 'how it was: every 5 minutes of the last week, every hour of a year')
    .option('--zone <name>', 'history of this zone')
    .addOption(new Option('--host <host>', 'history of this host').conflicts('zone'))
    .option('--hourly', 'history by the hour')
    .option('--last <time>', 'history of the last 6h, 7d', parseDurationS, DAY_S)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples('berth usage --by zone', 'berth usage --history --zone zone-a --hourly --last 30d'),
    )
    .action((options: UsageOptions) =>
      runCommand(context, async (client) => {
        const { history, zone, host, hourly } = options;
        const isHistory = [history, zone, host, hourly].some((given) => given !== undefined);
        if (isHistory) await showHistory(client, context, options);
        else await showNow(client, context, options);
      }),
    );
}

const AMOUNT_COLUMNS: readonly Column[] = [
  { head: 'CLASS' },
  { head: 'CAPACITY', align: 'right' },
  { head: 'LIMIT', align: 'right' },
  { head: 'BOOKED', align: 'right' },
  { head: 'OF LIMIT', align: 'right' },
  { head: 'USED', align: 'right' },
];

async function showNow(
  client: Client,
  context: CliContext,
  { by, json }: UsageOptions,
): Promise<void> {
  // Of all hosts only where they are asked for: a large fleet has many.
  const usage = await client.call('GET', '/v1/usage', usageSchema, { query: { by: by ?? 'zone' } });
  if (json === true) {
    printJson(context, usage);
    return;
  }
  const rows = partsOf(usage, by).flatMap(({ name, resources }) =>
    rowsOf(resources).map((row, index) => [index === 0 ? name : '', ...row]),
  );
  printTable(context, [{ head: '', flexible: true }, ...AMOUNT_COLUMNS], rows);
  printLine(context);
  printLine(context, 'USED is what the machines really use, where their agents tell.');
}

function partsOf(
  { total, zones = [], hosts = [] }: UsageBody,
  by: UsageOptions['by'],
): readonly { readonly name: string; readonly resources: ResourcesUsageBody }[] {
  const parts =
    by === 'zone'
      ? zones.map(({ zone, resources }) => ({ name: zone, resources }))
      : by === 'host'
        ? hosts.map(({ host, resources }) => ({ name: host.name, resources }))
        : [];
  return [...parts, { name: 'total', resources: total }];
}

const rowsOf = (resources: ResourcesUsageBody): readonly (readonly string[])[] =>
  Object.entries(resources).map(([resource, { capacity, limit, booked, used }]) => [
    resource,
    showAmount(resource, capacity),
    showAmount(resource, limit),
    showAmount(resource, booked),
    limit === 0 ? '-' : showShare(booked / limit),
    used === null ? '-' : showAmount(resource, used),
  ]);

const HISTORY_COLUMNS: readonly Column[] = [
  { head: 'AT' },
  { head: 'CLASS' },
  { head: 'LIMIT', align: 'right' },
  { head: 'BOOKED', align: 'right' },
  { head: 'HIGHEST', align: 'right' },
  { head: 'USED', align: 'right' },
  { head: 'HIGHEST', align: 'right' },
];

async function showHistory(
  client: Client,
  context: CliContext,
  { zone, host, hourly, last, json }: UsageOptions,
): Promise<void> {
  const id = zone ?? host;
  const scope = zone !== undefined ? 'zone' : host !== undefined ? 'host' : 'total';
  const page = await gather(client, '/v1/usage/history', usageHistorySchema, {
    scope,
    id,
    step: hourly === true ? '1h' : '5m',
    from: new Date(Date.now() - last * 1_000).toISOString(),
  });
  if (json === true) {
    printJson(context, page);
    return;
  }
  if (page.items.length === 0) {
    printLine(context, 'Nothing is kept of that time.');
    return;
  }
  printTable(
    context,
    HISTORY_COLUMNS,
    page.items.flatMap(({ at, resources }) =>
      Object.entries(resources).map(([resource, amounts]) => [
        at,
        resource,
        showAmount(resource, amounts.limit),
        showAmount(resource, amounts.booked),
        showAmount(resource, amounts.bookedMax),
        amounts.used === null ? '-' : showAmount(resource, amounts.used),
        amounts.usedMax === null ? '-' : showAmount(resource, amounts.usedMax),
      ]),
    ),
  );
}
