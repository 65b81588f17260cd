/** Drains in the catalogue's double: their plans, the moves of VMs, and how they end. */
import type { Drain, DrainMove } from '../../model/drain.js';
import { DomainError } from '../../model/errors.js';
import type { DrainStore } from '../../model/stores/drains.js';
import { dateOf, dateOrNull } from './facts.js';
import type { DrainRow, HostRow, MoveRow } from './rows.js';
import { kept } from './stored-json.js';
import { answered, pairKey, type Tables } from './tables.js';
import { byText, vmOf, vmRows } from './views.js';
import { updateHost, updateVm } from './writing.js';

export const drainsOf = (tables: Tables): Omit<DrainStore, 'retireHost'> => ({
  startDrain: (hostId, plan, by) =>
    answered(tables, () => start(tables, hostId, plan), { by, action: 'host.drain' }),

  drain: (hostId) => answered(tables, () => drainOf(tables, hostId)),

  cancelDrain: (hostId, by) =>
    answered(
      tables,
      () => cancel(tables, hostId),
      by === null ? null : { by, action: 'host.drain' },
    ),

  openDrains: () =>
    answered(tables, () =>
      [...tables.drains.rows()]
        .filter(({ hostId, state }) => state === 'draining' || isUnderWay(tables, hostId))
        .sort((a, b) => a.startedAt - b.startedAt || byText(a.hostId, b.hostId))
        .flatMap(({ hostId, triedAtSeq }) => {
          const drain = drainOf(tables, hostId);
          return drain === null ? [] : [{ drain, triedAtSeq }];
        }),
    ),

  saveMoves: (hostId, moves) => answered(tables, () => upsertMoves(tables, hostId, moves)),

  noteTried: (hostId, seq) =>
    answered(tables, () => {
      const row = tables.drains.get(hostId);
      if (row !== undefined) tables.drains.put(hostId, { ...row, triedAtSeq: seq });
    }),

  finishDrain: (hostId) =>
    answered(tables, () => {
      const row = tables.drains.get(hostId);
      if (row?.state !== 'draining' || tables.vmsOfHost.of(hostId).size > 0) return false;
      tables.drains.put(hostId, { ...row, state: 'done', endedAt: tables.now() });
      return true;
    }),

  vmsOn: (hostId) =>
    answered(tables, () =>
      vmRows(tables, tables.vmsOfHost.of(hostId)).map((row) => vmOf(tables, row)),
    ),

  beginMove: (move) => answered(tables, () => beginMove(tables, move)),

  leaveHost: (lease, vmId) => answered(tables, () => leaveHost(tables, lease, vmId)),
});

/** Moves of a host's last drain, in the order in which they are done. */
export const movesOn = (tables: Tables, hostId: string): MoveRow[] =>
  [...tables.movesOfHost.of(hostId)]
    .flatMap((vmId) => tables.moves.get(pairKey(hostId, vmId)) ?? [])
    .sort((left, right) => left.position - right.position);

export function putMove(tables: Tables, move: MoveRow): void {
  tables.moves.put(pairKey(move.hostId, move.vm.id), move);
}

const isUnderWay = (tables: Tables, hostId: string): boolean =>
  movesOn(tables, hostId).some(({ state }) => state === 'moving');

function drainOf(tables: Tables, hostId: string): Drain | null {
  const row = tables.drains.get(hostId);
  const host = tables.hosts.get(hostId);
  if (row === undefined || host === undefined) return null;
  return {
    host: { id: host.id, name: host.name },
    state: row.state,
    reason: row.reason,
    owner: row.owner,
    startedAt: dateOf(row.startedAt),
    endedAt: dateOrNull(row.endedAt),
    moves: movesOn(tables, hostId).map(({ vm, state, planned, target, detail, summary }) => ({
      ...{ vm, state, planned, target, detail, summary },
    })),
  };
}

function presentDrain(tables: Tables, hostId: string): Drain {
  const drain = drainOf(tables, hostId);
  if (drain === null) throw new Error('a drain vanished while it was written');
  return drain;
}

type Plan = Parameters<DrainStore['startDrain']>[1];

function start(tables: Tables, hostId: string, { reason, owner, moves }: Plan): Drain {
  const host = tables.hosts.get(hostId);
  if (host === undefined || host.mode === 'retired') {
    throw new DomainError('state_conflict', 'The host is retired: there is nothing to drain.');
  }
  const earlier = tables.drains.get(hostId);
  if (earlier?.state !== 'draining' || host.mode !== 'draining') {
    tables.drains.put(hostId, {
      hostId,
      state: 'draining',
      reason,
      owner,
      before: beforeOf(host, earlier),
      triedAtSeq: null,
      startedAt: tables.now(),
      endedAt: null,
    });
    const closed = { mode: 'draining', modeReason: reason, modeOwner: owner } as const;
    updateHost(tables, host, { ...closed, modeUntil: null, revision: host.revision + 1 });
    // Of an earlier drain only what is still on its way is of interest.
    for (const { vm, state } of movesOn(tables, hostId)) {
      if (state !== 'moving') tables.moves.delete(pairKey(hostId, vm.id));
    }
    upsertMoves(tables, hostId, moves);
  }
  return presentDrain(tables, hostId);
}

/** What a cancel goes back to; of a host that is drained again before it was opened, the first. */
function beforeOf(host: HostRow, earlier: DrainRow | undefined): DrainRow['before'] {
  const { mode, modeReason: reason, modeOwner: owner, modeUntil: until } = host;
  if (mode !== 'draining') return { mode, reason, owner, until };
  return earlier?.before ?? { mode: 'enabled', reason: null, owner: null, until: null };
}

function cancel(
  tables: Tables,
  hostId: string,
): { readonly drain: Drain; readonly reservations: readonly string[] } | null {
  const row = tables.drains.get(hostId);
  const host = tables.hosts.get(hostId);
  if (row === undefined || host === undefined) return null;
  if (host.mode === 'draining') {
    const { mode, reason: modeReason, owner: modeOwner, until: modeUntil } = row.before;
    const revision = host.revision + 1;
    updateHost(tables, host, { mode, modeReason, modeOwner, modeUntil, revision });
  }
  if (row.state !== 'cancelled') {
    tables.drains.put(hostId, { ...row, state: 'cancelled', endedAt: tables.now() });
  }
  // What was let go already holds no data here any more: it goes on (see leaveHost).
  const staying = vmRows(tables, tables.vmsOfHost.of(hostId))
    .filter(({ movingTo, hasRun }) => movingTo !== null && hasRun)
    .sort((left, right) => byText(left.id, right.id));
  for (const vm of staying) {
    updateVm(tables, vm, { movingTo: null, dueAt: tables.now(), tries: 0, leasedFor: null });
  }
  const stays = new Set(staying.map(({ id }) => id));
  for (const move of movesOn(tables, hostId)) {
    const isOpen = move.state === 'planned' || move.state === 'blocked';
    if (!isOpen && !stays.has(move.vm.id)) continue;
    putMove(tables, { ...move, state: 'cancelled', target: null, detail: null, summary: null });
  }
  return {
    drain: presentDrain(tables, hostId),
    reservations: staying.flatMap(({ movingTo }) => movingTo ?? []),
  };
}

/** New moves come last, in the order in which they are given. */
function upsertMoves(tables: Tables, hostId: string, moves: readonly DrainMove[]): void {
  if (moves.length > 0 && !tables.drains.has(hostId)) {
    throw new Error(`violates a foreign key: host ${hostId} has no drain`);
  }
  const last = movesOn(tables, hostId).at(-1)?.position ?? 0;
  for (const [place, given] of moves.entries()) {
    const move = kept(given);
    const known = tables.moves.get(pairKey(hostId, move.vm.id));
    // Whoever looked before a cancel does not undo it.
    const isLate = known?.state === 'cancelled' && ['planned', 'blocked'].includes(move.state);
    if (isLate) continue;
    const { vm = move.vm, position = last + place + 1 } = known ?? {};
    putMove(tables, { ...move, vm, hostId, position });
  }
}

function beginMove(
  tables: Tables,
  { vmId, from, target, reservationId, detail }: Parameters<DrainStore['beginMove']>[0],
): boolean {
  const vm = tables.vms.get(vmId);
  const mayMove =
    vm?.hostId === from &&
    vm.movingTo === null &&
    vm.desiredState !== 'deleted' &&
    tables.reservations.get(reservationId)?.purpose === 'move' &&
    tables.drains.get(from)?.state === 'draining';
  if (!mayMove) return false;
  const now = tables.now();
  // A step that is under way does not know of the move: without `leasedFor` the VM is looked at
  // again as soon as that step is saved.
  const sent = { movingTo: reservationId, dueAt: now, tries: 0, leasedFor: null, updatedAt: now };
  updateVm(tables, vm, sent);
  const move = tables.moves.get(pairKey(from, vmId));
  if (move !== undefined) {
    putMove(tables, { ...move, state: 'moving', target: kept(target), detail, summary: null });
  }
  return true;
}

function leaveHost(tables: Tables, lease: string, vmId: string): boolean {
  const vm = tables.vms.get(vmId);
  if (vm?.leaseOwner !== lease) return false;
  const hasRoom = vm.movingTo !== null && tables.reservations.has(vm.movingTo);
  if (hasRoom && vm.hostId !== null) {
    updateVm(tables, vm, { hasRun: false, updatedAt: tables.now() });
    return true;
  }
  // Its room elsewhere is gone: it stays, and whoever wants it away holds room anew.
  if (!hasRoom) updateVm(tables, vm, { movingTo: null, leasedFor: null });
  return false;
}
