/** Rows of orphans as they come from the database, and the room that their hosts have beside them. */
import { sql, type RawBuilder } from 'kysely';
import type { AgentVmState } from '../model/agent-report.js';
import { bookableOf, type Host } from '../model/host.js';
import { AMOUNT_MAX, type Resources } from '../model/resources.js';
import { STRIKES, type Orphan } from '../model/stores/orphans.js';
import type { Database } from './connection.js';
import { selectHosts } from './hosts.js';
import { jsonOf } from './json.js';

/** Hosts before everything else, as record_bookings does: otherwise each could wait for the other. */
export const lockHost = (tx: Database, hostId: string) =>
  sql`select from hosts where id = ${hostId} for no key update`.execute(tx);

/** Makes the host's room what its orphans leave of it. @returns the host when that is a change */
export async function settleRoom(tx: Database, hostId: string): Promise<Host | null> {
  const [host] = await selectHosts(tx, sql`hosts.id = ${hostId}`);
  if (host === undefined) return null;
  const confirmed = await selectOrphans(tx, sql`o.host_id = ${hostId} and o.strikes >= ${STRIKES}`);
  const orphaned = sumOf(confirmed.map(({ resources }) => resources));
  if (isSame(orphaned, host.orphaned)) return null;
  const limits = bookableOf({ inventory: host.inventory, orphaned });
  await sql`
    update hosts set orphaned = ${jsonOf(orphaned)}::jsonb, limits = ${jsonOf(limits)}::jsonb,
      revision = revision + 1
    where id = ${hostId}`.execute(tx);
  const [changed] = await selectHosts(tx, sql`hosts.id = ${hostId}`);
  return changed ?? null;
}

/** An agent may say any amount of many VMs: the sum stays one that can be counted with. */
function sumOf(amounts: readonly Resources[]): Resources {
  const sum: Record<string, number> = {};
  for (const resources of amounts) {
    for (const [resource, amount] of Object.entries(resources)) {
      if (amount > 0) sum[resource] = Math.min(AMOUNT_MAX, (sum[resource] ?? 0) + amount);
    }
  }
  return sum;
}

const isSame = (left: Resources, right: Resources): boolean =>
  Object.keys(left).length === Object.keys(right).length &&
  Object.entries(left).every(([resource, amount]) => right[resource] === amount);

interface OrphanRow {
  readonly host_id: string;
  readonly host_name: string;
  readonly vm_id: string;
  readonly state: AgentVmState;
  readonly resources: Resources;
  readonly assignment: number;
  readonly first_seen_at: Date;
  readonly last_seen_at: Date;
  readonly leaving: boolean;
  readonly recorded_host_id: string | null;
  readonly recorded_host_name: string | null;
}

export async function selectOrphans(
  db: Database,
  where: RawBuilder<unknown>,
): Promise<readonly Orphan[]> {
  const { rows } = await sql<OrphanRow>`
    select o.*, hosts.name as host_name, other.id as recorded_host_id,
           other.name as recorded_host_name
    from orphans o
    join hosts on hosts.id = o.host_id
    left join vms on vms.id = o.vm_id and vms.deleted_at is null
    left join hosts other on other.id = vms.host_id
    where ${where}
    order by hosts.seq, o.vm_id`.execute(db);
  return rows.map((row) => ({
    host: { id: row.host_id, name: row.host_name },
    vmId: row.vm_id,
    state: row.state,
    resources: row.resources,
    assignment: row.assignment,
    firstSeenAt: row.first_seen_at,
    lastSeenAt: row.last_seen_at,
    recordedOn:
      row.recorded_host_id === null
        ? null
        : { id: row.recorded_host_id, name: row.recorded_host_name ?? row.recorded_host_id },
    leaving: row.leaving,
  }));
}
