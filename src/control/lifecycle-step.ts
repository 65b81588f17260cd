/**
 * One step of a VM towards what is wanted of it: which call its agent gets, and what the answer
 * means. Writes nothing; the lifecycle loop saves what is found here.
 */
import type { AgentVm } from '../model/agent-report.js';
import { DomainError, hasCode } from '../model/errors.js';
import type { WorkItem } from '../model/ports.js';
import { ASSIGNMENT_BELIEVED_MAX } from '../model/stores/orphans.js';
import type { Attempt, Reason, Vm, VmState } from '../model/vm.js';
import { nextStep, type Step } from '../model/vm-lifecycle.js';
import {
  addressOf,
  again,
  ASK_AGAIN_MS,
  isUprooted,
  progress,
  refusersOf,
  type Finding,
} from './finding.js';
import { evict, rebook, stoppedForMove } from './move-step.js';
import type { Ports } from './ports.js';
import type { Scheduler } from './scheduler.js';

export interface StepContext {
  readonly ports: Ports;
  readonly scheduler: Scheduler;
  /** Hosts that a VM is tried on before it has failed. */
  readonly attemptsMax: number;
}

/** Carries out the next step of a VM. Expected failures of agent and ledger are findings. */
export async function carryOut(context: StepContext, item: WorkItem): Promise<Finding> {
  const step = nextStep(item.vm);
  try {
    return await STEPS[step](context, item);
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return afterFailure(context, item, step, error);
  }
}

type CarryOut = (context: StepContext, item: WorkItem) => Promise<Finding>;

const STEPS: Readonly<Record<Step, CarryOut>> = {
  none: (_context, { vm }) => Promise.resolve(resting(vm)),
  observe: (_context, { vm }) => Promise.resolve(resting(vm)),
  place: placeAgain,
  create,
  start: async ({ ports }, item) =>
    fromPowerCall(item, await ports.agents.startVm(...addressOf(item))),
  stop: async ({ ports }, item) => {
    const seen = await ports.agents.stopVm(...addressOf(item));
    return item.vm.movingTo === null ? fromPowerCall(item, seen) : stoppedForMove(seen);
  },
  remove,
  evict,
  rebook,
};

async function placeAgain(context: StepContext, item: WorkItem): Promise<Finding> {
  const { ports, scheduler } = context;
  const { vm } = item;
  const avoid = refusersOf(vm, ports);
  const result = await scheduler.submit({
    kind: 'again',
    spec: vm,
    strategy: vm.strategy,
    requestHash: '',
    avoid,
    by: null,
  });
  switch (result.kind) {
    case 'placed':
      ports.log.info('vm placed again', { vmId: vm.id, hostId: result.vm.host?.id });
      return progress('placed', { nextInMs: 0 });
    case 'nowhere': {
      const detail =
        avoid.length === 0
          ? 'No host can take this VM.'
          : `No other host can take this VM; ${avoid.length.toString()} refused it.`;
      const code = 'no_feasible_host';
      if (isUprooted(vm)) {
        return again(ports, item, 'placed', { code, detail: `${detail} It is tried again.` });
      }
      // What it lacked is more than that there is no place: somebody can bring it.
      return hasNoImage(vm.reason)
        ? released('failed', { ...vm.reason, detail: `${detail} ${vm.reason.detail}` })
        : released('failed', { code, detail });
    }
    case 'taken':
    case 'gone':
      // An earlier booking of it is still on its way out.
      return again(context.ports, item, 'placed', vm.reason);
  }
}

const hasNoImage = (reason: Reason | null): reason is Reason => reason?.code === 'image_missing';

async function create(context: StepContext, item: WorkItem): Promise<Finding> {
  const { vm } = item;
  const [contact, vmId, assignment] = addressOf(item);
  const { ports } = context;
  const refused = vm.state === 'creating' && isRefusal(vm.reason) ? vm.reason : null;
  if (refused !== null && !vm.hasRun) return leaveRefuser(context, item, refused);
  let seen: AgentVm;
  try {
    seen = await ports.agents.ensureVm(contact, {
      vmId,
      name: vm.name,
      assignment,
      resources: vm.resources,
      image: vm.image,
      users: vm.users,
      overrides: item.overrides,
    });
  } catch (error) {
    // What has run holds its disk there, and may be running: it is not placed elsewhere.
    if (vm.hasRun) throw error;
    // Written down before the host is told to forget it: whoever dies between must not take what the
    // host says then for a create that has failed.
    if (error instanceof DomainError && isRefusal(error)) {
      const reason = { code: error.code, detail: error.message };
      return progress('creating', { reason, nextInMs: 0 });
    }
    // Removed under this assignment, by us after it had failed there; or a newer one is known.
    if (hasCode(error, 'stale_assignment')) return giveUp(context, item, vm.reason);
    // Refused for what the order says: the next one would say the same.
    if (isHopeless(error)) {
      return giveUp(context, item, { code: error.code, detail: error.message });
    }
    throw error;
  }
  ports.checkpoint('create:agent-answered');
  if (seen.state !== 'failed' || vm.hasRun) return fromAgent(vm, seen);
  return giveUp(context, item, seen.reason);
}

/** The host cannot have it, but another may. */
const REFUSALS: readonly string[] = ['claim_refused', 'image_missing'];

const isRefusal = <T extends { readonly code: string }>(what: T | null): what is T =>
  what !== null && REFUSALS.includes(what.code);

const isHopeless = (error: unknown): error is DomainError =>
  hasCode(error, 'disk_too_small') ||
  (hasCode(error, 'agent_refused') && error.extra.agentCode === 'invalid_request');

/**
 * A host that has refused a VM is told not to have it before the VM goes elsewhere: the same order
 * may be on its way once more, and must not find room when it comes.
 */
async function leaveRefuser(
  { ports, attemptsMax }: StepContext,
  item: WorkItem,
  reason: Reason,
): Promise<Finding> {
  const { vm } = item;
  const gone = await ports.agents.removeVm(...addressOf(item)).catch((error: unknown) => {
    if (error instanceof DomainError) return false;
    throw error;
  });
  if (!gone || vm.host === null) return again(ports, item, 'creating', reason);
  const isLast = refusersOf(vm, ports).length + 1 >= attemptsMax && !isUprooted(vm);
  return triedElsewhere(isLast ? 'failed' : 'placed', reason, vm.host, 'refused', ports);
}

/** It never ran, so nothing on the host would be missed; but it must be gone before its booking. */
async function giveUp(
  { ports }: StepContext,
  item: WorkItem,
  reason: Reason | null,
): Promise<Finding> {
  const why = reason ?? { code: 'create_failed', detail: 'The host could not create it.' };
  const gone = await ports.agents.removeVm(...addressOf(item));
  if (!gone) return progress('creating', { reason: why, nextInMs: ASK_AGAIN_MS });
  const { vm } = item;
  if (!isUprooted(vm) || vm.host === null) return released('failed', why);
  return triedElsewhere('placed', why, vm.host, 'failed', ports);
}

const triedElsewhere = (
  state: 'placed' | 'failed',
  reason: Reason,
  host: Attempt['host'],
  outcome: 'refused' | 'failed',
  { clock }: Ports,
): Finding => ({
  kind: 'release',
  result: {
    state,
    reason,
    attempt: { host, at: new Date(clock.now()), outcome, detail: reason.detail },
  },
});

async function remove({ ports }: StepContext, item: WorkItem): Promise<Finding> {
  if (item.contact === null) return released('deleted', null);
  const gone = await ports.agents.removeVm(...addressOf(item));
  if (!gone) return progress('deleting', { nextInMs: ASK_AGAIN_MS });
  ports.checkpoint('delete:agent-answered');
  return released('deleted', null);
}

function fromPowerCall({ vm }: WorkItem, seen: AgentVm | null): Finding {
  if (seen !== null) return fromAgent(vm, seen);
  return progress('unknown', {
    reason: { code: 'missing_on_host', detail: 'The host says that it has no such VM.' },
    nextInMs: null,
  });
}

/** What the agent's view of a VM means for it. */
function fromAgent(vm: Vm, seen: AgentVm): Finding {
  switch (seen.state) {
    case 'creating':
    case 'starting':
    case 'stopping':
      return progress(seen.state, { nextInMs: ASK_AGAIN_MS });
    case 'running':
      return progress('running', {
        hasRun: true,
        nextInMs: vm.desiredState === 'running' ? null : 0,
      });
    case 'stopped':
      return progress('stopped', { nextInMs: vm.desiredState === 'stopped' ? null : 0 });
    case 'failed':
      // It has run and keeps its disk and its booking: an operator may start it again.
      return progress('stopped', {
        reason: seen.reason ?? { code: 'start_failed', detail: 'The host could not start it.' },
        desiredState: 'stopped',
        nextInMs: null,
      });
  }
}

function afterFailure(
  context: StepContext,
  item: WorkItem,
  step: Step,
  error: DomainError,
): Finding {
  const { vm } = item;
  const reason: Reason = { code: error.code, detail: error.message };
  const newest = error.code === 'stale_assignment' ? error.extra.newest : undefined;
  const known = vm.allocation?.assignment ?? Infinity;
  const isBehind =
    typeof newest === 'number' && newest > known && newest <= ASSIGNMENT_BELIEVED_MAX;
  // Refused twice: a catalogue that was restored is behind what the host was told before.
  if (isBehind && item.tries > 0) return { kind: 'renew', above: newest };
  // No answer is not a failure, and a refusal may come from a stranger at the host's old address:
  // whatever was asked may have happened, so the booking stays.
  return again(context.ports, item, WHILE_UNSURE[step] ?? vm.state, reason);
}

/** State to show while nobody knows whether the step has happened. */
const WHILE_UNSURE: Readonly<Partial<Record<Step, VmState>>> = {
  create: 'creating',
  start: 'starting',
  stop: 'stopping',
  remove: 'deleting',
};

const resting = (vm: Vm): Finding => progress(vm.state, { reason: vm.reason, nextInMs: null });

const released = (state: 'failed' | 'deleted', reason: Reason | null): Finding => ({
  kind: 'release',
  result: { state, reason },
});
