/** The handler of `/v1/audit`, and how an entry is shown. */
import type { AuditEntry } from '../model/audit.js';
import type { AuditEntryBody, AuditListQuery } from '../wire/audit.js';
import type { Answer, ApiPorts, Call } from './route.js';

export async function listAudit(
  { query }: Call<undefined, AuditListQuery>,
  { catalogue }: ApiPorts,
): Promise<Answer> {
  const { cursor = null, since, ...rest } = query;
  const page = await catalogue.audit({
    ...rest,
    cursor,
    since: since === undefined ? undefined : new Date(since),
  });
  return {
    status: 200,
    json: { items: page.items.map(entryBody), nextCursor: page.nextCursor },
  };
}

const entryBody = ({ actor, subject, before, after, ...entry }: AuditEntry): AuditEntryBody => ({
  id: entry.id.toString(),
  at: entry.at.toISOString(),
  actor: { kind: actor.kind, id: actor.id, name: actor.name },
  action: entry.action,
  requestId: actor.requestId,
  subject: { kind: subject.kind, id: subject.id, path: subject.path ?? null },
  before: before === null ? null : { ...before },
  after: after === null ? null : { ...after },
});
