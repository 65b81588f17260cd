/** Usage in the catalogue's double: now, and as samples of five minutes that are summed up to hours. */
import { capacitiesOf, isUnknown } from '../../model/inventory.js';
import type { FleetCounts, UsageHistoryQuery, UsageStore } from '../../model/stores/usage.js';
import {
  KEPT_MS,
  STEP_MS,
  stepStartMs,
  sumUsage,
  usageByZone,
  usageOf,
  type HostUsage,
  type SampledClass,
  type Usage,
  type UsageSample,
} from '../../model/usage.js';
import { pageOf, positionOf } from './cursors.js';
import { dateOf } from './facts.js';
import type { SampleRow } from './rows.js';
import { kept } from './stored-json.js';
import { answered, type Tables } from './tables.js';
import { byText, hostsInService } from './views.js';

/** What one call of `rollUpUsage` sums up at most. */
const HOURS_AT_ONCE = 6;

export const usageStoreOf = (tables: Tables): UsageStore => ({
  usage: () => answered(tables, () => usageOfHosts(tables)),

  fleetCounts: () => answered(tables, () => fleetCounts(tables)),

  sampleUsage: (at) => answered(tables, () => sample(tables, stepStartMs(at.getTime(), '5m'))),

  rollUpUsage: (now) =>
    answered(tables, () => {
      const hours = hoursToSum(tables, stepStartMs(now.getTime(), '1h'));
      for (const hour of hours) rollUpHour(tables, hour);
      for (const row of [...tables.samples.rows()]) {
        if (row.at < now.getTime() - KEPT_MS[row.step]) tables.samples.delete(keyOf(row));
      }
      return hours.length === HOURS_AT_ONCE;
    }),

  usageHistory: (query) => answered(tables, () => history(tables, query)),
});

type SampleKey = Pick<SampleRow, 'scope' | 'id' | 'step' | 'at'>;

const keyOf = ({ scope, id, step, at }: SampleKey): string =>
  `${scope} ${step} ${at.toString()} ${id}`;

const usageOfHosts = (tables: Tables): readonly HostUsage[] =>
  hostsInService(tables).map((row) => {
    const { id, name, zone, state, mode } = row;
    return { host: { id, name }, zone, state, mode, resources: usageOf(row) };
  });

type Amount = FleetCounts['amounts'][number];

function fleetCounts(tables: Tables): FleetCounts {
  const states = new Map<FleetCounts['hosts'][number]['state'], number>();
  const amounts = new Map<string, Amount>();
  for (const { state, inventory, limits, allocated, used } of hostsInService(tables)) {
    states.set(state, (states.get(state) ?? 0) + 1);
    const known = Object.entries(limits).filter(([name]) => !isUnknown(inventory[name]));
    const limit = Object.fromEntries(known);
    const parts = { capacity: capacitiesOf(inventory), limit, booked: allocated, used };
    for (const kind of ['booked', 'capacity', 'limit', 'used'] as const) {
      for (const [resource, amount] of Object.entries(parts[kind])) {
        const key = `${resource} ${kind}`;
        const before = amounts.get(key)?.amount ?? 0;
        amounts.set(key, { resource, kind, amount: before + amount });
      }
    }
  }
  return {
    hosts: [...states].map(([state, count]) => ({ state, count })),
    amounts: [...amounts.keys()].sort(byText).flatMap((key) => amounts.get(key) ?? []),
  };
}

function sample(tables: Tables, at: number): boolean {
  const total = { scope: 'total', id: '', step: '5m', at } as const;
  if (tables.samples.has(keyOf(total))) return false;
  const hosts = usageOfHosts(tables);
  const put = (key: SampleKey, resources: Usage) =>
    tables.samples.put(keyOf(key), { ...key, resources: kept(resources) });
  put(total, sumUsage(hosts.map(({ resources }) => resources)));
  for (const { zone, resources } of usageByZone(hosts)) {
    put({ scope: 'zone', id: zone, step: '5m', at }, resources);
  }
  for (const { host, resources } of hosts) {
    put({ scope: 'host', id: host.id, step: '5m', at }, resources);
  }
  return true;
}

/** The oldest hours that are over and not summed up yet. */
function hoursToSum(tables: Tables, before: number): readonly number[] {
  const hours = new Set<number>();
  for (const { scope, step, at } of tables.samples.rows()) {
    if (scope !== 'total' || step !== '5m' || at >= before) continue;
    const hour = stepStartMs(at, '1h');
    if (!tables.samples.has(keyOf({ scope, id: '', step: '1h', at: hour }))) hours.add(hour);
  }
  return [...hours].sort((left, right) => left - right).slice(0, HOURS_AT_ONCE);
}

/** A second one changes nothing. */
function rollUpHour(tables: Tables, hour: number): void {
  const series = new Map<string, SampleRow[]>();
  for (const row of tables.samples.rows()) {
    if (row.step !== '5m' || row.at < hour || row.at >= hour + STEP_MS['1h']) continue;
    const key = keyOf({ ...row, step: '1h', at: hour });
    const rows = series.get(key);
    if (rows === undefined) series.set(key, [row]);
    else rows.push(row);
  }
  for (const [key, [first, ...others]] of series) {
    if (first === undefined || tables.samples.has(key)) continue;
    const resources = kept(meansOf([first, ...others]));
    tables.samples.put(key, { ...first, step: '1h', at: hour, resources });
  }
}

function meansOf(rows: readonly SampleRow[]): Record<string, SampledClass> {
  const classes = new Set(rows.flatMap(({ resources }) => Object.keys(resources)));
  const means = [...classes].map((resource): [string, SampledClass] => {
    const seen = rows.flatMap(({ resources }) => resources[resource] ?? []);
    const used = seen.flatMap((one) => one.used ?? []);
    const booked = seen.map((one) => one.booked);
    return [
      resource,
      {
        capacity: meanOf(seen.map((one) => one.capacity)),
        limit: meanOf(seen.map((one) => one.limit)),
        booked: meanOf(booked),
        used: used.length === 0 ? null : meanOf(used),
        bookedMax: Math.max(...booked),
        usedMax: used.length === 0 ? null : Math.max(...used),
      },
    ];
  });
  return Object.fromEntries(means);
}

const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

function history(
  tables: Tables,
  { scope, id, step, from, to, limit, cursor }: UsageHistoryQuery,
): ReturnType<typeof pageOf<SampleRow, UsageSample>> {
  const after = cursor === null ? -Infinity : positionOf(cursor);
  const found = [...tables.samples.rows()]
    .filter((row) => row.scope === scope && row.id === id && row.step === step)
    .filter(({ at }) => at >= from.getTime() && at < to.getTime() && at > after)
    .sort((left, right) => left.at - right.at);
  return pageOf(found, limit, ({ at }) => at, sampleOf);
}

/** The only value of five minutes is its own maximum. */
const sampleOf = ({ at, resources }: SampleRow): UsageSample => ({
  at: dateOf(at),
  resources: Object.fromEntries(
    Object.entries(resources).map(([resource, amounts]) => [
      resource,
      { bookedMax: amounts.booked, usedMax: amounts.used, ...amounts },
    ]),
  ),
});
