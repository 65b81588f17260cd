/** VMs that run without a record, in the catalogue's double, and what people make of them. */
import type { AgentVm } from '../../model/agent-report.js';
import type { ReportNumber } from '../../model/report-order.js';
import { noSuchOrphan, recordedElsewhere, refuseUnadoptable } from '../../model/orphan-refusals.js';
import {
  ASSIGNMENT_BELIEVED_MAX,
  STRIKES,
  wantedOfOrphan,
  type Adoption,
  type Orphan,
  type OrphanStore,
  type StrangersNoted,
} from '../../model/stores/orphans.js';
import type { Vm } from '../../model/vm.js';
import { refuseNegative } from './amounts.js';
import { dateOf } from './facts.js';
import { orphansOn, settleRoom } from './host-room.js';
import { newVm } from './record.js';
import { heardAt, isNewest, renew } from './reports.js';
import type { VmRow } from './rows.js';
import { kept, wholeNumber } from './stored-json.js';
import { answered, pairKey, type Tables } from './tables.js';
import { hostsInService, orphanOf, vmOf, vmRows } from './views.js';
import { insertAllocation, insertVm, markLeaving, updateVm } from './writing.js';
import { UNLEASED } from './work.js';

export const orphansOf = (tables: Tables): OrphanStore => ({
  noteStrangers: (hostId, report, vms, askedAt) =>
    answered(tables, () => note(tables, hostId, report, vms, heardAt(tables, askedAt))),

  orphans: () =>
    answered(tables, () =>
      hostsInService(tables)
        .flatMap(({ id }) => orphansOn(tables, id))
        .filter(({ strikes }) => strikes >= STRIKES)
        .map((row) => orphanOf(tables, row)),
    ),

  missingVms: () =>
    answered(tables, () =>
      vmRows(
        tables,
        [...tables.vms.rows()].filter(isMissing).map(({ id }) => id),
      ).flatMap(({ id, name, hostId, missingSince, missingStrikes: strikes }) => {
        const host = hostId === null ? undefined : tables.hosts.get(hostId);
        if (host === undefined || missingSince === null) return [];
        const since = dateOf(missingSince);
        return [{ vm: { id, name }, host: { id: host.id, name: host.name }, since, strikes }];
      }),
    ),

  adoptOrphan: (adoption, by) =>
    answered(tables, () => adopt(tables, adoption), { by, action: 'orphan.adopt' }),

  dismissOrphan: (hostId, vmId, by) =>
    answered(tables, () => dismiss(tables, hostId, vmId), { by, action: 'orphan.destroy' }),

  forgetOrphan: (hostId, vmId) =>
    answered(tables, () => {
      tables.orphans.delete(pairKey(hostId, vmId));
      return settleRoom(tables, hostId);
    }),

  renewAssignment: (lease, vmId, above) =>
    answered(tables, () => {
      const row = tables.vms.get(vmId);
      if (row?.leaseOwner !== lease) return false;
      const present = tables.allocationOfVm(vmId)?.assignment ?? Infinity;
      if (above > present && above <= ASSIGNMENT_BELIEVED_MAX) renew(tables, vmId, above);
      updateVm(tables, row, { dueAt: tables.now(), tries: 0, ...UNLEASED });
      return true;
    }),
});

const isMissing = ({ missingStrikes, deletedAt }: VmRow): boolean =>
  missingStrikes >= STRIKES && deletedAt === null;

/**
 * A VM that was recorded on the host, or anywhere, and has changed since the report was asked for,
 * may just have been removed there: this report says nothing of it, either way.
 */
function note(
  tables: Tables,
  hostId: string,
  report: ReportNumber,
  vms: readonly AgentVm[],
  heard: number,
): StrangersNoted {
  const isHere = (id: string) => tables.vms.get(id)?.hostId === hostId;
  // Its host is told by the fence to have it no more.
  const isFenced = ({ id, assignment }: AgentVm) =>
    (tables.fencedVms.get(pairKey(hostId, id))?.assignment ?? -1) >= assignment;
  const strangers = vms.filter((vm) => !isHere(vm.id) && !isFenced(vm));
  const known = orphansOn(tables, hostId);
  const isConcerned = strangers.length > 0 || known.length > 0;
  if (!isConcerned || !isNewest(tables, hostId, report)) return { host: null, leaving: [] };
  const unsure = new Set<string>();
  const named = new Set<string>();
  for (const stranger of strangers) {
    const isUnsure = (tables.vms.get(stranger.id)?.updatedAt ?? -Infinity) > heard;
    if (isUnsure) unsure.add(stranger.id);
    else if (named.has(stranger.id)) throw new Error(`the row of ${stranger.id} is written twice`);
    else noteStranger(tables, hostId, stranger);
    named.add(stranger.id);
  }
  for (const { vmId } of known) {
    if (!named.has(vmId)) tables.orphans.delete(pairKey(hostId, vmId));
  }
  const leaving = orphansOn(tables, hostId)
    .filter((orphan) => orphan.leaving && !unsure.has(orphan.vmId))
    .map(({ vmId, assignment }) => ({ vmId, assignment }));
  return { host: settleRoom(tables, hostId), leaving };
}

function noteStranger(tables: Tables, hostId: string, said: AgentVm): void {
  const key = pairKey(hostId, said.id);
  const known = tables.orphans.get(key);
  const now = tables.now();
  refuseNegative(said.resources, `VM ${said.id} on host ${hostId}`);
  tables.orphans.put(key, {
    hostId,
    vmId: said.id,
    firstSeenAt: known?.firstSeenAt ?? now,
    lastSeenAt: now,
    strikes: known === undefined ? 1 : Math.min(known.strikes + 1, STRIKES),
    assignment: wholeNumber(said.assignment),
    state: said.state,
    resources: kept(said.resources),
    leaving: known?.leaving ?? false,
  });
}

const ADOPTED = kept({ code: 'adopted', detail: 'It ran on its host before it was recorded.' });

function adopt(tables: Tables, { hostId, vmId, name, path, bookingId }: Adoption): Vm {
  const { epoch, highWater } = tables.agreement;
  // A rebuild begins: the ledger as it is does not know of the booking.
  tables.agreement = { epoch: epoch + 1, incarnation: null, highWater };
  const row = tables.orphans.get(pairKey(hostId, vmId));
  if (row === undefined || row.strikes < STRIKES) throw noSuchOrphan(hostId, vmId);
  const orphan = orphanOf(tables, row);
  refuseUnadoptable(orphan);
  const other = tables.vms.get(vmId);
  if (other?.deletedAt === null) throw recordedElsewhere(orphan);
  // One that was deleted long ago, by its record: the one that runs takes its place.
  tables.vms.delete(vmId);
  const { resources, assignment, state } = row;
  const spec = { id: vmId, name, path, resources, image: null, users: [], constraints: {} };
  const onHostLoss = 'keep' as const;
  const now = tables.now();
  const asked = { spec: { ...spec, onHostLoss }, requestHash: '', strategy: null };
  const desiredState = wantedOfOrphan(state);
  // It has run: whatever goes wrong from here on, it is not given up and removed.
  const besides = { desiredState, hostId, hasRun: true, dueAt: now, reason: ADOPTED };
  const vm = insertVm(tables, newVm(tables, asked, now, besides));
  insertAllocation(tables, {
    ...{ bookingId, vmId, reservationId: null, hostId, path, resources, groups: [] },
    assignment: tables.nextAssignmentAbove(assignment),
  });
  tables.orphans.delete(pairKey(hostId, vmId));
  settleRoom(tables, hostId);
  return vmOf(tables, vm);
}

/** Only who really runs it counts: one that is recorded there by now stays. */
function dismiss(tables: Tables, hostId: string, vmId: string): Orphan | null {
  const key = pairKey(hostId, vmId);
  const row = tables.orphans.get(key);
  if (row === undefined) return null;
  const isRecordedHere = tables.vms.get(vmId)?.hostId === hostId;
  if (row.strikes >= STRIKES && !isRecordedHere) markLeaving(tables, row);
  const after = tables.orphans.get(key);
  return after?.leaving === true ? orphanOf(tables, after) : null;
}
