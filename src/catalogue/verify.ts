/**
 * The catalogue's books for `verify`, and what is wrong within them: one transaction that sees one
 * instant, so that nothing which is under way can look like a fault. Repairs are verify-repair.ts.
 */
import { sql } from 'kysely';
import type { FindingFacts, VerifyFinding } from '../model/verify.js';
import type { CarryingHost, CatalogueBooks, VerifyStore } from '../model/stores/verify.js';
import { agreementIn, allocationsIn } from './agreement.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';
import { areAmounts, faultOfHost, faultOfVm as faultOfVmRow } from './sound.js';
import { GROUP_FAULTS, repairsOf } from './verify-repair.js';

/** How long a reservation may outlive its time: the loop that ends it may be a little late. */
const OVERDUE_GRACE_S = 60;

export const verifyOf = (db: Database): VerifyStore => ({
  inspectBooks: () =>
    answered(() => db.transaction().setIsolationLevel('repeatable read').execute(inspect)),
  ...repairsOf(db),
});

async function inspect(tx: Database): Promise<CatalogueBooks> {
  const agreement = await agreementIn(tx);
  const { rows } = await sql<CarryingHost>`
    select id, name, state, mode, allocated from hosts order by seq`.execute(tx);
  const hosts = rows.map((row) => (areAmounts(row.allocated) ? row : { ...row, allocated: {} }));
  const allocations = await allocationsIn(tx);
  const { rows: pending } = await sql<{ booking_id: string }>`
    select booking_id from pending_releases`.execute(tx);
  const faults = [
    ...(await faultsOfVms(tx)),
    ...(await faultsOfReservations(tx)),
    ...(await faultsOfGroups(tx)),
    ...(await faultsOfSequence(tx)),
    ...(await faultsOfHostRows(tx)),
    ...(await faultsOfVmRows(tx)),
  ];
  const pendingReleases = new Set(pending.map((row) => row.booking_id));
  return { agreement, hosts, allocations, pendingReleases, faults };
}

interface NamedRow {
  readonly id: string;
  readonly name: string;
}

function setAside(kind: 'host' | 'vm', { id, name }: NamedRow, fault: string | null) {
  const subject = { kind, id, name };
  return fault === null ? [] : [{ code: 'row_set_aside' as const, subject, detail: fault }];
}

async function faultsOfHostRows(tx: Database): Promise<readonly VerifyFinding[]> {
  const { rows } = await sql<NamedRow & Parameters<typeof faultOfHost>[0]>`
    select id, name, labels, overrides, used, orphaned, allocated, inventory
    from hosts where mode <> 'retired' order by seq`.execute(tx);
  return rows.flatMap((row) => setAside('host', row, faultOfHost(row)));
}

/** VMs that are looked at in one go: there are many, and each has much to say. */
const VMS_AT_ONCE = 5_000;

async function faultsOfVmRows(tx: Database): Promise<readonly VerifyFinding[]> {
  const findings: VerifyFinding[] = [];
  for (let after = 0; ;) {
    const { rows } = await sql<
      NamedRow & { readonly seq: number } & Parameters<typeof faultOfVmRow>[0]
    >`
      select id, name, seq, resources, constraints, path, attempts, violations, reason
      from vms where state <> 'deleted' and seq > ${after}
      order by seq limit ${VMS_AT_ONCE}`.execute(tx);
    findings.push(...rows.flatMap((row) => setAside('vm', row, faultOfVmRow(row))));
    const last = rows.at(-1);
    if (rows.length < VMS_AT_ONCE || last === undefined) return findings;
    after = last.seq;
  }
}

interface VmRow {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly host_id: string | null;
  readonly booking_id: string | null;
  readonly booked_on: string | null;
}

async function faultsOfVms(tx: Database): Promise<readonly VerifyFinding[]> {
  const { rows } = await sql<VmRow>`
    select vms.id, vms.name, vms.state, vms.host_id, a.booking_id, a.host_id as booked_on
    from vms left join allocations a on a.vm_id = vms.id
    where (a.booking_id is null and (vms.host_id is not null or vms.state in (
            'creating', 'running', 'stopping', 'stopped', 'starting', 'deleting')))
      or (a.booking_id is not null and (vms.state in ('waiting', 'failed', 'deleted')
            or vms.host_id is distinct from a.host_id))
    order by vms.seq`.execute(tx);
  return rows.map(faultOfVm);
}

function faultOfVm({ id, name, state, host_id, booking_id, booked_on }: VmRow): VerifyFinding {
  const subject = { kind: 'vm', id, name } as const;
  if (booking_id === null || booked_on === null) {
    return {
      code: 'vm_without_booking',
      subject,
      detail: `The VM is ${state} and holds no room anywhere.`,
      ...(host_id === null ? {} : { expected: { host: host_id } }),
    };
  }
  if (['waiting', 'failed', 'deleted'].includes(state)) {
    return {
      code: 'booking_of_gone_vm',
      subject,
      detail: `The VM is ${state} and still holds room.`,
      found: { booking: booking_id, host: booked_on },
    };
  }
  return {
    code: 'booking_elsewhere',
    subject,
    detail: 'The VM is recorded on one host and holds room on another.',
    expected: { host: host_id ?? 'none' },
    found: { host: booked_on },
  };
}

interface ReservationRow {
  readonly id: string;
  readonly name: string;
  readonly until: Date | null;
  readonly booking_id: string | null;
}

async function faultsOfReservations(tx: Database): Promise<readonly VerifyFinding[]> {
  const { rows } = await sql<ReservationRow>`
    select r.id, r.name, r.until, a.booking_id
    from reservations r left join allocations a on a.reservation_id = r.id
    where a.booking_id is null
      or r.until < clock_timestamp() - ${OVERDUE_GRACE_S} * interval '1 second'
    order by r.seq`.execute(tx);
  return rows.map(({ id, name, until, booking_id }) => {
    const subject = { kind: 'reservation', id, name } as const;
    if (booking_id === null || until === null) {
      return {
        code: 'reservation_without_booking',
        subject,
        detail: 'The reservation holds no room.',
      };
    }
    return {
      code: 'reservation_overdue',
      subject,
      detail: `It should have ended at ${until.toISOString()} and still holds room.`,
    };
  });
}

interface GroupRow {
  readonly key: string;
  readonly holder: string | null;
  readonly is_vm: boolean;
  readonly host: string | null;
  readonly policy: string | null;
  readonly noted_host: string | null;
  readonly noted_policy: string | null;
}

async function faultsOfGroups(tx: Database): Promise<readonly VerifyFinding[]> {
  const { rows } = await sql<GroupRow>`
    select f.*, coalesce(a.vm_id, a.reservation_id) as holder, a.vm_id is not null as is_vm
    from (${GROUP_FAULTS}) f left join allocations a on a.booking_id = f.booking_id
    order by f.key, f.booking_id`.execute(tx);
  return rows.map((row) => ({
    code: 'group_members',
    subject: { kind: row.is_vm ? 'vm' : 'reservation', id: row.holder ?? '' },
    detail: `Its part in the group ${row.key} is not noted as its booking says.`,
    expected: partIn(row.key, row.host, row.policy),
    found: partIn(row.key, row.noted_host, row.noted_policy),
  }));
}

const partIn = (group: string, host: string | null, policy: string | null): FindingFacts => ({
  group,
  host: host ?? 'none',
  policy: policy ?? 'none',
});

async function faultsOfSequence(tx: Database): Promise<readonly VerifyFinding[]> {
  const { rows } = await sql<{ highest: number; last: number }>`
    select max(a.assignment) as highest, s.last_value as last
    from allocations a, assignments s
    group by s.last_value having max(a.assignment) > s.last_value`.execute(tx);
  return rows.map(({ highest, last }) => ({
    code: 'assignment_ahead',
    subject: { kind: 'sequence', id: 'assignments' },
    detail: 'An assignment was given that the sequence has not reached: it would be given again.',
    expected: { atLeast: highest },
    found: { last },
  }));
}
