/**
 * One step of a VM towards what is wanted of it: which call its agent gets, and what the answer
 * means. Writes nothing; the lifecycle loop saves what is found here.
 */
import type { AgentVm } from '../model/agent-report.js';
import { DomainError, hasCode, invariant } from '../model/errors.js';
import type { AgentContact, Progress, ReleaseResult, WorkItem } from '../model/ports.js';
import type { Reason, Vm, VmState } from '../model/vm.js';
import { nextStep, type Step } from '../model/vm-lifecycle.js';
import { fullJitterMs } from '../std/backoff.js';
import type { Ports } from './ports.js';
import type { Scheduler } from './scheduler.js';

export type Finding =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'release'; readonly result: ReleaseResult };

/** Pause before an agent is asked again how something goes on. */
const ASK_AGAIN_MS = 150;

/** Pauses after a failed try, with full jitter. */
const RETRY = { baseMs: 500, maxMs: 15_000 };

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
  stop: async ({ ports }, item) =>
    fromPowerCall(item, await ports.agents.stopVm(...addressOf(item))),
  remove,
};

async function placeAgain(context: StepContext, item: WorkItem): Promise<Finding> {
  const { ports, scheduler } = context;
  const { vm } = item;
  const avoid = vm.attempts
    .filter(({ outcome }) => outcome === 'refused')
    .map(({ host }) => host.id);
  const result = await scheduler.submit({ kind: 'again', spec: vm, requestHash: '', avoid });
  switch (result.kind) {
    case 'placed':
      ports.log.info('vm placed again', { vmId: vm.id, hostId: result.vm.host?.id });
      return progress('placed', { nextInMs: 0 });
    case 'nowhere':
      return released('failed', {
        code: 'no_feasible_host',
        detail:
          avoid.length === 0
            ? 'No host can take this VM.'
            : `No other host can take this VM; ${avoid.length.toString()} refused it.`,
      });
    case 'taken':
    case 'gone':
      // An earlier booking of it is still on its way out.
      return again(context, item, 'placed', vm.reason);
  }
}

async function create(context: StepContext, item: WorkItem): Promise<Finding> {
  const { vm } = item;
  const [contact, vmId, assignment] = addressOf(item);
  const { ports } = context;
  let seen: AgentVm;
  try {
    seen = await ports.agents.ensureVm(contact, {
      vmId,
      name: vm.name,
      assignment,
      resources: vm.resources,
      image: vm.image,
    });
  } catch (error) {
    if (vm.hasRun) throw error;
    // Removed under this assignment, by us after it had failed there; or a newer one is known.
    if (hasCode(error, 'stale_assignment')) return giveUp(context, item, vm.reason);
    // Refused for what the order says: the next one would say the same.
    if (hasCode(error, 'agent_refused') && error.extra.agentCode === 'invalid_request') {
      return giveUp(context, item, { code: error.code, detail: error.message });
    }
    throw error;
  }
  ports.checkpoint('create:agent-answered');
  if (seen.state !== 'failed' || vm.hasRun) return fromAgent(vm, seen);
  return giveUp(context, item, seen.reason);
}

/** It never ran, so nothing on the host would be missed; but it must be gone before its booking. */
async function giveUp(
  { ports }: StepContext,
  item: WorkItem,
  reason: Reason | null,
): Promise<Finding> {
  const why = reason ?? { code: 'create_failed', detail: 'The host could not create it.' };
  const gone = await ports.agents.removeVm(...addressOf(item));
  return gone
    ? released('failed', why)
    : progress('creating', { reason: why, nextInMs: ASK_AGAIN_MS });
}

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
  const { ports, attemptsMax } = context;
  const { vm } = item;
  const reason: Reason = { code: error.code, detail: error.message };
  if (hasCode(error, 'claim_refused') && vm.host !== null) {
    const attempt = {
      host: vm.host,
      at: new Date(ports.clock.now()),
      outcome: 'refused' as const,
      detail: error.message,
    };
    const refusals = vm.attempts.filter(({ outcome }) => outcome === 'refused').length + 1;
    return {
      kind: 'release',
      result: { state: refusals < attemptsMax ? 'placed' : 'failed', reason, attempt },
    };
  }
  // No answer is not a failure, and a refusal may come from a stranger at the host's old address:
  // whatever was asked may have happened, so the booking stays.
  return again(context, item, WHILE_UNSURE[step] ?? vm.state, reason);
}

/** To be tried again after a pause that grows with the tries. */
const again = (
  { ports }: StepContext,
  { tries }: WorkItem,
  state: VmState,
  reason: Reason | null,
): Finding =>
  progress(state, {
    reason,
    nextInMs: fullJitterMs(tries, RETRY, ports.random()) + ASK_AGAIN_MS,
    failedTry: true,
  });

/** State to show while nobody knows whether the step has happened. */
const WHILE_UNSURE: Readonly<Partial<Record<Step, VmState>>> = {
  create: 'creating',
  start: 'starting',
  stop: 'stopping',
  remove: 'deleting',
};

function addressOf({ vm, contact }: WorkItem): [AgentContact, string, number] {
  invariant(contact !== null && vm.allocation !== null, `VM ${vm.id} has work but no host`);
  return [contact, vm.id, vm.allocation.assignment];
}

const resting = (vm: Vm): Finding => progress(vm.state, { reason: vm.reason, nextInMs: null });

const released = (state: 'failed' | 'deleted', reason: Reason | null): Finding => ({
  kind: 'release',
  result: { state, reason },
});

const progress = (
  state: VmState,
  rest: Omit<Progress, 'state' | 'reason'> & { readonly reason?: Reason | null },
): Finding => ({ kind: 'progress', progress: { reason: null, ...rest, state } });
