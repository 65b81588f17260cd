/** What has happened, in the catalogue's double: events put in order, and the audit log. */
import type { AuditEntry } from '../../model/audit.js';
import type { EventFilter, FleetEvent } from '../../model/events.js';
import { isAtOrBelow } from '../../model/path.js';
import type { AuditQuery, AuditStore } from '../../model/stores/audit.js';
import type { EventStore } from '../../model/stores/events.js';
import { pageOf, positionOf } from './cursors.js';
import { dateOf } from './facts.js';
import type { AuditRow, EventRow } from './rows.js';
import { kept } from './stored-json.js';
import { answered, type Tables } from './tables.js';

/** Changes that one call puts in order, and rows that one call forgets, as the real one does. */
const SEQUENCE_MAX = 500;
const PURGE_MAX = 5_000;

export const eventsOf = (tables: Tables): EventStore => ({
  sequenceEvents: () =>
    answered(tables, () => {
      const taken = tables.outbox.take(SEQUENCE_MAX);
      for (const change of taken) {
        tables.head = { position: tables.head.position + 1, key: tables.newId() };
        const { position, key } = tables.head;
        const { at, kind, subjectId, path, hostId, facts } = change;
        const event = { position, key, at, kind, subjectId, path, hostId, facts };
        tables.events.append(event);
        tables.eventsByKey.set(event.key, event);
      }
      return { head: { ...tables.head }, more: taken.length === SEQUENCE_MAX };
    }),

  events: ({ after, upTo, filter, limit }) =>
    answered(tables, () =>
      tables.events.rows
        .filter((row) => row.position > after && row.position <= upTo && passes(row, filter))
        .slice(0, limit)
        .map(eventOf),
    ),

  positionOf: (key, within) =>
    answered(tables, () => {
      if (key === tables.beginning.key) return 0;
      // The head outlives its event, but says whether anybody has done something since.
      if (key === tables.head.key && within === undefined) return tables.head.position;
      const event = tables.eventsByKey.get(key);
      return event !== undefined && passes(event, { path: within }) ? event.position : null;
    }),

  newestBelow: (path, upTo) =>
    answered(tables, () => {
      const newest = tables.events.rows.findLast(
        (row) => row.position <= upTo && row.path !== null && isAtOrBelow(row.path, path),
      );
      const { position, key } = newest ?? tables.beginning;
      return { position, key };
    }),

  purgeEvents: (olderThanMs) =>
    answered(tables, () => {
      const before = tables.now() - olderThanMs;
      const purged = tables.events.forget(PURGE_MAX, ({ at }) => at < before);
      for (const { key } of purged) tables.eventsByKey.delete(key);
      return purged.length;
    }),
});

const passes = (row: EventRow, { vmId, hostId, path, kinds }: EventFilter): boolean =>
  (vmId === undefined || (row.subjectId === vmId && row.kind.startsWith('vm.'))) &&
  (hostId === undefined || row.hostId === hostId) &&
  (path === undefined || (row.path !== null && isAtOrBelow(row.path, path))) &&
  (kinds === undefined || kinds.includes(row.kind));

const eventOf = (row: EventRow): FleetEvent => ({
  position: row.position,
  key: row.key,
  at: dateOf(row.at),
  kind: row.kind,
  subjectId: row.subjectId,
  path: row.path,
  hostId: row.hostId,
  facts: row.facts(),
});

export const auditOf = (tables: Tables): AuditStore => ({
  audit: (query) =>
    answered(tables, () => {
      const before = query.cursor === null ? Infinity : positionOf(query.cursor);
      const found = tables.audit.rows
        .filter((row) => row.id < before && isAskedFor(row, query))
        .reverse();
      return pageOf(found, query.limit, ({ id }) => id, entryOf);
    }),

  note: (by, action, subject, { before, after } = { before: null, after: null }) =>
    answered(tables, () => {
      const [factsBefore, factsAfter] = [kept(before), kept(after)];
      tables.audit.append({
        id: tables.draw('audit'),
        at: tables.now(),
        actor: by,
        action,
        subject: { path: null, ...subject },
        before: factsBefore === null ? null : () => factsBefore,
        after: factsAfter === null ? null : () => factsAfter,
      });
    }),

  purgeAudit: (olderThanMs) =>
    answered(tables, () => {
      const before = tables.now() - olderThanMs;
      return tables.audit.forget(PURGE_MAX, ({ at }) => at < before).length;
    }),
});

const isAskedFor = (row: AuditRow, { actor, action, subject, since }: AuditQuery): boolean =>
  (actor === undefined || row.actor.id === actor || row.actor.name === actor) &&
  (action === undefined || row.action === action) &&
  (subject === undefined || row.subject.id === subject) &&
  (since === undefined || row.at >= since.getTime());

const entryOf = (row: AuditRow): AuditEntry => ({
  id: row.id,
  at: dateOf(row.at),
  actor: {
    kind: row.actor.kind,
    id: row.actor.id,
    name: row.actor.name,
    requestId: row.actor.requestId,
  },
  action: row.action,
  subject: { kind: row.subject.kind, id: row.subject.id, path: row.subject.path ?? null },
  before: row.before?.() ?? null,
  after: row.after?.() ?? null,
});
