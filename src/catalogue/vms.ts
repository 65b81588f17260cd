/** VMs: what is wanted of them and what is seen of them, for readers and for those who want. */
import { sql, type RawBuilder } from 'kysely';
import { DomainError } from '../model/errors.js';
import type { HostOverrides } from '../model/host.js';
import type { Catalogue } from '../model/ports.js';
import type { Vm } from '../model/vm.js';
import { withActor } from './actor.js';
import type { Database } from './connection.js';
import { lastSeenCursor, lastSeenOf, type LastSeen } from './cursor.js';
import { answered } from './failures.js';
import { vmOf, type VmRow } from './rows.js';

type Vms = Pick<Catalogue, 'vm' | 'vmByRequest' | 'vms' | 'want' | 'purgeDeleted'>;

/** What asking for a state is called in the audit log. */
const WANTS = { running: 'vm.start', stopped: 'vm.stop', deleted: 'vm.delete' } as const;

export const vmsOf = (db: Database): Vms => ({
  vm: (id) =>
    answered(async () => {
      const [row] = await selectVms(db, sql`vms.id = ${id} and vms.deleted_at is null`);
      return row === undefined ? null : vmOf(row);
    }),

  vmByRequest: (id) =>
    answered(async () => {
      const [row] = await selectVms(db, sql`vms.id = ${id}`);
      return row === undefined ? null : { vm: vmOf(row), requestHash: row.request_hash };
    }),

  vms: ({ limit, cursor, hostId, path, state }) =>
    answered(async () => {
      const after = cursor === null ? sql`0` : seqAfter(lastSeenOf(cursor), path);
      const rows = await selectVms(
        db,
        sql`vms.seq > ${after} and vms.deleted_at is null
            and (${hostId ?? null}::text is null or vms.host_id = ${hostId ?? null} or hosts.name = ${hostId ?? null})
            and ${atOrBelow('vms', path)}
            and (${state ?? null}::text is null or vms.state = ${state ?? null})`,
        limit + 1,
      );
      const items = rows.slice(0, limit).map(vmOf);
      return {
        items,
        nextCursor: rows.length > limit ? cursorAfter(items) : null,
      };
    }),

  want: (id, desired, by) =>
    answered(() =>
      withActor(db, by, WANTS[desired], async (tx) => {
        // A waiting, failed or leaving VM can only be wanted gone.
        const { rows } = await sql`
        update vms set
          desired_state = ${desired}, due_at = clock_timestamp(), tries = 0,
          updated_at = clock_timestamp()
        where id = ${id} and deleted_at is null
          and (${desired} = 'deleted' or (desired_state <> 'deleted' and state not in ('waiting', 'failed')))
        returning id`.execute(tx);
        const [row] = await selectVms(tx, sql`vms.id = ${id} and vms.deleted_at is null`);
        if (row === undefined) return null;
        const vm = vmOf(row);
        if (rows.length === 0) throw refusedWant(vm);
        return vm;
      }),
    ),

  purgeDeleted: (olderThanMs) =>
    answered(async () => {
      const { numAffectedRows } = await sql`
        delete from vms
        where deleted_at < clock_timestamp() - ${olderThanMs} * interval '1 millisecond'`.execute(
        db,
      );
      return Number(numAffectedRows ?? 0n);
    }),
});

function cursorAfter(items: readonly Vm[]): string | null {
  const last = items.at(-1);
  if (last === undefined) return null;
  return lastSeenCursor({ id: last.id, createdAtMs: last.createdAt.getTime() });
}

const atOrBelow = (table: 'vms' | 'seen', path: string | undefined) => sql`(
  ${path ?? null}::text is null or ${sql.ref(table)}.path = ${path ?? null}
  or starts_with(${sql.ref(table)}.path, ${path ?? null}::text || ':'))`;

/**
 * Where a page begins. A VM outside the path is as unknown as one that never was: with another
 * answer a reader could find out which ids there are.
 */
const seqAfter = ({ id, createdAtMs }: LastSeen, path: string | undefined) => sql`coalesce(
  (select seen.seq from vms seen where seen.id = ${id} and ${atOrBelow('seen', path)}),
  (select max(seen.seq) from vms seen
   where seen.created_at < to_timestamp((${createdAtMs}::float8 + 1) / 1000)
     and ${atOrBelow('seen', path)}),
  0)`;

const refusedWant = ({ state, desiredState }: Vm): DomainError =>
  new DomainError(
    'state_conflict',
    desiredState === 'deleted'
      ? 'This VM is being deleted.'
      : state === 'waiting'
        ? 'This VM waits for room and starts by itself when it has a host; delete it to end the wait.'
        : 'This VM has failed and holds nothing; delete it and create another.',
    { extra: { state, desiredState } },
  );

/** Where the agent of a VM's host is; null when it has no host. */
export interface HostContactRow {
  readonly address: string | null;
  readonly credential: string | null;
  readonly ip: string | null;
  readonly boot_id: string | null;
  /** What the operator says of that host. */
  readonly overrides: HostOverrides | null;
}

/** VMs in order of creation, with their host and their booking. */
export async function selectVms(
  db: Database,
  where: RawBuilder<unknown>,
  limit: number | null = null,
): Promise<readonly (VmRow & HostContactRow)[]> {
  const { rows } = await sql<VmRow & HostContactRow>`
    select vms.*, hosts.name as host_name, hosts.address, hosts.credential, hosts.ip,
           hosts.boot_id, hosts.overrides,
           a.booking_id, a.assignment
    from vms
    left join hosts on hosts.id = vms.host_id
    left join allocations a on a.vm_id = vms.id
    where ${where} order by vms.seq limit ${limit}`.execute(db);
  return rows;
}
