/** Looks at the fleet as a whole are judged here, one after another: the row of the watch is locked. */
import { sql, type RawBuilder } from 'kysely';
import { BERTH } from '../model/actor.js';
import { BURST_MS, mayClose } from '../model/automation-limit.js';
import { DomainError } from '../model/errors.js';
import {
  closedByWord,
  isHeld,
  judgeLook,
  type Watch,
  type WatchedHost,
  type WatchRules,
} from '../model/fleet-breaker.js';
import type { Host } from '../model/host.js';
import {
  AUTOMATION_OWNER,
  flappingReason,
  type FlappingRule,
  type FleetWatch,
  type FleetWatchStore,
} from '../model/stores/fleet-watch.js';
import { withActor } from './actor.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';
import { selectHosts } from './hosts.js';

export const fleetWatchOf = (db: Database): FleetWatchStore => ({
  judgeLook: (look, rules) =>
    answered(() => db.transaction().execute((tx) => judge(tx, look, rules))),

  fleetWatch: () => answered(async () => shown(await readWatch(db))),

  closeBreaker: (reason, by) =>
    answered(() => withActor(db, by, 'breaker.close', (tx) => closeBreaker(tx, reason))),

  cordonFlapping: (rule) =>
    answered(() => db.transaction().execute((tx) => cordonFlapping(tx, rule))),
});

/** Times in whole milliseconds, as the times of looks are. */
type WatchRow = Watch & { readonly now: number };

const msOf = (at: RawBuilder<unknown>): RawBuilder<number | null> =>
  sql`round(extract(epoch from ${at}) * 1000)::double precision`;

async function readWatch(db: Database, isToBeWritten = false): Promise<WatchRow> {
  const { rows } = await sql<WatchRow>`
    select ${msOf(sql`looked_at`)} as "lookedAt", ${msOf(sql`finished_at`)} as "finishedAt",
           ${msOf(sql`grace_until`)} as "graceUntil", is_open as "isOpen",
           ${msOf(sql`changed_at`)} as "changedAt", reason, hosts, missing,
           ${msOf(sql`dismissed_at`)} as "dismissedAt", ${msOf(sql`anew_at`)} as "anewAt",
           ${msOf(sql`clock_timestamp()`)} as "now"
    from fleet_watch ${isToBeWritten ? sql`for update` : sql``}`.execute(db);
  const [row] = rows;
  if (row === undefined) throw new Error('the database has no row of the watch');
  return row;
}

async function writeWatch(tx: Database, watch: Watch): Promise<void> {
  const at = (ms: number | null) => sql`to_timestamp(${ms}::double precision / 1000)`;
  await sql`
    update fleet_watch set
      looked_at = ${at(watch.lookedAt)}, finished_at = ${at(watch.finishedAt)},
      grace_until = ${at(watch.graceUntil)}, is_open = ${watch.isOpen},
      changed_at = ${at(watch.changedAt)}, reason = ${watch.reason}, hosts = ${watch.hosts},
      missing = ${watch.missing}, dismissed_at = ${at(watch.dismissedAt)},
      anew_at = ${at(watch.anewAt)}`.execute(tx);
}

/** The clock that is read after the lock: what waited for it is not early. */
async function lockWatch(tx: Database): Promise<WatchRow> {
  await sql`select from fleet_watch for update`.execute(tx);
  return readWatch(tx, true);
}

async function judge(
  tx: Database,
  { askedAt, missed }: Parameters<FleetWatchStore['judgeLook']>[0],
  rules: WatchRules,
): ReturnType<FleetWatchStore['judgeLook']> {
  const before = await lockWatch(tx);
  const { rows: hosts } = await sql<WatchedHost>`
    select id, state, ${msOf(sql`missing_since`)} as "missingSince" from hosts where mode <> 'retired'`.execute(
    tx,
  );
  const look = { askedAt: askedAt.getTime(), missed: new Set(missed) };
  const { kind, held, change, watch, newlyMissing } = judgeLook(
    before,
    hosts,
    look,
    rules,
    before.now,
  );
  if (newlyMissing.length > 0) {
    await sql`
      update hosts set missing_since = ${askedAt}
      from (select id from hosts where id = any(${newlyMissing}) order by id for no key update) as h
      where hosts.id = h.id`.execute(tx);
  }
  if (change === null) {
    await writeWatch(tx, watch);
  } else {
    const action = change === 'opened' ? 'breaker.open' : 'breaker.close';
    await withActor(tx, BERTH, action, () => writeWatch(tx, watch));
    if (change === 'closed') await beginAnew(tx);
  }
  return { kind, held, change, watch: shown({ ...watch, now: before.now }) };
}

async function closeBreaker(tx: Database, reason: string): Promise<FleetWatch> {
  const before = await lockWatch(tx);
  if (!before.isOpen) throw breakerIsClosed();
  const after = closedByWord(before, reason, before.now);
  await writeWatch(tx, after);
  await beginAnew(tx);
  return shown({ ...after, now: before.now });
}

const breakerIsClosed = (): DomainError =>
  new DomainError('state_conflict', 'The breaker is closed already.');

/** Nothing that was missed before counts. */
async function beginAnew(tx: Database): Promise<void> {
  await sql`
    update hosts set missed_polls = 0
    from (select id from hosts where state = 'suspect' order by id for no key update) as h
    where hosts.id = h.id`.execute(tx);
}

async function cordonFlapping(
  tx: Database,
  rule: FlappingRule,
): ReturnType<FleetWatchStore['cordonFlapping']> {
  const flapping = await findFlapping(tx, rule);
  if (flapping.length === 0) return { cordoned: [], heldBack: 0 };
  const watch = await lockWatch(tx);
  if (isHeld(watch, watch.now)) return { cordoned: [], heldBack: 0 };
  // Again: another replica may have cordoned some, or an operator said something of them.
  const candidates = await findFlapping(tx, rule, true);
  const { rows } = await sql<{ hosts: number; closed: number; lately: number }>`
    select count(*) as hosts,
           count(*) filter (where mode = 'cordoned' and cordoned_by_automation) as closed,
           (select count(*) from fleet_watch, unnest(cordons) as at
            where at > clock_timestamp() - ${BURST_MS} * interval '1 millisecond') as lately
    from hosts where mode <> 'retired'`.execute(tx);
  const { hosts = 0, closed = 0, lately = 0 } = rows[0] ?? {};
  const chosen = candidates.slice(0, mayClose(hosts, closed, lately));
  const cordoned: Host[] = [];
  await withActor(tx, BERTH, 'host.cordon', async () => {
    for (const { id, count } of chosen) {
      await sql`
        update hosts set mode = 'cordoned', mode_reason = ${flappingReason(count, rule)},
          mode_owner = ${AUTOMATION_OWNER}, cordoned_by_automation = true, revision = revision + 1,
          mode_until = clock_timestamp() + ${rule.cordonMs} * interval '1 millisecond'
        where id = ${id}`.execute(tx);
      cordoned.push(...(await selectHosts(tx, sql`hosts.id = ${id}`)));
    }
  });
  if (chosen.length > 0) {
    await sql`
      update fleet_watch set cordons = array_cat(
        array(select at from unnest(cordons) as at
              where at > clock_timestamp() - ${BURST_MS} * interval '1 millisecond'),
        array_fill(clock_timestamp(), array[${chosen.length}::integer]))`.execute(tx);
  }
  return { cordoned, heldBack: candidates.length - chosen.length };
}

async function findFlapping(
  tx: Database,
  { changesMax, windowMs }: FlappingRule,
  isToBeWritten = false,
): Promise<readonly { readonly id: string; readonly count: number }[]> {
  const { rows } = await sql<{ id: string; count: number }>`
    select id, recent.number as count from hosts, lateral (
      select count(*) as number from unnest(changes) as at
      where at > clock_timestamp() - ${windowMs} * interval '1 millisecond') as recent
    where mode = 'enabled' and cardinality(changes) >= ${changesMax}
      and recent.number >= ${changesMax}
    order by id ${isToBeWritten ? sql`for no key update of hosts` : sql``}`.execute(tx);
  return rows;
}

const shown = (watch: WatchRow): FleetWatch => {
  const date = (ms: number | null) => (ms === null ? null : new Date(Math.floor(ms)));
  const { isOpen, changedAt, reason, hosts, missing, graceUntil, lookedAt, now } = watch;
  return {
    isOpen,
    since: date(changedAt),
    reason,
    hosts,
    missing,
    graceUntil: graceUntil !== null && graceUntil > now ? date(graceUntil) : null,
    lookedAt: date(lookedAt),
  };
};
