/**
 * The steps of a cold move: the VM is stopped, its host lets it go, it is booked where room is held
 * for it. From there on it is made anew from its image, like a VM that was just created.
 *
 * Each step may be done again from its beginning: a stop and a removal are asked again, and a
 * booking is recorded once. What decides is always the VM's row: `leaveHost` is the point from which
 * it can only go on, the release of its old booking is the proof that its old host has it no more.
 */
import type { AgentVm } from '../model/agent-report.js';
import type { WorkItem } from '../model/ports.js';
import { addressOf, again, ASK_AGAIN_MS, progress, refusersOf, type Finding } from './finding.js';
import type { Ports } from './ports.js';
import { giveBack } from './reservations.js';
import { freedBy } from './reserved-room.js';
import type { Scheduler } from './scheduler.js';

interface MoveContext {
  readonly ports: Ports;
  readonly scheduler: Scheduler;
}

/** What the answer to a stop means for a VM that moves; what is wanted of it stays as it is. */
export function stoppedForMove(seen: AgentVm | null): Finding {
  switch (seen?.state) {
    case 'creating':
    case 'starting':
    case 'running':
    case 'stopping':
      return progress(seen.state, { nextInMs: ASK_AGAIN_MS });
    // A host that has no such VM has nothing to stop; what failed is as good as stopped.
    case undefined:
    case 'stopped':
    case 'failed':
      return progress('stopped', { nextInMs: 0 });
  }
}

export async function evict({ ports }: MoveContext, item: WorkItem): Promise<Finding> {
  const { vm, lease } = item;
  if (vm.hasRun && !(await ports.catalogue.leaveHost(lease, vm.id))) {
    return progress(vm.state, { reason: vm.reason, nextInMs: 0 });
  }
  const gone = await ports.agents.removeVm(...addressOf(item));
  if (!gone) return progress(vm.state, { reason: vm.reason, nextInMs: ASK_AGAIN_MS });
  ports.checkpoint('move:evicted');
  return {
    kind: 'release',
    result: {
      state: 'placed',
      reason: null,
      movesOn: true,
      ...(vm.host === null
        ? {}
        : {
            attempt: {
              host: vm.host,
              at: new Date(ports.clock.now()),
              outcome: 'moved',
              detail: 'taken away from here; it is made anew elsewhere',
            },
          }),
    },
  };
}

export async function rebook(context: MoveContext, item: WorkItem): Promise<Finding> {
  const { ports, scheduler } = context;
  const { vm } = item;
  const reservation = vm.movingTo === null ? null : await ports.catalogue.reservation(vm.movingTo);
  const result = await scheduler.submit({
    kind: 'move',
    spec:
      reservation === null
        ? vm
        : { ...vm, constraints: { ...vm.constraints, host: reservation.host.id } },
    strategy: vm.strategy,
    requestHash: '',
    avoid: refusersOf(vm, ports),
    by: null,
    frees: reservation === null ? [] : [freedBy(reservation)],
  });
  if (result.kind === 'placed') {
    ports.checkpoint('move:rebooked');
    ports.log.info('vm moved', { vmId: vm.id, hostId: result.vm.host?.id });
    return progress('placed', { nextInMs: 0 });
  }
  // The host that had room takes nothing any more: then any other will do. The VM is nowhere and
  // was running, so it is tried until there is room.
  if (result.kind === 'nowhere' && reservation !== null) {
    await giveBack(ports, reservation.id, null);
    return progress('placed', { nextInMs: 0 });
  }
  const reason =
    result.kind === 'nowhere'
      ? { code: 'no_feasible_host', detail: 'No host can take this VM now; it is tried again.' }
      : vm.reason;
  return again(ports, item, 'placed', reason);
}
