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
 * - `evict`: it moves; ask its old host to have it no more, until it is proven gone.
 * - `rebook`: it moves and is nowhere; book it where room is held for it.
 */
export type Step =
  'none' | 'place' | 'create' | 'start' | 'stop' | 'remove' | 'observe' | 'evict' | 'rebook';

const STEPS: Readonly<Record<DesiredState, Readonly<Record<VmState, Step>>>> = {
  running: {
    // The waiting room places it.
    waiting: 'none',
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
    waiting: 'none',
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
    waiting: 'remove',
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

/**
 * The way of a VM that moves (cold): stop, evict, rebook; from there on it is made and brought to
 * what is wanted of it like any other. Its new host hears of it only when the old one has let it go.
 */
const STEPS_OF_MOVE: Readonly<Record<VmState, Step>> = {
  waiting: 'none',
  placed: 'evict',
  creating: 'evict',
  running: 'stop',
  stopping: 'stop',
  stopped: 'evict',
  starting: 'stop',
  deleting: 'none',
  deleted: 'none',
  failed: 'none',
  unknown: 'stop',
};

function nextStepOfMove({ state, hasRun, allocation }: Seen): Step {
  const step = STEPS_OF_MOVE[state];
  if (step === 'none') return step;
  if (allocation === null) return 'rebook';
  // What holds no data need not be stopped in good order; nor can it stay (see `leaveHost`).
  return hasRun ? step : 'evict';
}

type Seen = Pick<Vm, 'desiredState' | 'state' | 'hasRun' | 'allocation' | 'movingTo'>;

export function nextStep(vm: Seen): Step {
  if (vm.movingTo !== null && vm.desiredState !== 'deleted') return nextStepOfMove(vm);
  const step = STEPS[vm.desiredState][vm.state];
  if (step === 'create' && vm.allocation === null) return 'place';
  // What never ran holds no data: asking for it again is safe even if the host may have it.
  if (step === 'observe' && !vm.hasRun) return vm.allocation === null ? 'place' : 'create';
  return step;
}
