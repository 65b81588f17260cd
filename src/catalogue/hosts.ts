/** Hosts: how they join, what is known of their health, and what the operator says of them. */
import { sql, type RawBuilder } from 'kysely';
import { DomainError } from '../model/errors.js';
import type { Host } from '../model/host.js';
import { limitsOf } from '../model/inventory.js';
import type { AgentContact, Catalogue, HostPoll } from '../model/ports.js';
import type { Database } from './connection.js';
import { cursorOf, positionOf } from './cursor.js';
import { answered, isDuplicate } from './failures.js';
import { jsonOf } from './json.js';
import { hostOf, type HostRow } from './rows.js';

type Hosts = Pick<
  Catalogue,
  'joinHost' | 'host' | 'hosts' | 'setHostMode' | 'contacts' | 'saveHostPolls'
>;

export const hostsOf = (db: Database): Hosts => ({
  joinHost: (request) =>
    answered(async () => {
      try {
        await sql`
          insert into hosts (id, name, address, credential, zone, labels, state, inventory, limits,
                             version, boot_id)
          values (${request.id}, ${request.name}, ${request.address}, ${request.credential},
                  ${request.zone}, ${jsonOf(request.labels)}, 'joining', ${jsonOf(request.inventory)},
                  ${jsonOf(limitsOf(request.inventory))}, ${request.version}, ${request.bootId})
          on conflict (id) do update set
            name = excluded.name, address = excluded.address, credential = excluded.credential,
            zone = excluded.zone, labels = excluded.labels, inventory = excluded.inventory,
            limits = excluded.limits, version = excluded.version, boot_id = excluded.boot_id,
            state = case when hosts.state = 'down' then 'joining' else hosts.state end,
            missed_polls = 0, revision = hosts.revision + 1`.execute(db);
      } catch (error) {
        if (!isDuplicate(error, 'hosts_name_key')) throw error;
        throw new DomainError('name_conflict', `Another host is called ${request.name}.`, {
          errors: [{ field: 'name', message: 'must be a name that no other host has' }],
        });
      }
      return present(await selectHosts(db, sql`hosts.id = ${request.id}`));
    }),

  host: (idOrName) =>
    answered(async () => {
      const found = await selectHosts(db, sql`hosts.id = ${idOrName} or hosts.name = ${idOrName}`);
      return found.find(({ id }) => id === idOrName) ?? found[0] ?? null;
    }),

  hosts: ({ limit, cursor }) =>
    answered(async () => {
      const after = cursor === null ? 0 : positionOf(cursor);
      const found = await selectHosts(db, sql`hosts.seq > ${after}`, limit + 1);
      const items = found.slice(0, limit);
      return {
        items,
        nextCursor: found.length > limit ? cursorOf(items.at(-1)?.seq ?? 0) : null,
      };
    }),

  setHostMode: (idOrName, mode, reason) =>
    answered(async () => {
      const { rows } = await sql<{ id: string }>`
        update hosts set mode = ${mode}, mode_reason = ${reason}, revision = revision + 1
        where id = coalesce((select id from hosts where id = ${idOrName}),
                            (select id from hosts where name = ${idOrName}))
        returning id`.execute(db);
      const [row] = rows;
      return row === undefined ? null : present(await selectHosts(db, sql`hosts.id = ${row.id}`));
    }),

  contacts: (hostId) =>
    answered(async () => {
      const { rows } = await sql<AgentContact & Pick<Host, 'state' | 'missedPolls'>>`
        select id as "hostId", address, credential, state, missed_polls as "missedPolls"
        from hosts
        where mode <> 'retired' and (${hostId ?? null}::text is null or id = ${hostId ?? null})
        order by seq`.execute(db);
      return rows;
    }),

  saveHostPolls: (polls) => answered(() => savePolls(db, polls)),
});

function present(hosts: readonly Host[]): Host {
  const [host] = hosts;
  if (host === undefined) throw new Error('a host vanished while it was written');
  return host;
}

/** Hosts in order of registration, with the number of VMs that are booked on each. */
export async function selectHosts(
  db: Database,
  where: RawBuilder<unknown>,
  limit: number | null = null,
): Promise<readonly Host[]> {
  const { rows } = await sql<HostRow>`
    select hosts.*, (select count(*) from allocations a where a.host_id = hosts.id) as vms
    from hosts where ${where} order by hosts.seq limit ${limit}`.execute(db);
  return rows.map(hostOf);
}

/** One statement for all hosts; only a change that placement looks at makes a new revision. */
async function savePolls(db: Database, polls: readonly HostPoll[]): Promise<readonly Host[]> {
  const values = polls.map(({ hostId, address, state, missedPolls, status }) => ({
    id: hostId,
    address,
    state,
    missed_polls: missedPolls,
    inventory: status?.inventory ?? null,
    limits: status === null ? null : limitsOf(status.inventory),
    version: status?.version ?? null,
    boot_id: status?.bootId ?? null,
  }));
  const { rows } = await sql<{ id: string; changed: boolean }>`
    with polls as (
      select * from jsonb_to_recordset(${jsonOf(values)}::jsonb) as p(
        id text, address text, state text, missed_polls integer, inventory jsonb, limits jsonb,
        version text, boot_id text)
    ), before as (
      select h.id, h.state, h.inventory from hosts h join polls on polls.id = h.id and polls.address = h.address
      order by h.id for no key update of h
    )
    update hosts set
      state = polls.state,
      missed_polls = polls.missed_polls,
      inventory = coalesce(polls.inventory, hosts.inventory),
      limits = coalesce(polls.limits, hosts.limits),
      version = coalesce(polls.version, hosts.version),
      boot_id = coalesce(polls.boot_id, hosts.boot_id),
      last_seen_at = case when polls.inventory is null then hosts.last_seen_at
                          else clock_timestamp() end,
      revision = hosts.revision + (case when before.state <> polls.state
        or (polls.inventory is not null and polls.inventory <> before.inventory) then 1 else 0 end)
    from polls join before on before.id = polls.id
    where hosts.id = polls.id and hosts.address = polls.address
    returning hosts.id, (before.state <> polls.state
      or (polls.inventory is not null and polls.inventory <> before.inventory)) as changed`.execute(
    db,
  );
  const changed = rows.filter((row) => row.changed).map(({ id }) => id);
  return changed.length === 0 ? [] : selectHosts(db, sql`hosts.id = any(${changed})`);
}
