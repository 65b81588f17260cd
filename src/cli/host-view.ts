/** Hosts for people. */
import type { HostBody } from '../wire/hosts.js';
import { showAmount } from './amounts.js';
import type { CliContext } from './context.js';
import { printFacts, printLine, printTable, type Column } from './print.js';

const LIST_COLUMNS: readonly Column[] = [
  { head: 'NAME', flexible: true },
  { head: 'STATE' },
  { head: 'MODE' },
  { head: 'ZONE', flexible: true },
  { head: 'VMS', align: 'right' },
  { head: 'CPU', align: 'right' },
  { head: 'MEMORY', align: 'right' },
  { head: 'DISK', align: 'right' },
];

/** Booked amounts and limits, a host a line. */
export function printHosts(context: CliContext, hosts: readonly HostBody[]): void {
  printTable(
    context,
    LIST_COLUMNS,
    hosts.map((host) => [
      host.name,
      stateOf(host),
      host.mode,
      host.zone,
      host.vms.toString(),
      ...['cpu', 'memory', 'disk'].map((resource) => bookedOf(host, resource)),
    ]),
  );
  printLine(context);
  printLine(context, 'CPU, MEMORY and DISK: booked/limit. The limit is what may be booked.');
}

/** `down, fenced`, `up, over-full`. */
const stateOf = ({ state, fence, overFull }: HostBody): string =>
  [state, ...(fence === null ? [] : ['fenced']), ...(overFull ? ['over-full'] : [])].join(', ');

function bookedOf({ resources }: HostBody, resource: string): string {
  const amount = resources[resource];
  if (amount === undefined) return '-';
  return `${showAmount(resource, amount.allocated)}/${showKnown(resource, amount.limit)}`;
}

/** An amount, or that nobody knows it: then nothing is refused for want of it. */
const showKnown = (resource: string, amount: number | null): string =>
  amount === null ? 'unknown' : showAmount(resource, amount);

const RESOURCE_COLUMNS: readonly Column[] = [
  { head: 'CLASS' },
  { head: 'TOTAL', align: 'right' },
  { head: 'RESERVED', align: 'right' },
  { head: 'OVERCOMMIT', align: 'right' },
  { head: 'LIMIT', align: 'right' },
  { head: 'BOOKED', align: 'right' },
  { head: 'AVAILABLE', align: 'right' },
  { head: 'USED', align: 'right' },
  { head: 'UNIT' },
  { head: 'SOURCE' },
];

/** `cordoned: new memory modules (jo), until …` */
function modeOf({ mode, modeReason, modeOwner, modeUntil }: HostBody): string {
  const why = modeReason === null ? '' : `: ${modeReason}`;
  const owner = modeOwner === null ? '' : ` (${modeOwner})`;
  return `${mode}${why}${owner}${modeUntil === null ? '' : `, until ${modeUntil}`}`;
}

/** `power is cut (jo), since …` */
const fenceOf = ({ at, reason, by }: NonNullable<HostBody['fence']>): string =>
  `${reason} (${by}), since ${at}`;

/** What the operator says in place of agent and configuration; `-` when nothing. */
function overridesOf({ overrides }: HostBody): string {
  const { zone, labels, overcommit, reserve, totals } = overrides;
  const parts = { labels, overcommit, reserve, totals };
  const said = Object.entries(parts).flatMap(([name, values = {}]) =>
    Object.entries(values).map(([key, value]) => `${name}.${key}=${String(value)}`),
  );
  if (zone !== undefined) said.unshift(`zone=${zone}`);
  return said.length === 0 ? '-' : said.join(', ');
}

/** Amounts that VMs without a record take there. */
const orphanedOf = ({ resources }: HostBody): string =>
  Object.entries(resources)
    .filter(([, { orphaned }]) => orphaned > 0)
    .map(([resource, { orphaned }]) => `${resource} ${showAmount(resource, orphaned)}`)
    .join(', ');

/** Everything about one host, its resources last. */
export function printHost(context: CliContext, host: HostBody): void {
  const labels = Object.entries(host.labels).map(([key, value]) => `${key}=${value}`);
  printFacts(context, [
    ['name', host.name],
    ['id', host.id],
    ['state', host.state],
    ['mode', modeOf(host)],
    ...(host.fence === null ? [] : [['fenced', fenceOf(host.fence)] as const]),
    ['zone', host.zone],
    ['labels', labels.length === 0 ? '-' : labels.join(', ')],
    ['set by hand', overridesOf(host)],
    ['address', host.address],
    ['agent', `${host.agent.version}, boot ${host.agent.bootId}`],
    ['VMs', host.vms.toString()],
    ['last seen', host.lastSeenAt ?? 'never'],
    ['joined', host.createdAt],
  ]);
  printLine(context);
  if (host.overFull) {
    printLine(
      context,
      'Over-full: more is booked than may be. It takes nothing new until it is not.',
    );
  }
  if (host.notEnforced.length > 0) {
    printLine(context, 'Not enforced on this host:');
    for (const sentence of host.notEnforced) printLine(context, `  ${sentence}`);
    printLine(context);
  }
  const orphaned = orphanedOf(host);
  if (orphaned !== '') {
    printLine(context, `VMs without a record take ${orphaned}, off the limit: berth orphan list`);
  }
  printTable(
    context,
    RESOURCE_COLUMNS,
    Object.entries(host.resources).map(([resource, amount]) => [
      resource,
      showKnown(resource, amount.total),
      showAmount(resource, amount.reserved),
      `x${amount.overcommit.toString()}`,
      showKnown(resource, amount.limit),
      showAmount(resource, amount.allocated),
      showKnown(resource, amount.available),
      amount.used === null ? '-' : showAmount(resource, amount.used),
      amount.unit,
      amount.source,
    ]),
  );
}
