/** What fits, what runs out, and which hosts could not be lost, for people. */
import type { FlavorRoom } from '../planner/capacity.js';
import type { ZoneSpare } from '../planner/spare.js';
import { showAmount } from './amounts.js';
import type { CliContext } from './context.js';
import { counted, printLine, printTable, type Column } from './print.js';

/** Of a plan made here as of one made by the control plane. */
export interface CapacityReport {
  readonly flavors: readonly FlavorRoom[];
  readonly spare: readonly ZoneSpare[] | null;
}

const FLAVOR_COLUMNS: readonly Column[] = [
  { head: 'FLAVOR', flexible: true },
  { head: 'SIZE', flexible: true },
  { head: 'ALONE', align: 'right' },
  { head: 'TIERED', align: 'right' },
  { head: 'POOLED', align: 'right' },
  { head: 'SHORT OF' },
];

export function printCapacity(context: CliContext, { flavors, spare }: CapacityReport): void {
  const isAdded = flavors.some(({ added }) => added !== null);
  const columns = [
    ...FLAVOR_COLUMNS,
    ...(isAdded ? ([{ head: 'A HOST ADDS', align: 'right' }] as const) : []),
  ];
  printTable(
    context,
    columns,
    flavors.map((flavor) => [
      flavor.name,
      Object.entries(flavor.resources)
        .map(([name, amount]) => `${name} ${showAmount(name, amount)}`)
        .join(', '),
      flavor.alone.toString(),
      flavor.tiered.toString(),
      flavor.pooled.toString(),
      bottleneckOf(flavor),
      ...(flavor.added === null
        ? []
        : [`${flavor.added.alone.toString()} (${flavor.added.tiered.toString()})`]),
    ]),
  );
  printLine(context);
  printLine(context, 'ALONE: when only it is added. TIERED: after the flavors above it were.');
  printLine(context, 'POOLED: if all free room were on one host. SHORT OF: on how many hosts.');
  if (isAdded) printLine(context, 'A HOST ADDS: alone, and (tiered).');
  printZones(context, flavors);
  if (spare !== null) printSpare(context, spare);
}

function bottleneckOf({ bottleneck }: FlavorRoom): string {
  if (bottleneck === null) return '-';
  const { resource, hosts, of } = bottleneck;
  return `${resource} (${hosts.toString()} of ${of.toString()})`;
}

/** Only where there are several. */
function printZones(context: CliContext, flavors: readonly FlavorRoom[]): void {
  const zones = [...new Set(flavors.flatMap((flavor) => Object.keys(flavor.zones)))].sort();
  if (zones.length < 2) return;
  printLine(context);
  printTable(
    context,
    [
      { head: 'ALONE, BY ZONE', flexible: true },
      ...flavors.map(({ name }) => ({ head: name, align: 'right' as const })),
    ],
    zones.map((zone) => [zone, ...flavors.map((flavor) => (flavor.zones[zone] ?? 0).toString())]),
  );
}

/** Worst hosts that are named per zone. */
const NAMED_MAX = 5;

function printSpare(context: CliContext, zones: readonly ZoneSpare[]): void {
  printLine(context);
  for (const { zone, hosts, unspared } of zones) {
    if (unspared.length === 0) {
      printLine(context, `${zone}: any one of ${counted(hosts, 'host')} may be lost (N+1).`);
      continue;
    }
    const many = `${unspared.length.toString()} of ${counted(hosts, 'host')}`;
    printLine(context, `${zone}: NOT N+1: the VMs of ${many} would not all fit on the others.`);
    for (const { host, vms, stranded, reason } of unspared.slice(0, NAMED_MAX)) {
      const share = `${stranded.toString()} of ${counted(vms, 'VM')}`;
      printLine(context, `  ${host.name}: ${share} would find no host (${reason})`);
    }
    const more = unspared.length - NAMED_MAX;
    if (more > 0) printLine(context, `  and ${counted(more, 'more host')}`);
  }
}
