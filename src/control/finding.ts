/** What a step of a VM's lifecycle found, and how findings are said. */
import { invariant } from '../model/errors.js';
import type { AgentContact, Progress, ReleaseResult, WorkItem } from '../model/ports.js';
import type { Attempt, Reason, Vm, VmState } from '../model/vm.js';
import { fullJitterMs } from '../std/backoff.js';
import type { Ports } from './ports.js';

export type Finding =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'release'; readonly result: ReleaseResult }
  /** Its host obeys only assignments above this one, which is newer than what is recorded. */
  | { readonly kind: 'renew'; readonly above: number };

/** Pause before an agent is asked again how something goes on. */
export const ASK_AGAIN_MS = 150;

/** Pauses after a failed try, with full jitter. */
const RETRY = { baseMs: 500, maxMs: 15_000 };

export const progress = (
  state: VmState,
  rest: Omit<Progress, 'state' | 'reason'> & { readonly reason?: Reason | null },
): Finding => ({ kind: 'progress', progress: { reason: null, ...rest, state } });

/** To be tried again after a pause that grows with the tries. */
export const again = (
  { random }: Pick<Ports, 'random'>,
  { tries }: WorkItem,
  state: VmState,
  reason: Reason | null,
): Finding =>
  progress(state, {
    reason,
    nextInMs: fullJitterMs(tries, RETRY, random()) + ASK_AGAIN_MS,
    failedTry: true,
  });

/** Where the agent of a VM is, and what it must be shown to obey. */
export function addressOf({ vm, contact }: WorkItem): [AgentContact, string, number] {
  invariant(contact !== null && vm.allocation !== null, `VM ${vm.id} has work but no host`);
  return [contact, vm.id, vm.allocation.assignment];
}

const hasUprooted = ({ outcome }: Attempt): boolean => outcome === 'moved' || outcome === 'fenced';

/** Tries of the present placing: those on the way to a host that it was taken from are history. */
function attemptsSinceMove({ attempts }: Pick<Vm, 'attempts'>): readonly Attempt[] {
  return attempts.slice(attempts.findLastIndex(hasUprooted) + 1);
}

/** How long a host that has refused an uprooted VM is passed over: longer each time it does. */
const PASSED_OVER = { firstMs: 15_000, maxMs: 30 * 60_000 };

/**
 * Whether a drain or a fence has taken it away from where it was, and it has not run since. It is not given up
 * for want of a host: it would be where it was, had nobody moved it.
 */
export const isUprooted = ({ attempts, hasRun }: Pick<Vm, 'attempts' | 'hasRun'>): boolean =>
  !hasRun && attempts.some(hasUprooted);

/** Hosts that have refused the VM, or could not make it: not to be asked again, or not yet. */
export function refusersOf(
  vm: Pick<Vm, 'attempts' | 'hasRun'>,
  { clock }: Pick<Ports, 'clock'>,
): readonly string[] {
  const refusals = new Map<string, { readonly times: number; readonly last: number }>();
  for (const { host, outcome, at } of attemptsSinceMove(vm)) {
    if (outcome !== 'refused' && outcome !== 'failed') continue;
    refusals.set(host.id, { times: (refusals.get(host.id)?.times ?? 0) + 1, last: at.getTime() });
  }
  const hosts = [...refusals];
  if (!isUprooted(vm)) return hosts.map(([id]) => id);
  return hosts
    .filter(([, { times, last }]) => {
      const restMs = Math.min(PASSED_OVER.firstMs * 2 ** (times - 1), PASSED_OVER.maxMs);
      return clock.now() < last + restMs;
    })
    .map(([id]) => id);
}
