/** What operators say of hosts: their modes, and what goes over what agents and configuration say. */
import { sql } from 'kysely';
import { DomainError } from '../model/errors.js';
import { patchedOverrides, type Host, type HostPatch } from '../model/host.js';
import type { CapacityPolicy } from '../model/inventory.js';
import type { Catalogue } from '../model/ports.js';
import { withActor } from './actor.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';
import { lockSaid, roomOf } from './host-room.js';
import { hostIdOf, selectHosts } from './hosts.js';
import { jsonOf } from './json.js';

export const hostSettingsOf = (
  db: Database,
  policy: CapacityPolicy,
): Pick<Catalogue, 'patchHost' | 'endCordons'> => ({
  patchHost: (idOrName, patch, by) =>
    answered(() => withActor(db, by, 'host.patch', (tx) => patchHost(tx, idOrName, patch, policy))),

  endCordons: () =>
    answered(async () => {
      const { rows } = await sql<{ id: string }>`
        update hosts set mode = 'enabled', mode_reason = null, mode_owner = null, mode_until = null,
                         cordoned_by_automation = false, changes = '{}', revision = revision + 1
        where mode = 'cordoned' and mode_until <= clock_timestamp()
        returning id`.execute(db);
      return rows.length === 0
        ? []
        : selectHosts(db, sql`hosts.id = any(${rows.map(({ id }) => id)})`);
    }),
});

async function patchHost(
  tx: Database,
  idOrName: string,
  { mode, overrides = {} }: HostPatch,
  policy: CapacityPolicy,
): Promise<Host | null> {
  const [row] = await lockSaid(tx, sql`id = ${hostIdOf(idOrName)}`);
  if (row === undefined) return null;
  if (row.mode === 'retired') {
    throw new DomainError('state_conflict', `Host ${idOrName} is retired.`);
  }
  const said = { ...row, overrides: patchedOverrides(row.overrides, overrides) };
  const room = roomOf(said, policy);
  await sql`
    update hosts set
      overrides = ${jsonOf(said.overrides)}, zone = ${room.zone}, labels = ${jsonOf(room.labels)},
      inventory = ${jsonOf(room.inventory)}, limits = ${jsonOf(room.limits)},
      revision = revision + 1
      ${mode === undefined ? sql`` : modeColumns(mode)}
    where id = ${row.id}`.execute(tx);
  const [host] = await selectHosts(tx, sql`hosts.id = ${row.id}`);
  return host ?? null;
}

const modeColumns = ({ mode, reason, owner, endsInMs }: NonNullable<HostPatch['mode']>) => sql`,
      mode = ${mode}, mode_reason = ${reason}, mode_owner = ${owner},
      cordoned_by_automation = false, changes = '{}',
      mode_until = clock_timestamp() + ${endsInMs}::double precision * interval '1 millisecond'`;
