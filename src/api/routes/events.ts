/** Routes that tell what happens, and who did what. */
import { AUDIT_ACTIONS } from '../../model/audit.js';
import { auditPageSchema, auditQuerySchema, type AuditEntryBody } from '../../wire/audit.js';
import { eventsQuerySchema } from '../../wire/events.js';
import { listAudit } from '../audit.js';
import { followEvents } from '../events.js';
import { READERS, USERS_AND_READERS } from '../principal.js';
import { route, type Route } from '../route.js';
import { CATALOGUE_ERRORS } from './common-answers.js';

export const EXAMPLE_AUDIT_ENTRY: AuditEntryBody = {
  id: '7',
  at: '2026-11-21T10:00:00.000Z',
  actor: { kind: 'token', id: 'admin', name: 'admin' },
  action: 'vm.delete',
  requestId: '6f1f7a9e-0a55-4d4b-9c0b-1a4f5a1f8a77',
  subject: { kind: 'vm', id: '0b9ffb7e-7b0e-4b43-8a3c-6c6a5b0a4f1d', path: 'acme:web' },
  before: { state: 'running', desiredState: 'running' },
  after: { state: 'running', desiredState: 'deleted' },
};

export const EVENT_ROUTES: readonly Route[] = [
  route({
    method: 'get',
    path: '/v1/events',
    name: 'followEvents',
    summary: 'Follow what happens: server-sent events, each change once, in order for each VM',
    tag: 'Events',
    access: USERS_AND_READERS,
    query: eventsQuerySchema,
    answers: {
      200: {
        description:
          'Events as they happen: `id`, `event` (the kind) and `data` (an Event); comments in between are signs of life',
        contentType: 'text/event-stream',
      },
    },
    errors: ['events_expired', 'rate_limited', ...CATALOGUE_ERRORS],
    example: { query: { since: 'start', follow: 'false' }, status: 200 },
    handle: followEvents,
  }),
  route({
    method: 'get',
    path: '/v1/audit',
    name: 'listAudit',
    summary: `Who did what, newest first; actions are ${AUDIT_ACTIONS.join(', ')}`,
    tag: 'Events',
    access: READERS,
    query: auditQuerySchema,
    answers: { 200: { description: 'A page of entries', schema: auditPageSchema } },
    errors: CATALOGUE_ERRORS,
    example: {
      status: 200,
      answer: { items: [EXAMPLE_AUDIT_ENTRY], nextCursor: null },
    },
    handle: listAudit,
  }),
];
