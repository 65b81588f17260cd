/** Retirement: a host is taken out for good. Its row stays, for whoever asks what became of it. */
import { sql } from 'kysely';
import { DomainError } from '../model/errors.js';
import type { LedgerBooking } from '../model/ports.js';
import type { DrainStore } from '../model/stores/drains.js';
import { withActor } from './actor.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';
import { hostIdOf, selectHosts } from './hosts.js';
import { jsonOf } from './json.js';

export const retireOf = (db: Database): Pick<DrainStore, 'retireHost'> => ({
  retireHost: (idOrName, force, by) =>
    answered(() =>
      withActor(db, by, 'host.retire', (tx) => retireHost(tx, idOrName, force?.reason ?? null)),
    ),
});

async function retireHost(
  tx: Database,
  idOrName: string,
  reason: string | null,
): ReturnType<DrainStore['retireHost']> {
  const { rows } = await sql<{ id: string; mode: string }>`
    select id, mode from hosts
    where id = ${hostIdOf(idOrName)} for no key update`.execute(tx);
  const [found] = rows;
  if (found === undefined) return null;
  let released: readonly LedgerBooking[] = [];
  if (found.mode !== 'retired') {
    // Asked when the row is ours: nothing can be booked on the host from here on.
    const left = await countOn(tx, found.id);
    if (left.vms + left.reservations > 0 && reason === null) throw notEmpty(left);
    released = await empty(tx, found.id, reason ?? '');
    await close(tx, found.id, reason);
  }
  const [host] = await selectHosts(tx, sql`hosts.id = ${found.id}`);
  if (host === undefined) throw new Error('a host vanished while it was retired');
  return { host, released };
}

interface Left {
  readonly vms: number;
  readonly reservations: number;
}

async function countOn(tx: Database, hostId: string): Promise<Left> {
  const { rows } = await sql<Left>`
    select (select count(*) from vms where host_id = ${hostId}) as vms,
      (select count(*) from reservations where host_id = ${hostId}) as reservations`.execute(tx);
  return rows[0] ?? { vms: 0, reservations: 0 };
}

const notEmpty = ({ vms, reservations }: Left): DomainError =>
  new DomainError(
    'host_not_empty',
    'VMs or reservations are booked on this host: drain it first, or retire it with force and a reason.',
    { extra: { vms, reservations } },
  );

/** Erases every booking of the host; what was to run there has failed, what was to go is gone. */
async function empty(
  tx: Database,
  hostId: string,
  reason: string,
): Promise<readonly LedgerBooking[]> {
  const failure = { code: 'host_retired', detail: `Its host was retired: ${reason}` };
  const { rows } = await sql<LedgerBooking>`
    with gone as (
      delete from allocations where host_id = ${hostId}
      returning booking_id, coalesce(vm_id, reservation_id) as vm_id, host_id
    )
    insert into pending_releases (booking_id, vm_id, host_id)
    select booking_id, vm_id, host_id from gone
    returning booking_id as "bookingId", vm_id as "vmId", host_id as "hostId"`.execute(tx);
  await sql`delete from reservations where host_id = ${hostId}`.execute(tx);
  await sql`
    with lost as (
      select id from vms where host_id = ${hostId} order by id for no key update
    )
    update vms set
      state = case when desired_state = 'deleted' then 'deleted' else 'failed' end,
      reason = case when desired_state = 'deleted' then null else ${jsonOf(failure)}::jsonb end,
      deleted_at = case when desired_state = 'deleted' then clock_timestamp() end,
      host_id = null, moving_to = null, tries = 0, due_at = null,
      lease_owner = null, lease_until = null, leased_for = null, updated_at = clock_timestamp()
    from lost where vms.id = lost.id`.execute(tx);
  return rows;
}

async function close(tx: Database, hostId: string, reason: string | null): Promise<void> {
  await sql`
    update hosts set mode = 'retired', mode_reason = ${reason}, mode_owner = null,
      mode_until = null, token_hash = null, credential = '', allocated = '{}', orphaned = '{}',
      revision = revision + 1
    where id = ${hostId}`.execute(tx);
  // Nobody asks its agent any more.
  await sql`delete from orphans where host_id = ${hostId}`.execute(tx);
  await sql`delete from fenced_vms where host_id = ${hostId}`.execute(tx);
  await sql`
    update drains set state = 'done', ended_at = clock_timestamp()
    where host_id = ${hostId} and state = 'draining'`.execute(tx);
  await sql`
    update drain_moves set state = 'cancelled', detail = 'The host was retired.', target = null
    where host_id = ${hostId} and state in ('planned', 'blocked', 'moving')
      and not exists (select from vms where vms.id = drain_moves.vm_id
                      and vms.moving_to is not null)`.execute(tx);
}
