/** Hosts: how they join, and how they are found. */
import { sql, type RawBuilder } from 'kysely';
import { DomainError } from '../model/errors.js';
import type { Host } from '../model/host.js';
import type { CapacityPolicy } from '../model/inventory.js';
import type { AgentContact, Catalogue, JoinRequest } from '../model/ports.js';
import { withActor } from './actor.js';
import type { Database } from './connection.js';
import { cursorOf, positionOf } from './cursor.js';
import { answered, isDuplicate } from './failures.js';
import { lockSaid, roomOf, UNSAID, withReport, type Room } from './host-room.js';
import { retiredHost } from '../model/join-refusals.js';
import { admit } from './join-ticket.js';
import { jsonOf } from './json.js';
import { hostOf, type HostRow } from './rows.js';

type Hosts = Pick<Catalogue, 'joinHost' | 'host' | 'hosts' | 'contacts'>;

export const hostsOf = (db: Database, policy: CapacityPolicy): Hosts => ({
  joinHost: (request, by) =>
    answered(() =>
      withActor(db, by, 'host.join', async (tx) => {
        await admit(tx, request);
        const room = await roomOfJoin(tx, request, policy);
        try {
          await sql`
          insert into hosts (id, name, address, credential, zone, labels, state, inventory, limits,
                             version, boot_id, said, suspected, ip, token_hash)
          values (${request.id}, ${request.name}, ${request.address}, ${request.credential},
                  ${room.zone}, ${jsonOf(room.labels)}, 'joining', ${jsonOf(room.inventory)},
                  ${jsonOf(room.limits)}, ${request.version}, ${request.bootId},
                  ${jsonOf(room.said)}, ${jsonOf(room.suspected)}, ${request.ip},
                  ${request.tokenHash})
          on conflict (id) do update set
            name = excluded.name, address = excluded.address, ip = excluded.ip,
            credential = excluded.credential,
            -- An agent that says nothing of a token keeps the one it has, while it is the same agent.
            token_hash = coalesce(excluded.token_hash, case
              when hosts.credential = excluded.credential then hosts.token_hash end),
            zone = excluded.zone, labels = excluded.labels, inventory = excluded.inventory,
            limits = excluded.limits, said = excluded.said, suspected = excluded.suspected,
            version = excluded.version, boot_id = excluded.boot_id, report = 0,
            state = case when hosts.state = 'down' then 'joining' else hosts.state end,
            missed_polls = 0, revision = hosts.revision + 1`.execute(tx);
        } catch (error) {
          if (isDuplicate(error, 'hosts_token_hash_key')) throw sharedToken();
          if (!isDuplicate(error, 'hosts_name_key')) throw error;
          throw new DomainError('name_conflict', `Another host is called ${request.name}.`, {
            errors: [{ field: 'name', message: 'must be a name that no other host has' }],
          });
        }
        const host = present(await selectHosts(tx, sql`hosts.id = ${request.id}`));
        if (host.mode === 'retired') throw retiredHost(host.id);
        return host;
      }),
    ),

  host: (idOrName) =>
    answered(async () => {
      const [host] = await selectHosts(db, sql`hosts.id = ${hostIdOf(idOrName)}`);
      return host ?? null;
    }),

  hosts: ({ limit, cursor }) =>
    answered(async () => {
      const after = cursor === null ? 0 : positionOf(cursor);
      const found = await selectHosts(
        db,
        sql`hosts.seq > ${after} and hosts.mode <> 'retired'`,
        limit + 1,
      );
      const items = found.slice(0, limit);
      return {
        items,
        nextCursor: found.length > limit ? cursorOf(items.at(-1)?.seq ?? 0) : null,
      };
    }),

  contacts: (hostId) =>
    answered(async () => {
      const { rows } = await sql<
        AgentContact &
          Pick<Host, 'state' | 'missedPolls'> & {
            readonly askedAt: Date;
            readonly isFenced: boolean;
          }
      >`
        select id as "hostId", address, ip, credential, state, missed_polls as "missedPolls",
               fenced_at is not null as "isFenced", clock_timestamp() as "askedAt"
        from hosts
        where mode <> 'retired' and (${hostId ?? null}::text is null or id = ${hostId ?? null})
        order by seq`.execute(db);
      return rows;
    }),
});

/** A join is a report like others: less than before counts when the first poll says so too. */
async function roomOfJoin(
  tx: Database,
  { id, zone, labels, totals }: JoinRequest,
  policy: CapacityPolicy,
): Promise<Room> {
  const [known = UNSAID] = await lockSaid(tx, sql`id = ${id}`);
  return roomOf(withReport({ ...known, said: { ...known.said, zone, labels } }, totals), policy);
}

/** The id of a host that is asked for by id or by name; of those that had a name, who has it now. */
export const hostIdOf = (idOrName: string): RawBuilder<string> => sql`coalesce(
  (select id from hosts where id = ${idOrName}),
  (select id from hosts where name = ${idOrName} order by mode = 'retired', seq desc limit 1))`;

const sharedToken = (): DomainError =>
  new DomainError('state_conflict', 'Another host speaks with this token; each needs its own.', {
    errors: [{ field: 'token', message: 'must be a token that no other host has' }],
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
    select hosts.*, (select count(a.vm_id) from allocations a where a.host_id = hosts.id) as vms
    from hosts where ${where} order by hosts.seq limit ${limit}`.execute(db);
  return rows.map(hostOf);
}
