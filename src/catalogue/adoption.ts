/** What people make of orphans: VMs like any other, or nothing. */
import { sql } from 'kysely';
import { noSuchOrphan, recordedElsewhere, refuseUnadoptable } from '../model/orphan-refusals.js';
import { STRIKES, wantedOfOrphan, type Adoption, type Orphan } from '../model/stores/orphans.js';
import type { Vm } from '../model/vm.js';
import type { Database } from './connection.js';
import { jsonOf } from './json.js';
import { lockHost, selectOrphans, settleRoom } from './orphan-rows.js';
import { vmOf } from './rows.js';
import { selectVms } from './vms.js';

/** In a transaction of `withActor`. */
export async function adopt(
  tx: Database,
  { hostId, vmId, name, path, bookingId }: Adoption,
): Promise<Vm> {
  // A rebuild begins: the ledger as it is does not know of the booking. Also keeps those who record
  // bookings out until this is done, so that none of them inserts the same id meanwhile.
  await sql`update meta set epoch = epoch + 1, incarnation = null`.execute(tx);
  await lockHost(tx, hostId);
  const [orphan] = await selectOrphans(
    tx,
    sql`o.host_id = ${hostId} and o.vm_id = ${vmId} and o.strikes >= ${STRIKES}`,
  );
  if (orphan === undefined) throw noSuchOrphan(hostId, vmId);
  refuseUnadoptable(orphan);
  // A VM of this id that was deleted long ago, by its record: the one that runs takes its place.
  await sql`delete from vms where id = ${vmId} and deleted_at is not null`.execute(tx);
  const { rows: others } = await sql`select from vms where id = ${vmId}`.execute(tx);
  if (others.length > 0) throw recordedElsewhere(orphan);
  // It has run: whatever goes wrong from here on, it is not given up and removed.
  await sql`
    insert into vms (id, name, path, resources, image, constraints, request_hash, desired_state,
                     state, host_id, has_run, due_at, reason)
    values (${vmId}, ${name}, ${path}, ${jsonOf(orphan.resources)}::jsonb, null, '{}', '',
            ${wantedOfOrphan(orphan.state)}, 'placed', ${hostId}, true, clock_timestamp(),
            ${ADOPTED}::jsonb)`.execute(tx);
  await sql`
    insert into allocations (booking_id, vm_id, assignment, host_id, path, resources)
    values (${bookingId}, ${vmId}, next_assignment_above(${orphan.assignment}::bigint), ${hostId},
            ${path}, ${jsonOf(orphan.resources)}::jsonb)`.execute(tx);
  await sql`delete from orphans where host_id = ${hostId} and vm_id = ${vmId}`.execute(tx);
  await sql`
    update hosts set allocated = amounts_add(allocated, ${jsonOf(orphan.resources)}::jsonb, 1)
    where id = ${hostId}`.execute(tx);
  await settleRoom(tx, hostId);
  const [row] = await selectVms(tx, sql`vms.id = ${vmId}`);
  if (row === undefined) throw new Error('an adopted VM vanished while it was written');
  return vmOf(row);
}

const ADOPTED = jsonOf({ code: 'adopted', detail: 'It ran on its host before it was recorded.' });

/** Only who really runs it counts: one that is recorded there by now stays. */
export async function dismiss(tx: Database, hostId: string, vmId: string): Promise<Orphan | null> {
  await lockHost(tx, hostId);
  await sql`
      update orphans set leaving = true
      where host_id = ${hostId} and vm_id = ${vmId} and strikes >= ${STRIKES}
        and not exists (select from vms where vms.id = ${vmId} and vms.host_id = ${hostId})`.execute(
    tx,
  );
  const found = await selectOrphans(
    tx,
    sql`o.host_id = ${hostId} and o.vm_id = ${vmId} and o.leaving`,
  );
  return found[0] ?? null;
}
