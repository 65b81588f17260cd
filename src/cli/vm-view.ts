/** VMs for people. */
import type { VmBody } from '../wire/vms.js';
import { showAmount } from './amounts.js';
import type { CliContext } from './context.js';
import { printFacts, printLine, printTable, type Column } from './print.js';

const NOTHING = '-';

const LIST_COLUMNS: readonly Column[] = [
  { head: 'NAME', flexible: true },
  { head: 'ID' },
  { head: 'STATE' },
  { head: 'HOST', flexible: true },
  { head: 'CPU', align: 'right' },
  { head: 'MEMORY', align: 'right' },
  { head: 'DISK', align: 'right' },
];

export function printVms(context: CliContext, vms: readonly VmBody[]): void {
  printTable(
    context,
    LIST_COLUMNS,
    vms.map(({ name, id, state, host, resources }) => [
      name,
      id,
      state,
      host?.name ?? NOTHING,
      ...['cpu', 'memory', 'disk'].map((resource) =>
        showAmount(resource, resources[resource] ?? 0),
      ),
    ]),
  );
}

/** Everything about one VM, its attempts last. */
export function printVm(context: CliContext, vm: VmBody): void {
  const { host, allocation } = vm;
  printFacts(context, [
    ['name', vm.name],
    ['id', vm.id],
    ['path', vm.path],
    ['state', vm.state === vm.desiredState ? vm.state : `${vm.state}, wanted ${vm.desiredState}`],
    ['host', host === null ? NOTHING : `${host.name} (${host.id})`],
    ['resources', amounts(vm.resources)],
    ['image', vm.image ?? NOTHING],
    ['users', vm.users.map(({ name }) => name).join(', ') || NOTHING],
    ['constraints', constraintsLine(vm.constraints)],
    ['on host loss', vm.onHostLoss],
    ...(vm.violations.length === 0 ? [] : [['wishes broken', groupsLine(vm.violations)] as const]),
    [
      'allocation',
      allocation === null
        ? 'none: it holds nothing'
        : `assignment ${allocation.assignment.toString()}, booking ${allocation.bookingId}`,
    ],
    ['reason', reasonLine(vm) ?? NOTHING],
    ...(vm.waitUntil === null ? [] : [['waits until', vm.waitUntil] as const]),
    ['created', vm.createdAt],
    ['updated', vm.updatedAt],
  ]);
  if (vm.attempts.length === 0) return;
  printLine(context);
  printTable(
    context,
    [{ head: 'ATTEMPT' }, { head: 'HOST', flexible: true }, { head: 'OUTCOME' }, DETAIL],
    vm.attempts.map(({ at, host: tried, outcome, detail }) => [
      at,
      tried.name,
      outcome,
      detail ?? '',
    ]),
  );
}

const DETAIL: Column = { head: 'DETAIL', flexible: true };

/** Why a VM is in its state, with the stable code; undefined when nothing is to be said. */
export const reasonLine = ({ reason }: VmBody): string | undefined =>
  reason === null ? undefined : `${reason.detail} (${reason.code})`;

/** `cpu 1, memory 512MiB, disk 1GiB`. */
export const amounts = (resources: Readonly<Record<string, number>>): string =>
  Object.entries(resources)
    .map(([resource, amount]) => `${resource} ${showAmount(resource, amount)}`)
    .join(', ');

const groupsLine = (groups: VmBody['violations']): string =>
  groups.map(({ name, policy }) => `${policy} of ${name}`).join(', ');

export function constraintsLine({
  zone,
  labels,
  groups = [],
  host,
  exclude,
}: VmBody['constraints']): string {
  const pairs = (verb: string, wanted: Readonly<Record<string, string>> = {}) =>
    Object.entries(wanted).map(([key, value]) => `${verb} ${key}=${value}`);
  const parts = [
    ...(zone === undefined ? [] : [`zone ${zone}`]),
    ...pairs('with', labels?.required),
    ...pairs('without', labels?.forbidden),
    ...(groups.length === 0 ? [] : [groupsLine(groups)]),
    ...(host === undefined ? [] : [`on ${host}`]),
    ...(exclude ?? []).map((name) => `not on ${name}`),
  ];
  return parts.length === 0 ? NOTHING : parts.join(', ');
}
