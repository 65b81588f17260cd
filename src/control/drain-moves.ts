/** What has become of the moves of a drain, read off the VMs themselves. Pure. */
import type { Drain, DrainMove } from '../model/drain.js';
import type { Host } from '../model/host.js';
import type { Vm, VmState } from '../model/vm.js';

/** A VM in these states is still being brought to what is wanted of it at its new host. */
const SETTLING: readonly VmState[] = ['placed', 'creating', 'starting', 'stopping'];

/** How a VM is said to be on a host that does not answer. */
export const HOST_SILENT =
  'the host does not answer: its VMs stay booked until they are proven gone, or it is retired by force';

/**
 * Every move as it is now, and one for each VM that has none yet.
 * @param vms those on the host, and those of the moves that are elsewhere
 */
export function judgeMoves(
  drain: Drain,
  host: Pick<Host, 'id' | 'state'>,
  vms: ReadonlyMap<string, Vm>,
): readonly DrainMove[] {
  const active = drain.state === 'draining';
  const known = new Set(drain.moves.map(({ vm }) => vm.id));
  const judged = drain.moves.map((move) => judge(move, vms.get(move.vm.id) ?? null, host, active));
  if (!active) return judged;
  const strangers = [...vms.values()].filter((vm) => !known.has(vm.id) && staysOn(vm, host.id));
  return [...judged, ...strangers.map((vm) => judge(moveOf(vm), vm, host, active))];
}

const staysOn = (vm: Vm, hostId: string): boolean =>
  vm.host?.id === hostId && vm.desiredState !== 'deleted';

const moveOf = ({ id, name }: Vm): DrainMove => ({
  vm: { id, name },
  state: 'planned',
  planned: null,
  target: null,
  detail: null,
  summary: null,
});

function judge(
  move: DrainMove,
  vm: Vm | null,
  host: Pick<Host, 'id' | 'state'>,
  active: boolean,
): DrainMove {
  if (vm === null || vm.desiredState === 'deleted') {
    if (move.state === 'cancelled' || move.state === 'moved') return move;
    return { ...move, state: 'moved', target: null, detail: 'it was deleted', summary: null };
  }
  if (vm.host?.id === host.id) return judgeHere(move, vm, host, active);
  return judgeAway(move, vm);
}

function judgeHere(
  move: DrainMove,
  vm: Vm,
  host: Pick<Host, 'id' | 'state'>,
  active: boolean,
): DrainMove {
  const silent = host.state === 'down';
  if (vm.movingTo !== null) {
    const detail = move.detail === HOST_SILENT ? null : move.detail;
    return silent
      ? { ...move, state: 'blocked', detail: HOST_SILENT }
      : { ...move, state: 'moving', detail, summary: null };
  }
  if (!active) return move.state === 'moving' ? { ...move, state: 'cancelled' } : move;
  if (silent)
    return { ...move, state: 'blocked', target: null, detail: HOST_SILENT, summary: null };
  // It stays after all, because its room elsewhere was gone; or it has come back.
  if (move.state !== 'moving' && move.state !== 'moved') return move;
  return { ...move, state: 'planned', target: null, detail: null };
}

function judgeAway(move: DrainMove, vm: Vm): DrainMove {
  if (vm.movingTo !== null) return { ...move, state: 'moving' };
  if (SETTLING.includes(vm.state)) return { ...move, state: 'moving', target: vm.host };
  if (move.state === 'moved' || move.state === 'cancelled') return move;
  const elsewhere =
    move.planned !== null && move.planned.id !== vm.host?.id && move.detail === null
      ? `not to ${move.planned.name} as planned: see the attempts of the VM`
      : move.detail;
  const detail =
    vm.state === 'failed' ? `it has failed: ${vm.reason?.detail ?? 'no reason known'}` : elsewhere;
  return { ...move, state: 'moved', target: vm.host, detail, summary: null };
}

/** Those of `after` that differ from what is kept. */
export function changedMoves(
  before: readonly DrainMove[],
  after: readonly DrainMove[],
): readonly DrainMove[] {
  const kept = new Map(before.map((move) => [move.vm.id, JSON.stringify(plainly(move))]));
  return after.filter((move) => kept.get(move.vm.id) !== JSON.stringify(plainly(move)));
}

const plainly = ({ state, target, detail }: DrainMove) => [state, target?.id ?? null, detail];
