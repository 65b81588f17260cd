/** Events as they are kept: put in order, read by position, found again by key, and forgotten. */
import { sql, type RawBuilder } from 'kysely';
import type { Facts } from '../model/audit.js';
import type { EventFilter, EventKind, EventPlace, FleetEvent } from '../model/events.js';
import type { EventStore } from '../model/stores/events.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';

/** Rows that one call of the sequencer moves: well below a second of work. */
const SEQUENCE_MAX = 500;

/** Rows that one call forgets. */
const PURGE_MAX = 5_000;

/** Keys are compared as such, and a caller may send anything. */
const KEY_PATTERN = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

interface EventRow {
  readonly position: number;
  readonly key: string;
  readonly at: Date;
  readonly kind: EventKind;
  readonly subject_id: string;
  readonly path: string | null;
  readonly host_id: string | null;
  readonly facts: Facts;
}

const eventOf = (row: EventRow): FleetEvent => ({
  position: row.position,
  key: row.key,
  at: row.at,
  kind: row.kind,
  subjectId: row.subject_id,
  path: row.path,
  hostId: row.host_id,
  facts: row.facts,
});

export const eventsOf = (db: Database): EventStore => ({
  sequenceEvents: () =>
    answered(async () => {
      const { rows } = await sql<{ moved: number; head: number; head_key: string }>`
        select moved, head, head_key from sequence_events(${SEQUENCE_MAX})`.execute(db);
      const [row] = rows;
      if (row === undefined) throw new Error('the sequencer did not say where the head is');
      const head = { position: row.head, key: row.head_key };
      return { head, more: row.moved === SEQUENCE_MAX };
    }),

  events: ({ after, upTo, filter, limit }) =>
    answered(async () => {
      const { rows } = await sql<EventRow>`
        select position, key, at, kind, subject_id, path, host_id, facts from events
        where position > ${after} and position <= ${upTo} and ${passing(filter)}
        order by position limit ${limit}`.execute(db);
      return rows.map(eventOf);
    }),

  positionOf: (key, within) =>
    answered(async () => {
      if (!KEY_PATTERN.test(key)) return null;
      // The head of all events outlives its event, but says whether anybody has done something since.
      const { rows } = await sql<{ position: number }>`
        select position from events
        where key = ${key}::uuid and (position = 0 or ${passing({ path: within })})
        union select position from events_head
        where key = ${key}::uuid and ${within ?? null}::text is null`.execute(db);
      return rows[0]?.position ?? null;
    }),

  newestBelow: (path, upTo) => answered(() => newestBelow(db, path, upTo)),

  purgeEvents: (olderThanMs) =>
    answered(async () => {
      // From the oldest on, so that no reader finds a hole: only a beginning that is gone.
      const { numAffectedRows } = await sql`
        delete from events where position in (
          select position from events where position > 0 order by position limit ${PURGE_MAX}
        ) and at < clock_timestamp() - ${olderThanMs} * interval '1 millisecond'`.execute(db);
      return Number(numAffectedRows ?? 0n);
    }),
});

function passing({ vmId, hostId, path, kinds }: EventFilter): RawBuilder<unknown> {
  return sql`
    (${vmId ?? null}::text is null or (subject_id = ${vmId ?? null} and kind like 'vm.%'))
    and (${hostId ?? null}::text is null or host_id = ${hostId ?? null})
    and (${path ?? null}::text is null or path = ${path ?? null}
         or starts_with(path, ${path ?? null}::text || ':'))
    and (${kinds ?? null}::text[] is null or kind = any(${kinds ?? null}::text[]))`;
}

/**
 * By the index of paths alone: the planner would otherwise look through everybody's events for the
 * last one of a path, which is slow for a path where little happens. ";" follows ":" in ASCII.
 */
async function newestBelow(db: Database, path: string, upTo: number): Promise<EventPlace> {
  const { rows } = await sql<EventPlace>`
    select position, key from events where position = coalesce(greatest(
      (select max(position + 0) from events 
       where path collate "C" = ${path} and position <= ${upTo}),
      (select max(position + 0) from events
       where path collate "C" >= ${`${path}:`} and path collate "C" < ${`${path};`}
         and position <= ${upTo})
    ), 0)`.execute(db);
  const [place] = rows;
  if (place === undefined) throw new Error('the events have no beginning');
  return place;
}
