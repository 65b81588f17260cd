/** What hosts report of themselves to the catalogue's double, and whether they answer. */
import type { Host } from '../../model/host.js';
import type { Catalogue, HostPoll, HostReport } from '../../model/ports.js';
import { isNews } from '../../model/report-order.js';
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
    const after = save(tables, row, poll, poll.status);
    if (after.revision !== row.revision) changed.push(after);
  }
  return inOrder(changed).map((row) => hostOf(tables, row));
}

/** Only a change that placement looks at makes a new revision. */
function save(
  tables: Tables,
  row: HostRow,
  liveness: Pick<HostPoll, 'state' | 'missedPolls'> | null,
  report: HostReport | null,
): HostRow {
  const news: Writable<Partial<HostRow>> =
    report !== null && isNews(row, report) ? columnsOf(tables, row, report) : {};
  if (liveness !== null) {
    news.state = liveness.state;
    news.missedPolls = liveness.missedPolls;
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
  const { totals, used, version, bootId, report } = heard;
  const columns = { used: kept(used), version, bootId, report: wholeNumber(report) };
  // What is said again changes nothing, and most reports say nothing else.
  const isKnown = Object.keys(row.suspected).length === 0 && isSame(totals, row.said.totals);
  return isKnown
    ? columns
    : { ...columns, ...roomOf(withReport(row, kept(totals)), tables.capacity) };
}
