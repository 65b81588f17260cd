/** The lifecycle's work: which VMs are due, who has them, and what was found. */
import { sql } from 'kysely';
import type { Catalogue, ReleaseResult, WorkItem } from '../model/ports.js';
import type { Vm } from '../model/vm.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';
import { jsonOf, jsonOrNull } from './json.js';
import { vmOf, type VmRow } from './rows.js';
import { faultOfVm, type OnSetAside } from './sound.js';
import { selectVms, type HostContactRow } from './vms.js';

type Work = Pick<Catalogue, 'takeWork' | 'saveProgress' | 'releaseVm'>;

/** How long a VM that cannot be worked with is left alone: somebody may mend it. */
const SET_ASIDE_MS = 10 * 60_000;

export const workOf = (db: Database, onSetAside: OnSetAside): Work => ({
  takeWork: (lease, limit, leaseMs, busy = []) =>
    answered(() => takeWork(db, { lease, limit, leaseMs, busy, onSetAside })),
  saveProgress: (found) => answered(() => saveProgress(db, found)),
  releaseVm: (lease, vmId, result) =>
    answered(() => db.transaction().execute((tx) => releaseVm(tx, lease, vmId, result))),
});

interface Taking {
  readonly lease: string;
  readonly limit: number;
  readonly leaseMs: number;
  readonly busy: readonly string[];
  readonly onSetAside: OnSetAside;
}

async function takeWork(
  db: Database,
  { lease, limit, leaseMs, busy, onSetAside }: Taking,
): Promise<readonly WorkItem[]> {
  const { rows: taken } = await sql<{ id: string; tries: number }>`
    with due as (
      select vms.id from vms left join hosts on hosts.id = vms.host_id
      where vms.due_at <= clock_timestamp()
        and (vms.lease_until is null or vms.lease_until < clock_timestamp())
        and (hosts.id is null or (hosts.state <> 'down' and hosts.id <> all(${[...busy]}::text[])))
      order by vms.due_at limit ${limit}
      for no key update of vms skip locked
    )
    update vms set
      lease_owner = ${lease},
      lease_until = clock_timestamp() + ${leaseMs} * interval '1 millisecond',
      leased_for = vms.desired_state
    from due where vms.id = due.id
    returning vms.id, vms.tries`.execute(db);
  if (taken.length === 0) return [];
  // Asked separately: the statement above may have taken a VM that was placed after it had begun,
  // and then it would not see the VM's booking.
  const tries = new Map(taken.map((row) => [row.id, row.tries]));
  const all = await selectVms(db, sql`vms.id = any(${[...tries.keys()]})`);
  const rows = await withoutUnsound(db, lease, all, onSetAside);
  return rows.map((row) => workItemOf(row, vmOf(row), lease, tries.get(row.id) ?? 0));
}

/** A VM that was taken. */
export const workItemOf = (
  host: HostContactRow & Pick<VmRow, 'host_id'>,
  vm: Vm,
  lease: string,
  tries: number,
): WorkItem => ({
  lease,
  vm,
  contact:
    host.host_id === null || host.address === null || host.credential === null
      ? null
      : {
          hostId: host.host_id,
          address: host.address,
          ip: host.ip,
          credential: host.credential,
          ...(host.boot_id === null ? {} : { bootId: host.boot_id }),
        },
  overrides: host.overrides ?? {},
  tries,
});

/** A removal needs nothing of what may be wrong with a row. */
async function withoutUnsound<Row extends VmRow>(
  db: Database,
  lease: string,
  rows: readonly Row[],
  onSetAside: OnSetAside,
): Promise<readonly Row[]> {
  const unsound = rows.filter((row) => row.desired_state !== 'deleted' && faultOfVm(row) !== null);
  if (unsound.length === 0) return rows;
  for (const row of unsound) onSetAside('vm', row.id, faultOfVm(row) ?? '');
  await sql`
    update vms set
      due_at = clock_timestamp() + ${SET_ASIDE_MS} * interval '1 millisecond',
      lease_owner = null, lease_until = null, leased_for = null
    where id = any(${unsound.map(({ id }) => id)}) and lease_owner = ${lease}`.execute(db);
  return rows.filter((row) => !unsound.includes(row));
}

async function saveProgress(
  db: Database,
  found: Parameters<Catalogue['saveProgress']>[0],
): Promise<ReadonlySet<string>> {
  const values = found.map(({ vmId, lease, progress }) => ({
    id: vmId,
    lease,
    state: progress.state,
    reason: progress.reason,
    has_run: progress.hasRun === true,
    failed_try: progress.failedTry === true,
    postponed: progress.postponed === true,
    desired_state: progress.desiredState ?? null,
    next_in_ms: progress.nextInMs,
  }));
  const { rows } = await sql<{ id: string }>`
    select save_progress(${jsonOf(values)}::json) as id`.execute(db);
  return new Set(rows.map(({ id }) => id));
}

async function releaseVm(
  tx: Database,
  lease: string,
  vmId: string,
  { state, reason, attempt, movesOn = false }: ReleaseResult,
): Promise<Vm | null> {
  // Hosts before VMs, as record_bookings does: otherwise each could wait for the other.
  await sql`
    select from hosts where id = (select host_id from vms where id = ${vmId})
    for no key update`.execute(tx);
  const { rows } = await sql`
    select from vms where id = ${vmId} and lease_owner = ${lease} for update`.execute(tx);
  if (rows.length === 0) return null;
  await sql`
    with gone as (
      delete from allocations where vm_id = ${vmId} returning booking_id, vm_id, host_id, resources
    ), given_back as (
      update hosts set allocated = amounts_add(allocated, gone.resources, -1)
      from gone where hosts.id = gone.host_id
    )
    insert into pending_releases (booking_id, vm_id, host_id)
    select booking_id, vm_id, host_id from gone`.execute(tx);
  await sql`
    update vms set
      state = ${state},
      reason = ${jsonOrNull(reason)}::jsonb,
      host_id = null,
      moving_to = case when ${movesOn} then moving_to end,
      wait_until = null,
      attempts = attempts || ${jsonOf(attempt === undefined ? [] : [attempt])}::jsonb,
      tries = 0,
      due_at = case
        when ${state} = 'deleted' then null
        when ${state} = 'placed' or desired_state is distinct from leased_for
          then clock_timestamp() end,
      deleted_at = case when ${state} = 'deleted' then clock_timestamp() end,
      lease_owner = null, lease_until = null, leased_for = null,
      updated_at = clock_timestamp()
    where id = ${vmId}`.execute(tx);
  return vmWith(tx, vmId);
}

async function vmWith(db: Database, id: string): Promise<Vm | null> {
  const [row] = await selectVms(db, sql`vms.id = ${id}`);
  return row === undefined ? null : vmOf(row);
}
