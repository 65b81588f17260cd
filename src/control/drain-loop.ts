/**
 * Empties hosts that are being drained: one VM after another is sent off, once room is held for it
 * elsewhere. What a move is doing is always read off the VM; the plan only says what is next. One
 * replica works a drain at a time; if two did, a VM would still be sent off once.
 */
import type { Drain, DrainMove } from '../model/drain.js';
import type { Constraints } from '../model/constraints.js';
import { DomainError } from '../model/errors.js';
import type { HostRef } from '../model/decision.js';
import type { Host } from '../model/host.js';
import type { OpenDrain } from '../model/stores/drains.js';
import type { Vm } from '../model/vm.js';
import { targetFor } from '../placement/plan-drain.js';
import type { Ranking } from '../placement/strategy.js';
import { changedMoves, judgeMoves } from './drain-moves.js';
import { Loop } from './loop.js';
import type { Ports } from './ports.js';
import { giveBack, holdRoom } from './reservations.js';
import type { Scheduler } from './scheduler.js';

const TICK_MS = 300;

/** Longer than a look takes; a drain whose replica died is taken up when it is over. */
const LEASE_MS = 5_000;

const leaseOf = (hostId: string): string => `drain:${hostId}`;

export interface DrainLoopOptions {
  readonly ports: Ports;
  readonly scheduler: Scheduler;
  readonly ranking: Ranking;
  readonly replicaId: string;
  /** Called when a VM has work to do. */
  readonly onVmsDue: () => void;
}

export class DrainLoop {
  readonly #options: DrainLoopOptions;
  readonly #loop: Loop;
  readonly #held = new Set<string>();

  constructor(options: DrainLoopOptions) {
    this.#options = options;
    this.#loop = new Loop({
      clock: options.ports.clock,
      tickMs: TICK_MS,
      look: async () => {
        await this.#look();
        return false;
      },
      onFailure: (error) => {
        options.ports.log.debug('drain loop comes back later', { error });
      },
    });
  }

  start(): void {
    this.#loop.start();
  }

  poke(): void {
    this.#loop.poke();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
    const { catalogue, log } = this.#options.ports;
    for (const name of this.#held) {
      await catalogue.releaseLease(name, this.#options.replicaId).catch((error: unknown) => {
        log.debug('the lease of a drain runs out by itself', { error });
      });
    }
  }

  async #look(): Promise<void> {
    const { catalogue, log } = this.#options.ports;
    for (const open of await catalogue.openDrains()) {
      const name = leaseOf(open.drain.host.id);
      if (!(await catalogue.acquireLease(name, this.#options.replicaId, LEASE_MS))) continue;
      this.#held.add(name);
      try {
        await advance(this.#options, open);
      } catch (error) {
        // One drain must not keep the others from going on.
        log.warn('a drain goes on at the next look', { hostId: open.drain.host.id, error });
      }
    }
  }
}

async function advance(options: DrainLoopOptions, open: OpenDrain): Promise<void> {
  const { catalogue, log } = options.ports;
  const { drain } = open;
  const hostId = drain.host.id;
  const host = await catalogue.host(hostId);
  if (host === null) return;
  if (drain.state === 'draining' && host.mode !== 'draining') {
    await endDrain(options, hostId);
    return;
  }
  const vms = await vmsOf(options.ports, drain);
  const moves = judgeMoves(drain, host, vms);
  await catalogue.saveMoves(hostId, changedMoves(drain.moves, moves));
  if (drain.state !== 'draining' || moves.some(({ state }) => state === 'moving')) return;
  if (await catalogue.finishDrain(hostId)) {
    log.info('host drained', { hostId, moves: moves.length });
    return;
  }
  if (host.state === 'up') await sendNext(options, host, open, moves, vms);
}

/** An operator has said otherwise meanwhile: what is still here stays. */
async function endDrain({ ports, onVmsDue }: DrainLoopOptions, hostId: string): Promise<void> {
  const cancelled = await ports.catalogue.cancelDrain(hostId, null);
  for (const id of cancelled?.reservations ?? []) await giveBack(ports, id, null);
  ports.log.info('drain cancelled: the host is no longer draining', { hostId });
  onVmsDue();
}

/** The VMs on the host, and those of its moves that are no longer there. */
async function vmsOf({ catalogue }: Ports, drain: Drain): Promise<ReadonlyMap<string, Vm>> {
  const vms = new Map((await catalogue.vmsOn(drain.host.id)).map((vm) => [vm.id, vm]));
  for (const { vm, state } of drain.moves) {
    if (vms.has(vm.id) || state === 'moved' || state === 'cancelled') continue;
    const away = await catalogue.vm(vm.id);
    if (away !== null) vms.set(away.id, away);
  }
  return vms;
}

/** Sends off the first VM that has a place; what is blocked is tried when the fleet has changed. */
async function sendNext(
  options: DrainLoopOptions,
  host: Host,
  { drain, triedAtSeq }: OpenDrain,
  moves: readonly DrainMove[],
  vms: ReadonlyMap<string, Vm>,
): Promise<void> {
  const { catalogue, ledger } = options.ports;
  const { seq } = await ledger.state();
  const again = seq !== triedAtSeq;
  const waiting = [
    ...moves.filter(({ state }) => state === 'planned'),
    ...moves.filter(({ state }) => again && state === 'blocked'),
  ];
  const blocked: DrainMove[] = [];
  let outcome: DrainMove | 'begun' | 'later' | null = null;
  for (const move of waiting) {
    const vm = vms.get(move.vm.id);
    if (vm === undefined) continue;
    outcome = await tryMove(options, host, vm, move).catch((error: unknown) =>
      setAside(options.ports, move, error),
    );
    if (outcome === 'begun' || outcome === 'later') break;
    blocked.push(outcome);
  }
  await catalogue.saveMoves(host.id, changedMoves(drain.moves, blocked));
  if (outcome !== 'begun' && outcome !== 'later' && again) await catalogue.noteTried(host.id, seq);
}

/** One VM that cannot be looked at must not keep the others on the host. */
function setAside({ log, telemetry }: Ports, move: DrainMove, error: unknown): DrainMove {
  if (error instanceof DomainError) throw error;
  log.error('a move is set aside', { vmId: move.vm.id, error });
  telemetry.count('berth_set_aside_total', { kind: 'move' });
  const detail = 'set aside: it cannot be moved; see the log';
  return { ...move, state: 'blocked', target: null, detail, summary: null };
}

/** @returns the move when it is blocked; `later` when the fleet changed while it was tried */
async function tryMove(
  { ports, scheduler, ranking, onVmsDue }: DrainLoopOptions,
  host: HostRef,
  vm: Vm,
  move: DrainMove,
): Promise<DrainMove | 'begun' | 'later'> {
  const { catalogue, ledger, log } = ports;
  const found = targetFor(await ledger.view(), host, vm, ranking, move.planned);
  if (found.kind === 'nowhere') {
    const { detail, summary } = found;
    return { ...move, state: 'blocked', target: null, detail, summary };
  }
  const held = await holdRoom(ports, scheduler, {
    spec: { ...vm, constraints: roomAt(vm.constraints, found.host.id) },
    purpose: 'move',
    endsInMs: null,
    by: null,
    avoid: [host.id],
  });
  if (held.kind === 'nowhere') return 'later';
  ports.checkpoint('move:held');
  const reservationId = held.reservation.id;
  const begun = await catalogue.beginMove({
    vmId: vm.id,
    from: host.id,
    target: { id: found.host.id, name: found.host.name },
    reservationId,
    detail: found.detail,
  });
  if (!begun) {
    await giveBack(ports, reservationId, null);
    return 'later';
  }
  ports.checkpoint('move:marked');
  log.info('vm moves', { vmId: vm.id, from: host.id, to: found.host.id, reservationId });
  onVmsDue();
  return 'begun';
}

/**
 * Room for the VM at this one host. Hard affinity was checked when the host was chosen, without the
 * VM itself; the ledger would count its old place as a member that it must join, so it is left out
 * here and checked again when the VM takes the room.
 */
const roomAt = ({ groups, ...constraints }: Constraints, hostId: string): Constraints => ({
  ...constraints,
  host: hostId,
  ...(groups === undefined ? {} : { groups: groups.filter(({ policy }) => policy !== 'affinity') }),
});
