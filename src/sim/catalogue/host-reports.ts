/** What hosts report of themselves to the catalogue's double, and whether they answer. */
import { withNotEnforced, type Host } from '../../model/host.js';
import type { Catalogue, HostPoll, HostReport } from '../../model/ports.js';
import { afterPoll } from '../../model/host-liveness.js';
import { CHANGES_KEPT } from '../../model/stores/fleet-watch.js';
import { isNews } from '../../model/report-order.js';
import { isHeldNow } from './fleet-watch.js';
import { roomOf, withReport } from './host-room.js';
import type { HostRow } from './rows.js';
import { isSame, kept, wholeNumber } from './stored-json.js';
import { answered, type Tables } from './tables.js';
import { hostOf, inOrder } from './views.js';
import { updateHost } from './writing.js';

export const hostReportsOf = (
  tables: Tables,
): Pick<Catalogue, 'saveHostPolls' | 'saveHostReport'> => ({
  saveHostPolls: (polls) => answered(tables, () => savePolls(tables, polls)),

  saveHostReport: (hostId, report) =>
    answered(tables, () => {
      const row = tables.hosts.get(hostId);
      if (row === undefined || row.mode === 'retired') return [];
      const after = save(tables, row, null, report);
      return after.revision === row.revision ? [] : [hostOf(tables, after)];
    }),
});

function savePolls(tables: Tables, polls: readonly HostPoll[]): readonly Host[] {
  const changed: HostRow[] = [];
  // Of several about one host the last one counts.
  const byHost = new Map(polls.map((poll) => [poll.hostId, poll]));
  for (const poll of byHost.values()) {
    const row = tables.hosts.get(poll.hostId);
    // Asked elsewhere: it has joined from another address meanwhile.
    if (row === undefined || row.mode === 'retired' || row.address !== poll.address) continue;
    // Found out by a look that began before the last one that was saved: a process stood still.
    const askedAt = poll.askedAt ?? null;
    // (One ahead of the clock was noted before that went back.)
    const polledAt = (row.polledAt ?? Infinity) <= tables.now() ? row.polledAt : null;
    if (askedAt !== null && (polledAt ?? -Infinity) > askedAt.getTime()) continue;
    const after = save(tables, row, poll, poll.status);
    if (after.revision !== row.revision) changed.push(after);
  }
  return inOrder(changed).map((row) => hostOf(tables, row));
}

/** Only a change that placement looks at makes a new revision. */
function save(
  tables: Tables,
  row: HostRow,
  poll: Pick<HostPoll, 'state' | 'missedPolls' | 'askedAt'> | null,
  report: HostReport | null,
): HostRow {
  const askedAt = poll?.askedAt ?? null;
  const held = isHeldNow(tables, askedAt);
  // Judged by what the row says now: the breaker may have opened since the look was judged.
  const liveness =
    poll === null || poll.state === 'up' || !held ? poll : afterPoll(row, 'missed', held);
  const news: Writable<Partial<HostRow>> =
    report !== null && isNews(row, report) ? columnsOf(tables, row, report) : {};
  if (liveness !== null) {
    // What it lost it is told before it is up again.
    news.state = liveness.state === 'up' && row.fence !== null ? 'joining' : liveness.state;
    news.missedPolls = liveness.missedPolls;
  }
  if (askedAt !== null) news.polledAt = askedAt.getTime();
  const state = news.state ?? row.state;
  if (state === 'up') news.missingSince = null;
  // The first time that a host is up is no change.
  if (!held && row.lastSeenAt !== null && (state === 'up') !== (row.state === 'up')) {
    news.changes = [...row.changes, tables.now()].slice(-CHANGES_KEPT);
  }
  if (report !== null) news.lastSeenAt = tables.now();
  const isOtherState = news.state !== undefined && news.state !== row.state;
  const isForPlacement = isOtherState || (news.said !== undefined && isOther(row, news));
  if (isForPlacement) news.revision = row.revision + 1;
  return updateHost(tables, row, news);
}

type Writable<Row> = { -readonly [Column in keyof Row]: Row[Column] };

/** Whether room that was computed anew is another one. */
const isOther = (row: HostRow, { zone, labels, inventory, limits }: Partial<HostRow>): boolean =>
  !isSame([row.zone, row.labels, row.inventory, row.limits], [zone, labels, inventory, limits]);

function columnsOf(tables: Tables, row: HostRow, heard: HostReport): Partial<HostRow> {
  const { totals, used, version, bootId, report, notEnforced } = heard;
  const columns = { used: kept(used), version, bootId, report: wholeNumber(report) };
  // What is said again changes nothing, and most reports say nothing else.
  const isKnown =
    Object.keys(row.suspected).length === 0 &&
    isSame([totals, notEnforced ?? null], [row.said.totals, row.said.notEnforced ?? null]);
  if (isKnown) return columns;
  const after = withReport(row, kept(totals));
  const said = withNotEnforced(after.said, notEnforced && kept(notEnforced));
  return { ...columns, ...roomOf({ ...after, said }, tables.capacity) };
}
