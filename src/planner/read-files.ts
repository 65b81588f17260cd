/** Hosts, VMs and requests from the text of files. docs/planner.md shows the columns. */
import type { Constraints } from '../model/constraints.js';
import { GROUP_POLICIES, type GroupRule } from '../model/groups.js';
import type { FleetHost } from '../model/host.js';
import { ID_PATTERN, NAME_PATTERN } from '../model/ids.js';
import { capacitiesOf, inventoryOf, limitsOf, type CapacityPolicy } from '../model/inventory.js';
import { PATH_PATTERN, ROOT_PATH } from '../model/path.js';
import { addResources, type Resources } from '../model/resources.js';
import { amountColumns, amountsOf, isOpenb, type ReadOptions } from './amount-columns.js';
import { FileFault, parseCsv, type CsvRow, type CsvTable } from './csv.js';
import type { PlannedFleet, PlannedVm } from './fleet.js';
import type { LoadRequest } from './load.js';

export interface TextFile {
  readonly name: string;
  readonly text: string;
}

const DEFAULT_ZONE = 'default';

const HOST_COLUMNS = ['name', 'zone'];
const VM_COLUMNS = ['name', 'host', 'path', 'zone', 'groups'];
const REQUEST_COLUMNS = ['name', 'arrival_s', 'lifetime_s', 'path', 'zone', 'groups'];

/**
 * Hosts, empty and open. Their amounts are totals, of which the policy says what may be booked.
 * @throws FileFault
 */
export function readHosts(
  { name: file, text }: TextFile,
  policy: CapacityPolicy,
  options: ReadOptions,
): readonly FleetHost[] {
  const table = parseCsv(file, text);
  const columns = amountColumns(table, HOST_COLUMNS, options);
  const seen = new Set<string>();
  const hosts = table.rows.map((row, index): FleetHost => {
    const name = nameOf(table, row, isOpenb(table) && row.cells.has('sn') ? 'sn' : 'name', null);
    if (seen.has(name)) fault(table, row, 'name', `"${name}" is there twice; names must differ`);
    seen.add(name);
    const totals = Object.entries(amountsOf(table, row, columns, options));
    const inventory = inventoryOf(
      Object.fromEntries(totals.map(([key, total]) => [key, { total, source: 'configured' }])),
      policy,
    );
    return {
      id: name,
      name,
      seq: index,
      revision: 0,
      zone: zoneOf(table, row) ?? DEFAULT_ZONE,
      labels: {},
      state: 'up',
      mode: 'enabled',
      capacity: capacitiesOf(inventory),
      limits: limitsOf(inventory),
      allocated: {},
    };
  });
  if (hosts.length === 0) throw new FileFault(file, 1, null, 'holds no hosts below its first line');
  return hosts;
}

/**
 * VMs that are on the hosts already, and the hosts with them.
 * @throws FileFault
 */
export function readVms(
  { name: file, text }: TextFile,
  hosts: readonly FleetHost[],
  options: ReadOptions,
): PlannedFleet {
  const table = parseCsv(file, text);
  const columns = amountColumns(table, VM_COLUMNS, options);
  const allocated = new Map<string, Resources>(hosts.map(({ id }) => [id, {}]));
  const seen = new Set<string>();
  const vms = table.rows.map((row): PlannedVm => {
    const name = nameOf(table, row, 'name', null);
    if (seen.has(name)) fault(table, row, 'name', `"${name}" is there twice; names must differ`);
    seen.add(name);
    const hostId = row.cells.get('host') ?? '';
    const before = allocated.get(hostId);
    if (before === undefined) {
      return fault(table, row, 'host', `"${hostId}" is not the name of a host in the hosts file`);
    }
    const resources = amountsOf(table, row, columns, options);
    allocated.set(hostId, addResources(before, resources));
    return { id: name, name, ...placeOf(table, row), resources, hostId, isMovable: true };
  });
  return {
    hosts: hosts.map((host) => ({ ...host, allocated: allocated.get(host.id) ?? {} })),
    vms,
  };
}

/**
 * Requests in the order of the file; one a second where it gives no times.
 * @param hosts to notice a class that no host has: most likely its name is misspelt
 * @throws FileFault
 */
export function readRequests(
  { name: file, text }: TextFile,
  hosts: readonly FleetHost[],
  options: ReadOptions,
): readonly LoadRequest[] {
  const table = parseCsv(file, text);
  const columns = amountColumns(table, REQUEST_COLUMNS, options);
  const known = new Set(hosts.flatMap(({ limits }) => Object.keys(limits)));
  const requests = table.rows.map((row, index): LoadRequest => {
    const resources = amountsOf(table, row, columns, options);
    const strange = columns.find(
      ({ resource }) => resources[resource] !== undefined && !known.has(resource),
    );
    if (strange !== undefined) {
      const have = [...known].join(', ');
      fault(table, row, strange.column, `no host has this class; hosts have ${have}`);
    }
    if (Object.keys(resources).length === 0) {
      fault(table, row, columns[0]?.column ?? null, 'asks for nothing; it must ask for something');
    }
    const times = isOpenb(table) ? openbTimes(table, row, index) : ourTimes(table, row, index);
    const name = nameOf(table, row, 'name', `r${(index + 1).toString()}`);
    return { name, ...times, ...placeOf(table, row), resources };
  });
  if (requests.length === 0) throw new FileFault(file, 1, null, 'holds no requests');
  return requests;
}

type Times = Pick<LoadRequest, 'arrivalS' | 'lifetimeS'>;

function ourTimes(table: CsvTable, row: CsvRow, index: number): Times {
  const lifetimeS = secondsOf(table, row, 'lifetime_s');
  if (lifetimeS === 0) fault(table, row, 'lifetime_s', 'must be above 0; leave it empty for ever');
  return { arrivalS: secondsOf(table, row, 'arrival_s') ?? index, lifetimeS };
}

/** The traces as published tell when a request came and went. */
function openbTimes(table: CsvTable, row: CsvRow, index: number): Times {
  const arrivalS = secondsOf(table, row, 'creation_time');
  const endS = secondsOf(table, row, 'deletion_time');
  if (arrivalS === null) return { arrivalS: index, lifetimeS: null };
  return { arrivalS, lifetimeS: endS === null ? null : Math.max(1, endS - arrivalS) };
}

function secondsOf(table: CsvTable, row: CsvRow, column: string): number | null {
  const text = row.cells.get(column);
  if (text === undefined) return null;
  if (!/^\d{1,12}(\.\d{1,6})?$/.test(text)) {
    fault(table, row, column, `"${text}" must be a number of seconds, such as 3600`);
  }
  return Number(text);
}

function placeOf(table: CsvTable, row: CsvRow): { path: string; constraints: Constraints } {
  const path = row.cells.get('path') ?? ROOT_PATH;
  if (!PATH_PATTERN.test(path)) {
    fault(table, row, 'path', `"${path}" must be names joined by ":", such as acme:web`);
  }
  const zone = isOpenb(table) ? undefined : zoneOf(table, row);
  const groups = groupsIn(table, row);
  return {
    path,
    constraints: {
      ...(zone === undefined ? {} : { zone }),
      ...(groups.length === 0 ? {} : { groups }),
    },
  };
}

/** `web:anti-affinity`, several with blanks between. */
function groupsIn(table: CsvTable, row: CsvRow): readonly GroupRule[] {
  return (row.cells.get('groups')?.split(/\s+/) ?? []).map((text): GroupRule => {
    const [name = '', given] = text.split(':');
    const policy = GROUP_POLICIES.find((known) => known === given);
    if (policy === undefined || !NAME_PATTERN.test(name)) {
      const right = `such as web:${GROUP_POLICIES.join(', web:')}`;
      return fault(table, row, 'groups', `"${text}" must be a group and its policy, ${right}`);
    }
    return { name, policy };
  });
}

function zoneOf(table: CsvTable, row: CsvRow): string | undefined {
  const zone = row.cells.get('zone');
  if (zone !== undefined && !NAME_PATTERN.test(zone)) {
    fault(table, row, 'zone', `"${zone}" must be a name such as zone-a`);
  }
  return zone;
}

function nameOf(table: CsvTable, row: CsvRow, column: string, instead: string | null): string {
  const name = row.cells.get(column) ?? instead;
  if (name === null || !ID_PATTERN.test(name)) {
    const rule = 'must be 1 to 64 letters, digits, ".", "_" or "-", such as host-1';
    return fault(
      table,
      row,
      column,
      name === null ? `is missing; it ${rule}` : `"${name}" ${rule}`,
    );
  }
  return name;
}

function fault({ file }: CsvTable, { line }: CsvRow, field: string | null, why: string): never {
  throw new FileFault(file, line, field, why);
}
