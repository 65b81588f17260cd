/** Moves in the catalogue: which VM is on its way to which room, and when it can no longer stay. */
import { sql } from 'kysely';
import type { DrainStore } from '../model/stores/drains.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';
import { jsonOf } from './json.js';
import { vmOf } from './rows.js';
import { selectVms } from './vms.js';

type Moves = Pick<DrainStore, 'vmsOn' | 'beginMove' | 'leaveHost'>;

export const movesOf = (db: Database): Moves => ({
  vmsOn: (hostId) =>
    answered(async () => (await selectVms(db, sql`vms.host_id = ${hostId}`)).map(vmOf)),

  beginMove: (move) => answered(() => db.transaction().execute((tx) => beginMove(tx, move))),

  leaveHost: (lease, vmId) =>
    answered(async () => {
      const { rows } = await sql`
        update vms set has_run = false, updated_at = clock_timestamp()
        where id = ${vmId} and lease_owner = ${lease} and host_id is not null
          and exists (select from reservations where id = vms.moving_to)
        returning id`.execute(db);
      if (rows.length > 0) return true;
      // Its room elsewhere is gone: it stays, and whoever wants it away holds room anew.
      await sql`
        update vms set moving_to = null, leased_for = null
        where id = ${vmId} and lease_owner = ${lease}
          and not exists (select from reservations where id = vms.moving_to)`.execute(db);
      return false;
    }),
});

async function beginMove(
  tx: Database,
  { vmId, from, target, reservationId, detail }: Parameters<DrainStore['beginMove']>[0],
): Promise<boolean> {
  // A step that is under way does not know of the move: without `leased_for` the VM is looked at
  // again as soon as that step is saved.
  const { rows } = await sql`
    update vms set moving_to = ${reservationId}, due_at = clock_timestamp(), tries = 0,
      leased_for = null, updated_at = clock_timestamp()
    where id = ${vmId} and host_id = ${from} and moving_to is null and desired_state <> 'deleted'
      and exists (select from reservations where id = ${reservationId} and purpose = 'move')
      and exists (select from drains where host_id = ${from} and state = 'draining')
    returning id`.execute(tx);
  if (rows.length === 0) return false;
  await sql`
    update drain_moves set state = 'moving', target = ${jsonOf(target)}::jsonb,
      detail = ${detail}, summary = null
    where host_id = ${from} and vm_id = ${vmId}`.execute(tx);
  return true;
}
