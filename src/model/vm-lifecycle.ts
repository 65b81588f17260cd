/**
 * What to do next for a VM, from what is wanted of it and what is seen. Pure and complete: a new
 * state does not compile until every cell is decided. The lifecycle loop carries the step out.
 */
import type { DesiredState, Vm, VmState } from './vm.js';

/**
 * - `none`: nothing is to be done.
 * - `place`: it has no host; choose one.
 * - `create`: ask the agent to have it and run it (also asks how a creation goes on).
 * - `start`, `stop`: ask the agent; asked again until done.
 * - `remove`: ask the agent to have it no more, then release what it books.
 * - `observe`: only a report of its host can tell; wait for one.
 */
export type Step = 'none' | 'place' | 'create' | 'start' | 'stop' | 'remove' | 'observe';

const STEPS: Readonly<Record<DesiredState, Readonly<Record<VmState, Step>>>> = {
  running: {
    placed: 'create',
    creating: 'create',
    running: 'none',
    stopping: 'start',
    stopped: 'start',
    starting: 'start',
    deleting: 'none',
    deleted: 'none',
    failed: 'none',
    unknown: 'observe',
  },
  stopped: {
    // A VM is made before it is stopped, so that its disk exists.
    placed: 'create',
    creating: 'create',
    running: 'stop',
    stopping: 'stop',
    stopped: 'none',
    starting: 'stop',
    deleting: 'none',
    deleted: 'none',
    failed: 'none',
    unknown: 'observe',
  },
  deleted: {
    placed: 'remove',
    creating: 'remove',
    running: 'remove',
    stopping: 'remove',
    stopped: 'remove',
    starting: 'remove',
    deleting: 'remove',
    deleted: 'none',
    failed: 'remove',
    unknown: 'remove',
  },
};

export function nextStep(vm: Pick<Vm, 'desiredState' | 'state' | 'hasRun' | 'allocation'>): Step {
  const step = STEPS[vm.desiredState][vm.state];
  if (step === 'create' && vm.allocation === null) return 'place';
  // What never ran holds no data: asking for it again is safe even if the host may have it.
  if (step === 'observe' && !vm.hasRun) return vm.allocation === null ? 'place' : 'create';
  return step;
}
