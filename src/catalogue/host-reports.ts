/** What hosts report of themselves, when they are asked and by themselves, and whether they answer. */
import { sql } from 'kysely';
import type { Host } from '../model/host.js';
import type { HostState } from '../model/host-liveness.js';
import type { CapacityPolicy } from '../model/inventory.js';
import type { Catalogue, HostPoll, HostReport } from '../model/ports.js';
import { isNews } from '../model/report-order.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';
import { lockSaid, roomOf, withReport, type Room, type SaidRow } from './host-room.js';
import { selectHosts } from './hosts.js';
import { jsonOf } from './json.js';

/** Hosts in one transaction: their rows are locked meanwhile, and creates wait for them. */
const HOSTS_AT_ONCE = 200;

export const hostReportsOf = (
  db: Database,
  policy: CapacityPolicy,
): Pick<Catalogue, 'saveHostPolls' | 'saveHostReport'> => ({
  async saveHostPolls(polls) {
    const changed: Host[] = [];
    for (let from = 0; from < polls.length; from += HOSTS_AT_ONCE) {
      const some = polls.slice(from, from + HOSTS_AT_ONCE).map(findingOf);
      changed.push(...(await save(db, some, policy)));
    }
    return changed;
  },
  saveHostReport: (hostId, report) =>
    save(db, [{ hostId, address: null, liveness: null, report }], policy),
});

/** What was found out about a host. */
interface Finding {
  readonly hostId: string;
  /** Where it was asked; null when it spoke by itself. */
  readonly address: string | null;
  readonly liveness: { readonly state: HostState; readonly missedPolls: number } | null;
  readonly report: HostReport | null;
}

const findingOf = ({ hostId, address, state, missedPolls, status }: HostPoll): Finding => ({
  hostId,
  address,
  liveness: { state, missedPolls },
  report: status,
});

const save = (
  db: Database,
  findings: readonly Finding[],
  policy: CapacityPolicy,
): Promise<readonly Host[]> =>
  answered(() =>
    db.transaction().execute(async (tx) => {
      const byId = new Map(findings.map((finding) => [finding.hostId, finding]));
      const rows = await lockSaid(tx, sql`mode <> 'retired' and id = any(${[...byId.keys()]})`);
      const news = rows.flatMap((row) => {
        const finding = byId.get(row.id);
        // Asked elsewhere: it has joined from another address meanwhile.
        const isOfThis = finding !== undefined && (finding.address ?? row.address) === row.address;
        return isOfThis ? [newsOf(row, finding, policy)] : [];
      });
      return news.length === 0 ? [] : write(tx, news);
    }),
  );

/** Columns of one host; null leaves what is there. */
interface News extends Partial<Room> {
  readonly id: string;
  readonly state: HostState | null;
  readonly missed_polls: number | null;
  readonly was_heard: boolean;
  readonly used?: HostReport['used'];
  readonly version?: string;
  readonly boot_id?: string;
  readonly report?: number;
}

function newsOf(row: SaidRow, { liveness, report }: Finding, policy: CapacityPolicy): News {
  const news: News = {
    id: row.id,
    state: liveness?.state ?? null,
    missed_polls: liveness?.missedPolls ?? null,
    was_heard: report !== null,
  };
  if (report === null || !isNews(row, report)) return news;
  return {
    ...news,
    ...roomOf(withReport(row, report.totals), policy),
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
        coalesce(n.state, h.state) as state, coalesce(n.missed_polls, h.missed_polls) as missed_polls,
        coalesce(n.zone, h.zone) as zone, coalesce(n.labels, h.labels) as labels,
        coalesce(n.inventory, h.inventory) as inventory, coalesce(n.limits, h.limits) as limits,
        coalesce(n.said, h.said) as said, coalesce(n.suspected, h.suspected) as suspected,
        coalesce(n.used, h.used) as used, coalesce(n.version, h.version) as version,
        coalesce(n.boot_id, h.boot_id) as boot_id, coalesce(n.report, h.report) as report
      from jsonb_to_recordset(${jsonOf(news)}::jsonb) as n(
        id text, state text, missed_polls integer, was_heard boolean, zone text, labels jsonb,
        inventory jsonb, limits jsonb, said jsonb, suspected jsonb, used jsonb, version text,
        boot_id text, report bigint)
      join hosts h on h.id = n.id
    )
    update hosts set
      state = news.state, missed_polls = news.missed_polls, zone = news.zone, labels = news.labels,
      inventory = news.inventory, limits = news.limits, said = news.said,
      suspected = news.suspected, used = news.used, version = news.version,
      boot_id = news.boot_id, report = news.report,
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
