/** What hosts report of themselves, when they are asked and by themselves, and whether they answer. */
import { sql } from 'kysely';
import { withNotEnforced, type Host } from '../model/host.js';
import { afterPoll, type Liveness } from '../model/host-liveness.js';
import type { CapacityPolicy } from '../model/inventory.js';
import type { Catalogue, HostPoll, HostReport } from '../model/ports.js';
import { isNews } from '../model/report-order.js';
import { CHANGES_KEPT } from '../model/stores/fleet-watch.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';
import { lockSaid, roomOf, withReport, type Room, type SaidRow } from './host-room.js';
import { selectHosts } from './hosts.js';
import { jsonOf } from './json.js';
import type { OnSetAside } from './sound.js';

/** Hosts in one transaction: their rows are locked meanwhile, and creates wait for them. */
const HOSTS_AT_ONCE = 200;

export const hostReportsOf = (
  db: Database,
  policy: CapacityPolicy,
  onSetAside: OnSetAside,
): Pick<Catalogue, 'saveHostPolls' | 'saveHostReport'> => ({
  async saveHostPolls(polls) {
    const changed: Host[] = [];
    for (let from = 0; from < polls.length; from += HOSTS_AT_ONCE) {
      const some = polls.slice(from, from + HOSTS_AT_ONCE).map(findingOf);
      changed.push(...(await save(db, some, policy, onSetAside)));
    }
    return changed;
  },
  saveHostReport: (hostId, report) =>
    save(
      db,
      [{ hostId, address: null, liveness: null, askedAt: null, report }],
      policy,
      onSetAside,
    ),
});

/** What was found out about a host. */
interface Finding {
  readonly hostId: string;
  /** Where it was asked; null when it spoke by itself. */
  readonly address: string | null;
  readonly liveness: Liveness | null;
  readonly askedAt: Date | null;
  readonly report: HostReport | null;
}

const findingOf = (poll: HostPoll): Finding => ({
  hostId: poll.hostId,
  address: poll.address,
  liveness: { state: poll.state, missedPolls: poll.missedPolls },
  askedAt: poll.askedAt ?? null,
  report: poll.status,
});

const save = (
  db: Database,
  findings: readonly Finding[],
  policy: CapacityPolicy,
  onSetAside: OnSetAside,
): Promise<readonly Host[]> =>
  answered(() =>
    db.transaction().execute(async (tx) => {
      const byId = new Map(findings.map((finding) => [finding.hostId, finding]));
      const watch = await shareWatch(tx);
      const rows = await lockSaid(tx, sql`mode <> 'retired' and id = any(${[...byId.keys()]})`);
      const news = rows.flatMap((row) => {
        const finding = byId.get(row.id);
        // Asked elsewhere: it has joined from another address meanwhile.
        const isOfThis = finding !== undefined && (finding.address ?? row.address) === row.address;
        if (!isOfThis || isOutdated(row, finding)) return [];
        const held = isHeld(watch, finding);
        const judged = { ...finding, liveness: spared(row, finding, held) };
        try {
          return [newsOf(row, judged, held, policy)];
        } catch (error) {
          // What its row says cannot be read; whether it answers can be noted all the same.
          onSetAside('host', row.id, errorText(error));
          return [newsOf(row, { ...judged, report: null }, held, policy)];
        }
      });
      return news.length === 0 ? [] : write(tx, news);
    }),
  );

const errorText = (error: unknown): string =>
  error instanceof Error ? error.message : 'it cannot be read';

/** Found out by a look that began before the last one that was saved: a process stood still. */
const isOutdated = (row: SaidRow, { askedAt }: Finding): boolean =>
  askedAt !== null && row.polledAt !== null && row.polledAt > askedAt;

interface SharedWatch {
  readonly held: boolean;
  readonly anewAt: Date | null;
}

/** The breaker does not open or close while these are written. */
async function shareWatch(tx: Database): Promise<SharedWatch> {
  await sql`select from fleet_watch for share`.execute(tx);
  const { rows } = await sql<SharedWatch>`
    select is_held(null) as held, anew_at as "anewAt" from fleet_watch`.execute(tx);
  const [watch] = rows;
  if (watch === undefined) throw new Error('the database has no row of the watch');
  return watch;
}

const isHeld = ({ held, anewAt }: SharedWatch, { askedAt }: Finding): boolean =>
  held || (askedAt !== null && anewAt !== null && anewAt >= askedAt);

/** Judged by what the row says now: the breaker may have opened since the look was judged. */
const spared = (row: SaidRow, { liveness }: Finding, held: boolean): Liveness | null =>
  liveness === null || liveness.state === 'up' || !held ? liveness : afterPoll(row, 'missed', held);

/** Columns of one host; null leaves what is there. */
interface News extends Partial<Room> {
  readonly id: string;
  readonly state: Liveness['state'] | null;
  readonly missed_polls: number | null;
  readonly was_heard: boolean;
  readonly polled_at: Date | null;
  /** Whether a change of the state counts as one of a host that flaps. */
  readonly counts: boolean;
  readonly used?: HostReport['used'];
  readonly version?: string;
  readonly boot_id?: string;
  readonly report?: number;
}

function newsOf(
  row: SaidRow,
  { liveness, askedAt, report }: Finding,
  held: boolean,
  policy: CapacityPolicy,
): News {
  const news: News = {
    id: row.id,
    state: liveness?.state ?? null,
    missed_polls: liveness?.missedPolls ?? null,
    was_heard: report !== null,
    polled_at: askedAt,
    counts: !held,
  };
  if (report === null || !isNews(row, report)) return news;
  const heard = withReport(row, report.totals);
  const said = withNotEnforced(heard.said, report.notEnforced);
  return {
    ...news,
    ...roomOf({ ...heard, said }, policy),
    used: report.used,
    version: report.version,
    boot_id: report.bootId,
    report: report.report,
  };
}

/** One statement for all; only a change that placement looks at makes a new revision. */
async function write(tx: Database, news: readonly News[]): Promise<readonly Host[]> {
  const { rows } = await sql<{ id: string; changed: boolean }>`
    with news as (
      select h.id, h.revision as old_revision, was_heard,
        case when n.state = 'up' and h.fenced_at is not null then 'joining'
          else coalesce(n.state, h.state) end as state, coalesce(n.missed_polls, h.missed_polls) as missed_polls,
        coalesce(n.zone, h.zone) as zone, coalesce(n.labels, h.labels) as labels,
        coalesce(n.inventory, h.inventory) as inventory, coalesce(n.limits, h.limits) as limits,
        coalesce(n.said, h.said) as said, coalesce(n.suspected, h.suspected) as suspected,
        coalesce(n.used, h.used) as used, coalesce(n.version, h.version) as version,
        coalesce(n.boot_id, h.boot_id) as boot_id, coalesce(n.report, h.report) as report,
        coalesce(n.polled_at, h.polled_at) as polled_at, n.counts
      from jsonb_to_recordset(${jsonOf(news)}::jsonb) as n(
        id text, state text, missed_polls integer, was_heard boolean, zone text, labels jsonb,
        inventory jsonb, limits jsonb, said jsonb, suspected jsonb, used jsonb, version text,
        boot_id text, report bigint, polled_at timestamptz, counts boolean)
      join hosts h on h.id = n.id
    )
    update hosts set
      state = news.state, missed_polls = news.missed_polls, zone = news.zone, labels = news.labels,
      inventory = news.inventory, limits = news.limits, said = news.said,
      suspected = news.suspected, used = news.used, version = news.version,
      boot_id = news.boot_id, report = news.report, polled_at = news.polled_at,
      missing_since = case when news.state <> 'up' then hosts.missing_since end,
      -- The first time that a host is up is no change.
      changes = case when news.counts and hosts.last_seen_at is not null
          and (hosts.state = 'up') <> (news.state = 'up')
        then (hosts.changes || clock_timestamp())
          [greatest(1, cardinality(hosts.changes) + 2 - ${CHANGES_KEPT}):]
        else hosts.changes end,
      last_seen_at = case when was_heard then clock_timestamp() else hosts.last_seen_at end,
      revision = hosts.revision + case when
        (hosts.state, hosts.zone, hosts.labels, hosts.inventory, hosts.limits) is distinct from
        (news.state, news.zone, news.labels, news.inventory, news.limits) then 1 else 0 end
    from news
    where hosts.id = news.id
    returning hosts.id, hosts.revision <> news.old_revision as changed`.execute(tx);
  const changed = rows.filter((row) => row.changed).map(({ id }) => id);
  return changed.length === 0 ? [] : selectHosts(tx, sql`hosts.id = any(${changed})`);
}
