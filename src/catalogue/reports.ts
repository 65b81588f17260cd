/**
 * What hosts report of their VMs, taken over into what is seen of them. A VM that is leased is being
 * worked on right now: the lifecycle knows it better than a report that may be older.
 */
import { sql, type RawBuilder } from 'kysely';
import type { AgentVm } from '../model/agent-report.js';
import type { Catalogue, VmsReport } from '../model/ports.js';
import type { ReportNumber } from '../model/report-order.js';
import { ASSIGNMENT_BELIEVED_MAX, STRIKES, type ReportReading } from '../model/stores/orphans.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';
import { jsonOf } from './json.js';

/**
 * @param graceMs how old a report that came unasked may be: what a VM has become since then says
 *   nothing
 */
export const reportsOf = (
  db: Database,
  graceMs: number,
): Pick<Catalogue, 'reportVms' | 'reportsWithNews' | 'loseVms'> => ({
  reportVms: (hostId, report, vms, reading = PLAIN_READING) =>
    answered(() => takeOver(db, { hostId, report, vms, reading, graceMs })),

  async reportsWithNews(reports) {
    const news = new Set<string>();
    for (const some of inParts(reports)) {
      for (const hostId of await answered(() => withNews(db, some, graceMs))) news.add(hostId);
    }
    return news;
  },

  loseVms: (hostId) =>
    answered(async () => {
      const { rows } = await sql`
        with down as materialized (
          -- It may have answered somebody else meanwhile.
          select id from hosts where id = ${hostId} and state = 'down' for share
        ), lost as (
          select id from vms
          where host_id = (select id from down) and state not in ('unknown', 'failed', 'deleted')
            and not is_held(null)
          order by id for no key update
        )
        update vms set
          state = 'unknown', updated_at = clock_timestamp(),
          reason = '{"code": "host_down", "detail": "Its host does not answer."}'
        from lost where vms.id = lost.id
        returning vms.id`.execute(db);
      return rows.length;
    }),
});

const PLAIN_READING: ReportReading = { onMissing: 'mark', askedAt: null };

/** Of one statement: some 3 µs for each VM. */
const COMPARED_AT_ONCE = { hosts: 200, vms: 10_000 };

/** A host with more VMs than that comes alone. */
function* inParts(reports: readonly VmsReport[]): Generator<readonly VmsReport[]> {
  let part: VmsReport[] = [];
  let vms = 0;
  for (const report of reports) {
    vms += report.vms.length;
    if (part.length === COMPARED_AT_ONCE.hosts || vms > COMPARED_AT_ONCE.vms) {
      if (part.length > 0) yield part;
      part = [];
      vms = report.vms.length;
    }
    part.push(report);
  }
  if (part.length > 0) yield part;
}

/** Numbers need no quotes, which the driver would look at one by one. */
const listOf = (numbers: readonly number[]): string => `{${numbers.join()}}`;

/** One call of `reports_with_news`: what is known and said is compared in sets, without a lock. */
async function withNews(
  db: Database,
  reports: readonly VmsReport[],
  graceMs: number,
): Promise<readonly string[]> {
  const said = reports.flatMap(({ vms }) => vms);
  const sayers = reports.flatMap(({ vms }, at) => vms.map(() => at + 1));
  const { rows } = await sql<{ id: string }>`
    select id from reports_with_news(
      ${reports.map(({ hostId }) => hostId)}, ${reports.map(({ bootId }) => bootId)},
      ${reports.map(({ report }) => report)}, ${reports.map(({ askedAt }) => askedAt)}, ${graceMs},
      ${listOf(sayers)}, ${said.map(({ id }) => id)},
      ${listOf(said.map(({ assignment }) => assignment))},
      ${said.map(({ state }) => state)}) as told(id)`.execute(db);
  return rows.map(({ id }) => id);
}

interface Heard {
  readonly hostId: string;
  readonly report: ReportNumber;
  readonly vms: readonly AgentVm[];
  readonly reading: ReportReading;
  readonly graceMs: number;
}

/** Up to when what is recorded was there before the report was made. */
export const heardOf = (askedAt: Date | null, graceMs: number): RawBuilder<Date> =>
  sql`coalesce(${askedAt}::timestamptz,
               clock_timestamp() - ${graceMs}::double precision * interval '1 millisecond')`;

/**
 * One call of `take_over_report` a host. What it makes of what is said:
 *
 *   said                       | means
 *   failed, on its way         | nothing yet: the lifecycle asks the agent itself
 *   failed, has run            | stopped, with the reason: it keeps its disk and its booking
 *   any other state            | that state
 *   nothing, has run           | a strike, unless it has changed since the report was asked for; at
 *                              | the second in a row `unknown`, or made anew (onMissing)
 *   nothing, has never run     | nothing: asking for it again is safe
 *   a newer assignment         | a strike; at the second it gets one above that, and is asked for
 *                              | again: until then its agent refuses every order
 *   an older one, `unknown`    | placed: the order with its own never came there, and its host has
 *                              | nothing to say of that; it is asked for again
 *
 * A VM that moves is left to its move. Due is whatever the lifecycle could move now that the host is
 * known to answer: the conditions are those of model/vm-lifecycle.ts (a test compares them).
 */
async function takeOver(
  db: Database,
  { hostId, report, vms, reading, graceMs }: Heard,
): Promise<number> {
  const said = Object.fromEntries(
    vms.map(({ id, assignment, state, reason }) => [id, { assignment, state, reason }]),
  );
  const { rows } = await sql<{ changed: boolean }>`
    select changed from take_over_report(
      ${hostId}, ${report.bootId}, ${report.report}, ${jsonOf(said)},
      ${heardOf(reading.askedAt, graceMs)},
      ${reading.onMissing === 'recreate'}, ${STRIKES}, ${ASSIGNMENT_BELIEVED_MAX},
      ${MISSING}, ${RECREATED}, ${OUTDATED}, ${UNTOLD}) as told(changed)`.execute(db);
  return rows.filter(({ changed }) => changed).length;
}

const MISSING = jsonOf({ code: 'missing_on_host', detail: 'Its host does not report it.' });
const RECREATED = jsonOf({
  code: 'missing_on_host',
  detail: 'Its host had it no more; it is made anew there.',
});
const OUTDATED = jsonOf({
  code: 'stale_assignment',
  detail: 'Its host knows a newer assignment of it; it is given one above that.',
});
const UNTOLD = jsonOf({
  code: 'stale_assignment',
  detail: 'Its host knows an older assignment of it only; it is asked for under its own.',
});
