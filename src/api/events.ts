/** The handler of `/v1/events`: who sees which events, and how they travel (server-sent events). */
import { DomainError } from '../model/errors.js';
import type { EventFilter } from '../model/events.js';
import type { EventsQuery } from '../wire/events.js';
import type { EventNews, EventStart, ReaderOptions } from './event-feed.js';
import { eventBody } from './event-view.js';
import type { Principal } from './principal.js';
import type { Answer, ApiPorts, Call } from './route.js';
import { pathWithin, refuseToTenants } from './tenancy.js';

/** A reader that takes longer for one text is cut off; it resumes where it was. */
const STALL_MS = 10_000;

/** Characters of one text: what a reader that does not read costs in memory. */
const TEXT_MAX = 32_768;

/** How soon a reader whose connection broke comes back, in milliseconds. */
const RECONNECT_MS = 1_000;

/** Of these a tenant hears. */
const VM_KINDS = ['vm.created', 'vm.changed', 'vm.deleted'] as const;

export async function followEvents(
  call: Call<undefined, EventsQuery>,
  { catalogue, events }: ApiPorts,
): Promise<Answer> {
  const { query, principal } = call;
  const { host } = query;
  refuseToTenants(principal, host, 'host');
  const hostId = host === undefined ? undefined : (await catalogue.host(host))?.id;
  if (host !== undefined && hostId === undefined) throw noSuchHost();
  const reader: ReaderOptions = {
    start: startOf(query, call.header('last-event-id')),
    filter: filterOf(query, hostId, principal),
    within: principal.path ?? undefined,
    follow: query.follow ?? true,
    signal: call.untilGone(),
  };
  const { key, news } = await events.open(reader);
  return {
    status: 200,
    contentType: 'text/event-stream; charset=utf-8',
    stream: textsOf(key, news, call),
    stallMs: STALL_MS,
  };
}

/** A filter by a host that does not exist is a slip of the pen, not an empty stream. */
const noSuchHost = (): DomainError =>
  new DomainError('invalid_request', 'Some fields are not valid; see errors.', {
    errors: [{ field: 'host', message: 'must be the id or the name of a host' }],
  });

/** A browser that reconnects says the header, and the query is the one of its first request. */
function startOf({ lastEventId, since }: EventsQuery, header: string | undefined): EventStart {
  const key = header ?? lastEventId;
  if (key !== undefined && key !== '') return { from: 'after', key };
  return { from: since === 'start' ? 'start' : 'now' };
}

/** @throws DomainError `forbidden` when a tenant asks for another's path */
function filterOf(
  { vm, path, kind }: EventsQuery,
  hostId: string | undefined,
  principal: Principal,
): EventFilter {
  const shared = { vmId: vm, hostId, path: pathWithin(principal, path) };
  if (principal.path === null) return { ...shared, kinds: kind };
  return {
    ...shared,
    kinds: VM_KINDS.filter((known) => kind === undefined || kind.includes(known)),
  };
}

async function* textsOf(
  key: string | null,
  news: AsyncIterable<EventNews>,
  { principal, stillKnown }: Pick<Call, 'principal' | 'stillKnown'>,
): AsyncGenerator<string> {
  // The id is for a reader that is cut before its first event: it resumes where it began.
  yield `: berth\nretry: ${RECONNECT_MS.toString()}\n${key === null ? '' : `id: ${key}\n`}\n`;
  for await (const item of news) {
    // A token that was revoked meanwhile sees nothing more; a reader with another may go on.
    if (!(await stillKnown())) return;
    if (item === 'heartbeat') {
      yield ': alive\n\n';
      continue;
    }
    let text = '';
    for (const event of item) {
      const data = JSON.stringify(eventBody(event, principal));
      text += `id: ${event.key}\nevent: ${event.kind}\ndata: ${data}\n\n`;
      if (text.length < TEXT_MAX) continue;
      yield text;
      text = '';
    }
    if (text !== '') yield text;
  }
}
