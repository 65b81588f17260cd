/** The audit log as it is kept. Triggers write most of it; see actor.ts and migration 0010. */
import { sql } from 'kysely';
import type { Actor } from '../model/actor.js';
import type { AuditEntry, Facts } from '../model/audit.js';
import type { AuditQuery, AuditStore } from '../model/stores/audit.js';
import { actorSetting } from './actor.js';
import type { Database } from './connection.js';
import { cursorOf, positionOf } from './cursor.js';
import { answered } from './failures.js';
import { jsonOrNull } from './json.js';

/** Rows that one call forgets. */
const PURGE_MAX = 5_000;

interface AuditRow {
  readonly id: number;
  readonly at: Date;
  /** As `actorSetting` makes it. */
  readonly actor: Actor;
  readonly action: string;
  readonly subject_kind: string;
  readonly subject_id: string;
  readonly path: string | null;
  readonly before: Facts | null;
  readonly after: Facts | null;
}

const entryOf = (row: AuditRow): AuditEntry => ({
  id: row.id,
  at: row.at,
  actor: {
    kind: row.actor.kind,
    id: row.actor.id,
    name: row.actor.name,
    requestId: row.actor.requestId,
  },
  action: row.action,
  subject: { kind: row.subject_kind, id: row.subject_id, path: row.path },
  before: row.before,
  after: row.after,
});

export const auditOf = (db: Database): AuditStore => ({
  audit: (query) => answered(() => page(db, query)),

  note: (by, action, subject, { before, after } = { before: null, after: null }) =>
    answered(async () => {
      await sql`
        insert into audit (actor, action, subject_kind, subject_id, path, before, after)
        values (${actorSetting(by, action)}::jsonb, ${action},
                ${subject.kind}, ${subject.id}, ${subject.path ?? null},
                ${jsonOrNull(before)}::jsonb, ${jsonOrNull(after)}::jsonb)`.execute(db);
    }),

  purgeAudit: (olderThanMs) =>
    answered(async () => {
      const { numAffectedRows } = await sql`
        delete from audit where id in (select id from audit order by id limit ${PURGE_MAX})
          and at < clock_timestamp() - ${olderThanMs} * interval '1 millisecond'`.execute(db);
      return Number(numAffectedRows ?? 0n);
    }),
});

async function page(
  db: Database,
  { limit, cursor, actor, action, subject, since }: AuditQuery,
): ReturnType<AuditStore['audit']> {
  const before = cursor === null ? null : positionOf(cursor);
  const { rows } = await sql<AuditRow>`
    select id, at, actor, action, subject_kind, subject_id, path, before, after
    from audit
    where (${before}::bigint is null or id < ${before})
      and (${actor ?? null}::text is null or actor ->> 'id' = ${actor ?? null}
           or actor ->> 'name' = ${actor ?? null})
      and (${action ?? null}::text is null or action = ${action ?? null})
      and (${subject ?? null}::text is null or subject_id = ${subject ?? null})
      and (${since?.toISOString() ?? null}::timestamptz is null
           or at >= ${since?.toISOString() ?? null}::timestamptz)
    order by id desc limit ${limit + 1}`.execute(db);
  const items = rows.slice(0, limit).map(entryOf);
  return {
    items,
    nextCursor: rows.length > limit ? cursorOf(items.at(-1)?.id ?? 0) : null,
  };
}
