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
      host.state,
      host.mode,
      host.zone,
      host.vms.toString(),
      ...['cpu', 'memory', 'disk'].map((resource) => bookedOf(host, resource)),
    ]),
  );
  printLine(context);
  printLine(context, 'CPU, MEMORY and DISK: booked/limit. The limit is what may be booked.');
}

function bookedOf({ resources }: HostBody, resource: string): string {
  const amount = resources[resource];
  if (amount === undefined) return '-';
  return `${showAmount(resource, amount.allocated)}/${showAmount(resource, amount.limit)}`;
}

const RESOURCE_COLUMNS: readonly Column[] = [
  { head: 'CLASS' },
  { head: 'TOTAL', align: 'right' },
  { head: 'RESERVED', align: 'right' },
  { head: 'OVERCOMMIT', align: 'right' },
  { head: 'LIMIT', align: 'right' },
  { head: 'BOOKED', align: 'right' },
  { head: 'AVAILABLE', align: 'right' },
  { head: 'UNIT' },
  { head: 'SOURCE' },
];

/** Everything about one host, its resources last. */
export function printHost(context: CliContext, host: HostBody): void {
  const labels = Object.entries(host.labels).map(([key, value]) => `${key}=${value}`);
  printFacts(context, [
    ['name', host.name],
    ['id', host.id],
    ['state', host.state],
    ['mode', host.modeReason === null ? host.mode : `${host.mode}: ${host.modeReason}`],
    ['zone', host.zone],
    ['labels', labels.length === 0 ? '-' : labels.join(', ')],
    ['address', host.address],
    ['agent', `${host.agent.version}, boot ${host.agent.bootId}`],
    ['VMs', host.vms.toString()],
    ['last seen', host.lastSeenAt ?? 'never'],
    ['joined', host.createdAt],
  ]);
  printLine(context);
  printTable(
    context,
    RESOURCE_COLUMNS,
    Object.entries(host.resources).map(([resource, amount]) => [
      resource,
      showAmount(resource, amount.total),
      showAmount(resource, amount.reserved),
      `x${amount.overcommit.toString()}`,
      showAmount(resource, amount.limit),
      showAmount(resource, amount.allocated),
      showAmount(resource, amount.available),
      amount.unit,
      amount.source,
    ]),
  );
}
