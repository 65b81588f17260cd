/** Events and audit log kept in memory, for tests of the API. */
import { randomUUID } from 'node:crypto';
import type { AuditEntry } from '../../src/model/audit.js';
import type { EventFilter, EventKind, FleetEvent } from '../../src/model/events.js';
import type { AuditStore } from '../../src/model/stores/audit.js';
import type { EventStore } from '../../src/model/stores/events.js';

const BEGINNING = '00000000-0000-4000-8000-000000000000';

const now = new Date('2026-11-21T10:00:00.000Z');

export interface EventsDouble {
  readonly store: EventStore & AuditStore;
  readonly entries: AuditEntry[];
  /** Something happens to a VM. */
  happen(changes?: Partial<FleetEvent>): FleetEvent;
  /** What has happened is forgotten. */
  forget(): void;
  /** Readings under way or done. */
  readonly reads: () => number;
}

const passes = (event: FleetEvent, { vmId, hostId, path, kinds }: EventFilter): boolean =>
  (vmId === undefined || event.subjectId === vmId) &&
  (hostId === undefined || event.hostId === hostId) &&
  (path === undefined || event.path === path || event.path?.startsWith(`${path}:`) === true) &&
  (kinds === undefined || kinds.includes(event.kind));

/** @param work a step that other requests may come between, and that fails when it is told to */
export function createEventsDouble(work: () => Promise<void>): EventsDouble {
  const kept: FleetEvent[] = [];
  const entries: AuditEntry[] = [];
  let position = 0;
  let reads = 0;
  let head = { position, key: BEGINNING };
  const kind: EventKind = 'vm.changed';
  return {
    entries,
    reads: () => reads,
    forget() {
      kept.length = 0;
    },
    happen(changes = {}) {
      position += 1;
      const event: FleetEvent = {
        position,
        key: randomUUID(),
        at: now,
        kind,
        subjectId: 'vm-a',
        path: 'acme:web',
        hostId: 'host-a',
        facts: {
          id: 'vm-a',
          path: 'acme:web',
          state: 'running',
          host: { id: 'host-a', name: 'name-a' },
          reason: { code: 'host_down', detail: 'of 10.0.0.1' },
          attempts: [],
          violations: [],
        },
        ...changes,
      };
      kept.push(event);
      head = { position, key: event.key };
      return event;
    },
    store: {
      async sequenceEvents() {
        await work();
        return { head, more: false };
      },
      async events({ after, upTo, filter, limit }) {
        reads += 1;
        await work();
        return kept
          .filter((event) => event.position > after && event.position <= upTo)
          .filter((event) => passes(event, filter))
          .slice(0, limit);
      },
      async positionOf(key, within) {
        await work();
        if (key === BEGINNING) return 0;
        if (key === head.key && within === undefined) return head.position;
        const known = kept.filter((event) => passes(event, { path: within }));
        return known.find((event) => event.key === key)?.position ?? null;
      },
      async newestBelow(path, upTo) {
        await work();
        return (
          kept.findLast((event) => event.position <= upTo && passes(event, { path })) ?? {
            position: 0,
            key: BEGINNING,
          }
        );
      },
      purgeEvents: () => Promise.resolve(0),
      async audit({ limit, cursor, action, actor, subject }) {
        await work();
        const from = cursor === null ? 0 : Number(cursor);
        const found = entries.filter(
          (entry) =>
            (action === undefined || entry.action === action) &&
            (actor === undefined || entry.actor.name === actor) &&
            (subject === undefined || entry.subject.id === subject),
        );
        const items = found.slice(from, from + limit);
        const next = from + items.length;
        return { items, nextCursor: next < found.length ? next.toString() : null };
      },
      note: () => Promise.resolve(),
      purgeAudit: () => Promise.resolve(0),
    },
  };
}
