/** Fences in the catalogue: what an operator's word that a host is off means for all that is there. */
import { sql, type RawBuilder } from 'kysely';
import type { Host } from '../model/host.js';
import type { LedgerBooking } from '../model/ports.js';
import {
  KEPT_BY_FENCE,
  refuseFence,
  RELEASED_BY_FENCE,
  type FencedVm,
  type FenceStore,
} from '../model/stores/fences.js';
import { withActor } from './actor.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';
import { hostIdOf, selectHosts } from './hosts.js';
import { jsonOf } from './json.js';

export const fencesOf = (db: Database): FenceStore => ({
  fenceHost: (idOrName, reason, by) =>
    answered(() =>
      withActor(db, by, 'host.fence', (tx) => fenceHost(tx, idOrName, reason, by.name)),
    ),

  fencedVms: (hostId) =>
    answered(async () => {
      const { rows } = await sql<FencedVm>`
        select vm_id as "vmId", assignment from fenced_vms
        where host_id = ${hostId} order by vm_id`.execute(db);
      return rows;
    }),

  forgetFencedVms: (hostId, vms) =>
    answered(async () => {
      const told = vms.map(({ vmId, assignment }) => ({ vm_id: vmId, assignment }));
      // By its number too: a later fence may have taken the same VM away once more.
      await sql`
        delete from fenced_vms f
        using jsonb_to_recordset(${jsonOf(told)}::jsonb) as t(vm_id text, assignment bigint)
        where f.host_id = ${hostId} and f.vm_id = t.vm_id and f.assignment = t.assignment`.execute(
        db,
      );
    }),

  liftFence: (hostId, at, by) =>
    answered(() =>
      withActor(db, by, 'host.unfence', async (tx) => {
        const { rows } = await sql`
          update hosts set fenced_at = null, fence_reason = null, fenced_by = null
          where id = ${hostId} and ${isAt(at)} and state = 'joining' and missed_polls = 0
            and mode <> 'retired'
            and not exists (select from fenced_vms where host_id = hosts.id)
          returning id`.execute(tx);
        return rows.length > 0;
      }),
    ),
});

/** The driver cuts times to the millisecond. */
const isAt = (at: Date): RawBuilder<boolean> =>
  sql`date_trunc('milliseconds', fenced_at) = ${at}::timestamptz`;

async function fenceHost(
  tx: Database,
  idOrName: string,
  reason: string,
  by: string,
): ReturnType<FenceStore['fenceHost']> {
  const { rows } = await sql<{ id: string }>`
    select id from hosts where id = ${hostIdOf(idOrName)} for no key update`.execute(tx);
  const [found] = rows;
  if (found === undefined) return null;
  const before = await hostWith(tx, found.id);
  refuseFence(before);
  if (before.fence !== null) return { host: before, released: [] };
  await sql`
    update hosts set fenced_at = clock_timestamp(), fence_reason = ${reason}, fenced_by = ${by},
      revision = revision + 1
    where id = ${found.id}`.execute(tx);
  const room = await giveBackMoves(tx, found.id);
  const released = await releaseVms(tx, found.id, before.name);
  await keepOthers(tx, found.id);
  return { host: await hostWith(tx, found.id), released: [...room, ...released] };
}

async function hostWith(tx: Database, hostId: string): Promise<Host> {
  const [host] = await selectHosts(tx, sql`hosts.id = ${hostId}`);
  if (host === undefined) throw new Error('a host vanished while it was fenced');
  return host;
}

/**
 * Ends what moves hold on the host. A VM that is where it was stays there, for whoever empties its
 * host holds room anew; one that was let go already is placed wherever there is room. Locks all VMs
 * that the fence is about, in one order.
 */
async function giveBackMoves(tx: Database, hostId: string): Promise<readonly LedgerBooking[]> {
  await sql`
    select from vms
    where host_id = ${hostId}
      or moving_to in (select id from reservations where host_id = ${hostId} and purpose = 'move')
    order by id for no key update`.execute(tx);
  await sql`
    update vms set moving_to = null, due_at = clock_timestamp(), tries = 0, leased_for = null
    where has_run and host_id is not null and moving_to in (
      select id from reservations where host_id = ${hostId} and purpose = 'move')`.execute(tx);
  const released = await erase(
    tx,
    hostId,
    sql`reservation_id in (
      select id from reservations where host_id = ${hostId} and purpose = 'move')`,
  );
  await sql`delete from reservations where host_id = ${hostId} and purpose = 'move'`.execute(tx);
  return released;
}

/** What leaves: it is to be deleted, may restart elsewhere, or its data was given up by a move. */
const LEAVES = sql<boolean>`(desired_state = 'deleted' or on_host_loss = 'restart'
  or (moving_to is not null and not has_run))`;

async function releaseVms(
  tx: Database,
  hostId: string,
  hostName: string,
): Promise<readonly LedgerBooking[]> {
  const leaving = sql`vm_id in (select id from vms where host_id = ${hostId} and ${LEAVES})`;
  await sql`
    insert into fenced_vms (host_id, vm_id, assignment)
    select host_id, vm_id, assignment from allocations where host_id = ${hostId} and ${leaving}
    on conflict (host_id, vm_id) do update set assignment = excluded.assignment`.execute(tx);
  const released = await erase(tx, hostId, leaving);
  await sql`
    update vms set
      state = case when desired_state = 'deleted' then 'deleted' else 'placed' end,
      reason = case when desired_state <> 'deleted' then ${jsonOf(RELEASED_BY_FENCE)}::jsonb end,
      attempts = attempts || case when desired_state = 'deleted' then '[]'::jsonb
        else jsonb_build_array(jsonb_build_object(
          'host', ${jsonOf({ id: hostId, name: hostName })}::jsonb, 'outcome', 'fenced',
          'at', shown_time(clock_timestamp()), 'detail', ${RELEASED_BY_FENCE.detail}::text)) end,
      deleted_at = case when desired_state = 'deleted' then clock_timestamp() end,
      due_at = case when desired_state <> 'deleted' then clock_timestamp() end,
      moving_to = case when desired_state <> 'deleted' then moving_to end,
      -- Wherever it is made anew, it holds no data yet.
      has_run = false, host_id = null, tries = 0, missing_strikes = 0, missing_since = null,
      outdated_strikes = 0, lease_owner = null, lease_until = null, leased_for = null,
      updated_at = clock_timestamp()
    where host_id = ${hostId} and ${LEAVES}`.execute(tx);
  return released;
}

/** Gives bookings back, and notes them for the ledger. */
async function erase(
  tx: Database,
  hostId: string,
  which: RawBuilder<unknown>,
): Promise<readonly LedgerBooking[]> {
  const { rows } = await sql<LedgerBooking>`
    with gone as (
      delete from allocations where host_id = ${hostId} and ${which}
      returning booking_id, coalesce(vm_id, reservation_id) as vm_id, host_id, resources
    ), sums as (
      select class, sum(amount::bigint) as amount
      from gone, jsonb_each_text(resources) as r(class, amount) group by class
    ), given_back as (
      update hosts set allocated = amounts_add(allocated, (
        select coalesce(jsonb_object_agg(class, amount), '{}') from sums), -1)
      where id = ${hostId}
    )
    insert into pending_releases (booking_id, vm_id, host_id)
    select booking_id, vm_id, host_id from gone
    returning booking_id as "bookingId", vm_id as "vmId", host_id as "hostId"`.execute(tx);
  return rows;
}

/** Nobody knows how they are, and nothing that was asked before may be written down any more. */
async function keepOthers(tx: Database, hostId: string): Promise<void> {
  await sql`
    update vms set state = 'unknown', reason = ${jsonOf(KEPT_BY_FENCE)}::jsonb,
      lease_owner = null, lease_until = null, leased_for = null, updated_at = clock_timestamp()
    where host_id = ${hostId}`.execute(tx);
}
