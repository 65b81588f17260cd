/** Usage of the fleet: now, and as samples of five minutes that are summed up to hours. */
import { sql, type RawBuilder } from 'kysely';
import type { HostState } from '../model/host-liveness.js';
import type { Page } from '../model/page.js';
import type { FleetCounts, UsageHistoryQuery, UsageStore } from '../model/stores/usage.js';
import {
  KEPT_MS,
  STEP_MS,
  stepStartMs,
  sumUsage,
  usageByZone,
  usageOf,
  USAGE_STEPS,
  type HostUsage,
  type SampledClass,
  type Usage,
  type UsageSample,
  type UsageScope,
  type UsageStep,
} from '../model/usage.js';
import type { Database } from './connection.js';
import { cursorOf, positionOf } from './cursor.js';
import { answered } from './failures.js';
import { jsonOf } from './json.js';
import type { HostRow } from './rows.js';
import { faultOfHost } from './sound.js';

/** Rows in one statement: of a large fleet, a sample has many. */
const ROWS_AT_ONCE = 1_000;

/** What one call of `rollUpUsage` does at most. */
const HOURS_AT_ONCE = 6;
const DELETED_AT_ONCE = 20_000;

const stepStart = (at: Date, step: UsageStep): Date => new Date(stepStartMs(at.getTime(), step));

export const usageStoreOf = (db: Database): UsageStore => ({
  usage: () => answered(() => usageOfHosts(db)),
  fleetCounts: () => answered(() => fleetCounts(db)),
  sampleUsage: (at) =>
    answered(() => db.transaction().execute((tx) => sample(tx, stepStart(at, '5m')))),
  rollUpUsage: (now) =>
    answered(async () => {
      const more = await rollUp(db, stepStart(now, '1h'));
      let isFull = false;
      for (const step of USAGE_STEPS) {
        const { numAffectedRows = 0n } = await sql`
          delete from usage_samples where (scope, id, step, at) in (
            select scope, id, step, at from usage_samples
            where step = ${step} and at < ${new Date(now.getTime() - KEPT_MS[step])}
            limit ${DELETED_AT_ONCE})`.execute(db);
        isFull ||= numAffectedRows >= BigInt(DELETED_AT_ONCE);
      }
      return more || isFull;
    }),
  usageHistory: (query) => answered(() => history(db, query)),
});

type UsageRow = Pick<
  HostRow,
  | 'id'
  | 'name'
  | 'zone'
  | 'state'
  | 'mode'
  | 'labels'
  | 'overrides'
  | 'inventory'
  | 'orphaned'
  | 'allocated'
  | 'used'
>;

/** Hosts that are set aside have no amounts that could be added up. */
async function usageOfHosts(db: Database): Promise<readonly HostUsage[]> {
  const { rows } = await sql<UsageRow>`
    select id, name, zone, state, mode, labels, overrides, inventory, orphaned, allocated, used
    from hosts where mode <> 'retired' order by seq`.execute(db);
  return rows
    .filter((row) => faultOfHost(row) === null)
    .map(({ id, name, zone, state, mode, ...row }) => ({
      host: { id, name },
      ...{ zone, state, mode },
      resources: usageOf(row),
    }));
}

/** Keys and values of a column; none where it is no object, so that one row does not stop all. */
const fieldsOf = (column: string): RawBuilder<unknown> =>
  sql`jsonb_each(case when jsonb_typeof(${sql.ref(column)}) = 'object'
    then ${sql.ref(column)} else '{}' end)`;

/** An amount in a value; null where it is none. */
const amountIn = (value: RawBuilder<unknown>): RawBuilder<unknown> =>
  sql`case when jsonb_typeof(${value}) = 'number' then (${value})::double precision end`;

const amountOf = (key: string): RawBuilder<unknown> => amountIn(sql`(value -> ${key}::text)`);

const plainAmount = amountIn(sql`value`);

async function fleetCounts(db: Database): Promise<FleetCounts> {
  const { rows: hosts } = await sql<{ state: HostState; count: number }>`
    select state, count(*) as count from hosts where mode <> 'retired' group by state`.execute(db);
  // Capacity as capacityOf has it; the limits are those that the program computed.
  const { rows: amounts } = await sql<FleetCounts['amounts'][number]>`
    select resource, kind, sum(amount)::double precision as amount
    from hosts, lateral (
      select key as resource, 'capacity' as kind,
        ${amountOf('total')} * ${amountOf('overcommit')} as amount
      from ${fieldsOf('inventory')}
      -- Of a class that is unknown the limit is no amount; see inventory.ts.
      union all select key, 'limit', ${plainAmount} from ${fieldsOf('limits')}
        where inventory -> key ->> 'source' is distinct from 'unknown'
      union all select key, 'booked', ${plainAmount} from ${fieldsOf('allocated')}
      union all select key, 'used', ${plainAmount} from ${fieldsOf('used')}
    ) as amounts
    where mode <> 'retired' and amount is not null
    group by resource, kind order by resource, kind`.execute(db);
  return { hosts, amounts };
}

interface SampleRow {
  readonly scope: UsageScope;
  readonly id: string;
  readonly resources: Usage;
}

async function sample(tx: Database, at: Date): Promise<boolean> {
  // The total goes first and alone: whoever comes second waits here, and then finds it.
  const { rows: taken } = await sql`
    insert into usage_samples (scope, id, step, at, resources)
    values ('total', '', '5m', ${at}, '{}')
    on conflict do nothing returning at`.execute(tx);
  if (taken.length === 0) return false;
  const hosts = await usageOfHosts(tx);
  const total = sumUsage(hosts.map(({ resources }) => resources));
  await sql`
    update usage_samples set resources = ${jsonOf(total)}
    where scope = 'total' and id = '' and step = '5m' and at = ${at}`.execute(tx);
  const parts: SampleRow[] = [
    ...usageByZone(hosts).map(({ zone, resources }) => ({
      scope: 'zone' as const,
      id: zone,
      resources,
    })),
    ...hosts.map(({ host, resources }) => ({ scope: 'host' as const, id: host.id, resources })),
  ];
  for (let from = 0; from < parts.length; from += ROWS_AT_ONCE) {
    await sql`
      insert into usage_samples (scope, id, step, at, resources)
      select scope, id, '5m', ${at}::timestamptz, resources
      from jsonb_to_recordset(${jsonOf(parts.slice(from, from + ROWS_AT_ONCE))}::jsonb)
        as part(scope text, id text, resources jsonb)`.execute(tx);
  }
  return true;
}

/** Sums up the oldest hours that are over and not summed up yet. @returns whether there are more */
async function rollUp(db: Database, before: Date): Promise<boolean> {
  const { rows: hours } = await sql<{ hour: Date }>`
    select distinct date_bin('1 hour', at, 'epoch'::timestamptz) as hour
    from usage_samples fine
    where scope = 'total' and id = '' and step = '5m' and at < ${before}
      and not exists (
        select from usage_samples coarse
        where scope = 'total' and id = '' and step = '1h'
          and coarse.at = date_bin('1 hour', fine.at, 'epoch'::timestamptz))
    order by hour limit ${HOURS_AT_ONCE}`.execute(db);
  for (const { hour } of hours) await rollUpHour(db, hour);
  return hours.length === HOURS_AT_ONCE;
}

/** One statement, so that an hour is summed up wholly or not at all; a second one changes nothing. */
async function rollUpHour(db: Database, hour: Date): Promise<void> {
  const end = new Date(hour.getTime() + STEP_MS['1h']);
  await sql`
    with classes as (
      select scope, id, key as resource,
        avg(${amountOf('capacity')}) as capacity,
        avg(${amountOf('limit')}) as "limit",
        avg(${amountOf('booked')}) as booked,
        avg(${amountOf('used')}) as used,
        max(${amountOf('booked')}) as booked_max,
        max(${amountOf('used')}) as used_max
      from usage_samples, ${fieldsOf('resources')}
      where step = '5m' and at >= ${hour} and at < ${end}
      group by scope, id, key
    ), sums as (
      select scope, id, jsonb_object_agg(resource, jsonb_build_object(
        'capacity', capacity, 'limit', "limit", 'booked', booked, 'used', used,
        'bookedMax', booked_max, 'usedMax', used_max)) as resources
      from classes group by scope, id
    )
    insert into usage_samples (scope, id, step, at, resources)
    select scope, id, '1h', ${hour}::timestamptz, coalesce(resources, '{}')
    from (select distinct scope, id from usage_samples
          where step = '5m' and at >= ${hour} and at < ${end}) as seen
    left join sums using (scope, id)
    on conflict do nothing`.execute(db);
}

type StoredClass = Omit<SampledClass, 'bookedMax' | 'usedMax'> & Partial<SampledClass>;

interface StoredSample {
  readonly at: Date;
  readonly resources: Readonly<Record<string, StoredClass>> | null;
}

async function history(
  db: Database,
  { scope, id, step, from, to, limit, cursor }: UsageHistoryQuery,
): Promise<Page<UsageSample>> {
  const after = cursor === null ? null : new Date(positionOf(cursor));
  const { rows } = await sql<StoredSample>`
    select at, resources from usage_samples
    where scope = ${scope} and id = ${id} and step = ${step} and at >= ${from} and at < ${to}
      and (${after}::timestamptz is null or at > ${after})
    order by at limit ${limit + 1}`.execute(db);
  const items = rows.slice(0, limit).map(sampleOf);
  const last = items.at(-1);
  return {
    items,
    nextCursor: rows.length > limit && last !== undefined ? cursorOf(last.at.getTime()) : null,
  };
}

/** The only value of five minutes is its own maximum. What cannot be read is left out. */
const sampleOf = ({ at, resources }: StoredSample): UsageSample => ({
  at,
  resources: Object.fromEntries(
    Object.entries(resources ?? {})
      .filter(([, amounts]) => isSampled(amounts))
      .map(([resource, amounts]) => [
        resource,
        { bookedMax: amounts.booked, usedMax: amounts.used, ...amounts },
      ]),
  ),
});

const isSampled = (amounts: StoredClass | null): boolean =>
  [amounts?.capacity, amounts?.limit, amounts?.booked].every((one) => typeof one === 'number');
