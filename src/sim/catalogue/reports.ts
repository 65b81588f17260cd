/**
 * What hosts report of their VMs, taken over by the catalogue's double. The table that this follows
 * stands in the catalogue's own reports.ts.
 */
import type { AgentVm } from '../../model/agent-report.js';
import type { Catalogue, VmsReport } from '../../model/ports.js';
import type { ReportNumber } from '../../model/report-order.js';
import {
  ASSIGNMENT_BELIEVED_MAX,
  STRIKES,
  type OnMissing,
  type ReportReading,
} from '../../model/stores/orphans.js';
import type { Reason } from '../../model/vm.js';
import { isHeldNow } from './fleet-watch.js';
import type { AllocationRow, VmRow } from './rows.js';
import { isSame, kept, wholeNumber } from './stored-json.js';
import { answered, type Tables } from './tables.js';
import { vmRows } from './views.js';
import { updateVm } from './writing.js';

type Reports = Pick<Catalogue, 'reportVms' | 'reportsWithNews' | 'loseVms'>;

export const reportsOf = (tables: Tables): Reports => ({
  reportVms: (hostId, report, vms, reading = PLAIN_READING) =>
    answered(tables, () => takeOver(tables, hostId, report, vms, reading)),

  reportsWithNews: (reports) =>
    answered(
      tables,
      () => new Set(reports.filter((one) => hasNews(tables, one)).map(({ hostId }) => hostId)),
    ),

  loseVms: (hostId) =>
    answered(tables, () => {
      // It may have answered somebody else meanwhile.
      if (isHeldNow(tables) || tables.hosts.get(hostId)?.state !== 'down') return 0;
      const lost = vmRows(tables, tables.vmsOfHost.of(hostId)).filter(
        ({ state }) => state !== 'unknown' && state !== 'failed' && state !== 'deleted',
      );
      for (const row of lost) {
        const updatedAt = tables.now();
        updateVm(tables, row, { state: 'unknown', reason: HOST_DOWN, updatedAt });
      }
      return lost.length;
    }),
});

const PLAIN_READING: ReportReading = { onMissing: 'mark', askedAt: null };

const HOST_DOWN = kept({ code: 'host_down', detail: 'Its host does not answer.' });
const MISSING = kept({ code: 'missing_on_host', detail: 'Its host does not report it.' });
const RECREATED = kept({
  code: 'missing_on_host',
  detail: 'Its host had it no more; it is made anew there.',
});
const OUTDATED = kept({
  code: 'stale_assignment',
  detail: 'Its host knows a newer assignment of it; it is given one above that.',
});
const UNTOLD = kept({
  code: 'stale_assignment',
  detail: 'Its host knows an older assignment of it only; it is asked for under its own.',
});

/** Up to when what is recorded was there before the report was made. */
export const heardAt = (tables: Tables, askedAt: Date | null): number =>
  askedAt === null ? tables.now() - tables.graceMs : askedAt.getTime();

/** Whether this report is the last that was saved of its host. */
export function isNewest(tables: Tables, hostId: string, report: ReportNumber): boolean {
  const host = tables.hosts.get(hostId);
  return host?.bootId === report.bootId && host.report === report.report;
}

/** By the same signs as the catalogue's own (migration 0019), which are fewer than what follows from them. */
function hasNews(tables: Tables, { hostId, askedAt, vms, ...report }: VmsReport): boolean {
  for (const { assignment } of vms) wholeNumber(assignment);
  if (!isNewest(tables, hostId, report)) return false;
  if (tables.orphansOfHost.of(hostId).size > 0) return true;
  const recorded = vmRows(tables, tables.vmsOfHost.of(hostId));
  const known = new Map(recorded.map((row) => [row.id, row]));
  if (vms.some(({ id }) => !known.has(id))) return true;
  const heard = heardAt(tables, askedAt);
  const named = new Set(vms.map(({ id }) => id));
  return (
    vms.some((said) => {
      const row = known.get(said.id);
      return row !== undefined && isFree(tables, row) && !isKnown(tables, row, said);
    }) ||
    recorded.some(
      (row) =>
        isFree(tables, row) &&
        (isMadeDue(row, tables.now()) ||
          row.outdatedStrikes > 0 ||
          (named.has(row.id)
            ? row.missingStrikes > 0
            : !tables.watch.isOpen && mayBeMissed(row, heard))),
    )
  );
}

/** Neither worked on nor on its way elsewhere: then the lifecycle knows it better than a report. */
const isFree = (tables: Tables, { leaseUntil, movingTo }: VmRow): boolean =>
  movingTo === null && (leaseUntil === null || leaseUntil < tables.now());

function isKnown(tables: Tables, row: VmRow, said: VmsReport['vms'][number]): boolean {
  const { state, desiredState, hasRun } = row;
  if (said.assignment !== tables.allocationOfVm(row.id)?.assignment) return false;
  if (!hasRun && said.state === 'running') return false;
  if (desiredState === 'deleted') return true;
  if (said.state === 'failed') return !hasRun || (state !== 'running' && state !== 'unknown');
  return said.state === state;
}

function takeOver(
  tables: Tables,
  hostId: string,
  report: ReportNumber,
  vms: readonly AgentVm[],
  { onMissing, askedAt }: ReportReading,
): number {
  for (const { assignment } of vms) wholeNumber(assignment);
  if (!isNewest(tables, hostId, report)) return 0;
  const now = tables.now();
  const heard = heardAt(tables, askedAt);
  const mayMiss = !tables.watch.isOpen;
  const said = new Map(vms.map((vm) => [vm.id, vm]));
  let changed = 0;
  for (const row of vmRows(tables, tables.vmsOfHost.of(hostId))) {
    if (!isFree(tables, row) || row.state === 'failed') continue;
    const judged = judge(row, tables.allocationOfVm(row.id), said.get(row.id), heard, mayMiss);
    if (apply(tables, row, judged, onMissing, now)) changed += 1;
  }
  return changed;
}

/** What is said of a VM, and how often in a row it spoke against the records. */
interface Judged {
  readonly said: AgentVm | undefined;
  /** Its state, when it is said of the present assignment. */
  readonly state: AgentVm['state'] | null;
  readonly strikes: number;
  readonly outdated: number;
  readonly isLost: boolean;
  readonly isOutdated: boolean;
  /** Nobody knows how it is, for its host knows an older assignment only. */
  readonly isUntold: boolean;
}

/** Whether it speaks against the records that a report does not name it. */
const mayBeMissed = ({ state, desiredState, hasRun, updatedAt }: VmRow, heard: number): boolean =>
  hasRun &&
  desiredState !== 'deleted' &&
  state !== 'placed' &&
  state !== 'creating' &&
  updatedAt <= heard;

function judge(
  row: VmRow,
  allocation: AllocationRow | undefined,
  said: AgentVm | undefined,
  heard: number,
  mayMiss: boolean,
): Judged {
  const isAbsent = mayMiss && said === undefined && mayBeMissed(row, heard);
  const isBehind =
    said !== undefined &&
    allocation !== undefined &&
    said.assignment > allocation.assignment &&
    said.assignment <= ASSIGNMENT_BELIEVED_MAX;
  const isUntold =
    said !== undefined &&
    allocation !== undefined &&
    said.assignment < allocation.assignment &&
    row.state === 'unknown' &&
    row.hasRun &&
    row.updatedAt <= heard;
  const absences = isAbsent ? row.missingStrikes + 1 : row.missingStrikes;
  const outdated = isBehind ? row.outdatedStrikes + 1 : 0;
  return {
    said,
    state: said !== undefined && said.assignment === allocation?.assignment ? said.state : null,
    strikes: said !== undefined ? 0 : isAbsent ? Math.min(absences, STRIKES) : row.missingStrikes,
    outdated,
    isLost: isAbsent && absences >= STRIKES,
    isOutdated: isBehind && outdated >= STRIKES,
    isUntold,
  };
}

type Seen = Pick<VmRow, 'state' | 'reason' | 'hasRun'>;

/** What that makes of a VM that is not to be deleted. */
function seenOf(row: VmRow, judged: Judged, isRecreated: boolean): Pick<Seen, 'state' | 'reason'> {
  const { state, reason } = row;
  if (judged.isOutdated) return { state: 'placed', reason: OUTDATED };
  if (isRecreated) return { state: 'placed', reason: RECREATED };
  if (judged.isLost) return { state: 'unknown', reason: MISSING };
  if (judged.isUntold) return { state: 'placed', reason: UNTOLD };
  const saidReason: Reason | null = kept(judged.said?.reason ?? null);
  if (judged.state === 'failed') {
    // It keeps its disk and its booking. One on its way: the lifecycle asks the agent itself.
    const hasStopped = row.hasRun && (state === 'running' || state === 'unknown');
    return hasStopped ? { state: 'stopped', reason: saidReason } : { state, reason };
  }
  if (judged.state === null || judged.state === state) return { state, reason };
  return { state: judged.state, reason: saidReason };
}

function newsOf(row: VmRow, judged: Judged, isRecreated: boolean): Seen {
  const { state, reason } = row.desiredState === 'deleted' ? row : seenOf(row, judged, isRecreated);
  if (judged.isOutdated) return { state, reason, hasRun: true };
  if (isRecreated) return { state, reason, hasRun: false };
  return { state, reason, hasRun: row.hasRun || judged.state === 'running' };
}

/** Whether the lifecycle could move it, now that its host answers: as vm-lifecycle.ts has it. */
const mayMove = ({ state, hasRun }: Seen, desiredState: VmRow['desiredState']): boolean =>
  desiredState === 'deleted' ||
  (state !== desiredState && state !== 'deleting' && (state !== 'unknown' || !hasRun));

/** Whether it is looked at sooner, now that its host answers. */
const isMadeDue = (row: VmRow, now: number): boolean =>
  mayMove(row, row.desiredState) && (row.dueAt === null || row.dueAt > now);

/** @returns whether that is a change */
function apply(
  tables: Tables,
  row: VmRow,
  judged: Judged,
  onMissing: OnMissing,
  now: number,
): boolean {
  const isRecreated = judged.isLost && onMissing === 'recreate';
  const isRenewed = judged.isOutdated || isRecreated;
  const news = newsOf(row, judged, isRecreated);
  const isDueLater = row.dueAt === null || row.dueAt > now;
  const isMoved = mayMove(news, row.desiredState);
  const isOther = news.state !== row.state || !isSame(news.reason, row.reason);
  const isChange = isOther || news.hasRun !== row.hasRun || isRenewed || (isMoved && isDueLater);
  const strikes = isRenewed ? 0 : judged.strikes;
  const outdated = isRenewed ? 0 : judged.outdated;
  const isCount = strikes !== row.missingStrikes || outdated !== row.outdatedStrikes;
  if (!isChange && !isCount) return false;
  if (isRenewed) renew(tables, row.id, judged.said?.assignment ?? 0);
  updateVm(tables, row, {
    ...news,
    missingStrikes: strikes,
    missingSince: strikes > 0 ? (row.missingSince ?? now) : null,
    outdatedStrikes: outdated,
    tries: isRenewed ? 0 : row.tries,
    dueAt: isMoved ? Math.min(row.dueAt ?? now, now) : null,
    updatedAt: isOther ? now : row.updatedAt,
  });
  return isChange;
}

/** Gives the booking of a VM an assignment above one that its agent knows. */
export function renew(tables: Tables, vmId: string, above: number): void {
  const allocation = tables.allocationOfVm(vmId);
  if (allocation === undefined) return;
  const assignment = tables.nextAssignmentAbove(above);
  tables.allocations.put(allocation.bookingId, { ...allocation, assignment });
}
