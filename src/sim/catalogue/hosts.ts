/** Hosts in the catalogue's double: how they join, how they are found, what their operator says. */
import { DomainError } from '../../model/errors.js';
import { patchedOverrides, type Host, type HostPatch } from '../../model/host.js';
import type { Catalogue, JoinRequest } from '../../model/ports.js';
import { pageOf, positionOf } from './cursors.js';
import { dateOf } from './facts.js';
import { roomOf, UNSAID, withReport } from './host-room.js';
import { retiredHost } from '../../model/join-refusals.js';
import { admit } from './join-ticket.js';
import type { HostRow } from './rows.js';
import { kept } from './stored-json.js';
import { answered, type Tables } from './tables.js';
import { contactOf, findHost, hostOf, hostsInService } from './views.js';
import { insertHost, updateHost } from './writing.js';

type Hosts = Pick<
  Catalogue,
  'joinHost' | 'host' | 'hosts' | 'contacts' | 'patchHost' | 'endCordons'
>;

export const hostsOf = (tables: Tables): Hosts => ({
  joinHost: (request, by) =>
    answered(tables, () => join(tables, request), { by, action: 'host.join' }),

  host: (idOrName) =>
    answered(tables, () => {
      const row = findHost(tables, idOrName);
      return row === undefined ? null : hostOf(tables, row);
    }),

  hosts: ({ limit, cursor }) =>
    answered(tables, () => {
      const after = cursor === null ? 0 : positionOf(cursor);
      const found = hostsInService(tables).filter(({ seq }) => seq > after);
      const seqOf = ({ seq }: HostRow) => seq;
      return pageOf(found, limit, seqOf, (row) => hostOf(tables, row));
    }),

  contacts: (hostId) =>
    answered(tables, () => {
      const now = tables.now();
      return hostsInService(tables)
        .filter(({ id }) => hostId === undefined || id === hostId)
        .map((row) => {
          const { state, missedPolls } = row;
          const isFenced = row.fence !== null;
          return { ...contactOf(row), state, missedPolls, isFenced, askedAt: dateOf(now) };
        });
    }),

  patchHost: (idOrName, patch, by) =>
    answered(tables, () => patchHost(tables, idOrName, patch), { by, action: 'host.patch' }),

  endCordons: () =>
    answered(tables, () => {
      const now = tables.now();
      return hostsInService(tables)
        .filter(({ mode, modeUntil }) => mode === 'cordoned' && (modeUntil ?? Infinity) <= now)
        .map((row) => {
          const revision = row.revision + 1;
          const opened = { mode: 'enabled', modeReason: null, modeOwner: null } as const;
          const anew = { modeUntil: null, ...UNFLAPPED, revision };
          return hostOf(tables, updateHost(tables, row, { ...opened, ...anew }));
        });
    }),
});

function join(tables: Tables, request: JoinRequest): Host {
  admit(tables, request);
  const known = tables.hosts.get(request.id);
  refuseTwins(tables, request, known);
  const room = roomOfJoin(tables, request, known);
  const { id, name, address, credential, version, bootId, ip } = request;
  const said = { name, address, credential, version, bootId, ip, ...room };
  const row =
    known === undefined
      ? insertHost(tables, { ...newHost(tables), id, tokenHash: request.tokenHash, ...said })
      : updateHost(tables, known, {
          ...said,
          tokenHash:
            request.tokenHash ?? (known.credential === credential ? known.tokenHash : null),
          report: 0,
          state: known.state === 'down' ? 'joining' : known.state,
          missedPolls: 0,
          revision: known.revision + 1,
        });
  if (row.mode === 'retired') throw retiredHost(row.id);
  return hostOf(tables, row);
}

/** A host before anything is said of it. */
const newHost = (tables: Tables) =>
  ({
    seq: tables.draw('host'),
    state: 'joining',
    mode: 'enabled',
    modeReason: null,
    modeOwner: null,
    modeUntil: null,
    fence: null,
    polledAt: null,
    missingSince: null,
    ...UNFLAPPED,
    overrides: UNSAID.overrides,
    report: 0,
    used: UNSAID.suspected,
    orphaned: UNSAID.orphaned,
    missedPolls: 0,
    allocated: UNSAID.suspected,
    revision: 1,
    lastSeenAt: null,
    createdAt: tables.now(),
  }) as const;

/** A join is a report like others: less than before counts when the first poll says so too. */
function roomOfJoin(tables: Tables, request: JoinRequest, known: HostRow | undefined) {
  const { zone, labels, totals } = request;
  const before = known ?? UNSAID;
  const said = { ...before, said: { ...before.said, zone, labels } };
  return roomOf(withReport(said, totals), tables.capacity);
}

/** Names and tokens are those of one host. */
function refuseTwins(tables: Tables, request: JoinRequest, known: HostRow | undefined): void {
  for (const { id, tokenHash } of tables.hosts.rows()) {
    if (id !== request.id && tokenHash !== null && tokenHash === request.tokenHash) {
      throw sharedToken();
    }
  }
  if (known?.mode === 'retired') return;
  const twin = hostsInService(tables).find(({ name }) => name === request.name);
  if (twin === undefined || twin.id === request.id) return;
  throw new DomainError('name_conflict', `Another host is called ${request.name}.`, {
    errors: [{ field: 'name', message: 'must be a name that no other host has' }],
  });
}

const sharedToken = (): DomainError =>
  new DomainError('state_conflict', 'Another host speaks with this token; each needs its own.', {
    errors: [{ field: 'token', message: 'must be a token that no other host has' }],
  });

function patchHost(
  tables: Tables,
  idOrName: string,
  { mode, overrides = {} }: HostPatch,
): Host | null {
  const row = findHost(tables, idOrName);
  if (row === undefined) return null;
  if (row.mode === 'retired') {
    throw new DomainError('state_conflict', `Host ${idOrName} is retired.`);
  }
  const patched = { ...row, overrides: kept(patchedOverrides(row.overrides, overrides)) };
  const changes: Partial<HostRow> = {
    overrides: patched.overrides,
    ...roomOf(patched, tables.capacity),
    revision: row.revision + 1,
    ...(mode === undefined ? {} : modeColumns(tables, mode)),
  };
  return hostOf(tables, updateHost(tables, row, changes));
}

const modeColumns = (
  tables: Tables,
  { mode, reason, owner, endsInMs }: NonNullable<HostPatch['mode']>,
) => ({
  mode,
  modeReason: reason,
  modeOwner: owner,
  modeUntil: endsInMs === null ? null : tables.now() + endsInMs,
  ...UNFLAPPED,
});

/** Whoever opens or closes a host has it counted anew. */
const UNFLAPPED = { cordonedByAutomation: false, changes: [] } as const;
