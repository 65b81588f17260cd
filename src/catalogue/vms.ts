/** VMs: what is wanted of them and what is seen of them, for readers and for those who want. */
import { sql, type RawBuilder } from 'kysely';
import { DomainError } from '../model/errors.js';
import type { Catalogue } from '../model/ports.js';
import type { Vm } from '../model/vm.js';
import type { Database } from './connection.js';
import { cursorOf, positionOf } from './cursor.js';
import { answered } from './failures.js';
import { vmOf, type VmRow } from './rows.js';

type Vms = Pick<Catalogue, 'vm' | 'vmByRequest' | 'vms' | 'want' | 'purgeDeleted'>;

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
      const after = cursor === null ? 0 : positionOf(cursor);
      const rows = await selectVms(
        db,
        sql`vms.seq > ${after} and vms.deleted_at is null
            and (${hostId ?? null}::text is null or vms.host_id = ${hostId ?? null} or hosts.name = ${hostId ?? null})
            and (${path ?? null}::text is null or vms.path = ${path ?? null}
                 or starts_with(vms.path, ${path ?? null}::text || ':'))
            and (${state ?? null}::text is null or vms.state = ${state ?? null})`,
        limit + 1,
      );
      const page = rows.slice(0, limit);
      return {
        items: page.map(vmOf),
        nextCursor: rows.length > limit ? cursorOf(page.at(-1)?.seq ?? 0) : null,
      };
    }),

  want: (id, desired) =>
    answered(async () => {
      // A failed or leaving VM can only be wanted gone.
      const { rows } = await sql`
        update vms set
          desired_state = ${desired}, due_at = clock_timestamp(), tries = 0,
          updated_at = clock_timestamp()
        where id = ${id} and deleted_at is null
          and (${desired} = 'deleted' or (desired_state <> 'deleted' and state <> 'failed'))
        returning id`.execute(db);
      const [row] = await selectVms(db, sql`vms.id = ${id} and vms.deleted_at is null`);
      if (row === undefined) return null;
      const vm = vmOf(row);
      if (rows.length === 0) throw refusedWant(vm);
      return vm;
    }),

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

const refusedWant = (vm: Vm): DomainError =>
  new DomainError(
    'state_conflict',
    vm.state === 'failed'
      ? 'This VM has failed and holds nothing; delete it and create another.'
      : 'This VM is being deleted.',
    { extra: { state: vm.state, desiredState: vm.desiredState } },
  );

/** Where the agent of a VM's host is; null when it has no host. */
interface HostContactRow {
  readonly address: string | null;
  readonly credential: string | null;
}

/** VMs in order of creation, with their host and their booking. */
export async function selectVms(
  db: Database,
  where: RawBuilder<unknown>,
  limit: number | null = null,
): Promise<readonly (VmRow & HostContactRow)[]> {
  const { rows } = await sql<VmRow & HostContactRow>`
    select vms.*, hosts.name as host_name, hosts.address, hosts.credential,
           a.booking_id, a.assignment
    from vms
    left join hosts on hosts.id = vms.host_id
    left join allocations a on a.vm_id = vms.id
    where ${where} order by vms.seq limit ${limit}`.execute(db);
  return rows;
}
