/** The lifecycle always comes to rest where it is wanted, from wherever it starts. */
import { describe, expect, it } from '@jest/globals';
import { DESIRED_STATES, VM_STATES, type Vm, type VmState } from '../../src/model/vm.js';
import { nextStep, type Step } from '../../src/model/vm-lifecycle.js';

const ALLOCATION = { bookingId: 'b', assignment: 1 };

type Seen = Pick<Vm, 'desiredState' | 'state' | 'hasRun' | 'allocation'>;

/** What a host that does as it is told makes of each step. */
const EFFECT: Readonly<Record<Step, (vm: Seen) => Seen>> = {
  none: (vm) => vm,
  observe: (vm) => vm,
  place: (vm) => ({ ...vm, allocation: ALLOCATION, state: 'placed' }),
  create: (vm) => ({ ...vm, state: 'running', hasRun: true }),
  start: (vm) => ({ ...vm, state: 'running' }),
  stop: (vm) => ({ ...vm, state: 'stopped' }),
  remove: (vm) => ({ ...vm, state: 'deleted', allocation: null }),
};

function settle(vm: Seen): Seen {
  let seen = vm;
  for (let steps = 0; steps < 4; steps += 1) seen = EFFECT[nextStep(seen)](seen);
  return seen;
}

describe('lifecycle', () => {
  for (const desiredState of DESIRED_STATES) {
    const from = VM_STATES.filter(
      (state) => !['deleted', 'deleting', 'failed', 'unknown'].includes(state),
    );
    it.each(from)(`reaches ${desiredState} from %s`, (state) => {
      const vm = { desiredState, state, hasRun: state !== 'placed', allocation: ALLOCATION };
      expect(settle(vm).state).toBe(desiredState);
    });
  }

  it.each<VmState>(['failed', 'unknown', 'deleting'])(
    'removes what is %s once it is deleted',
    (state) => {
      const vm = { desiredState: 'deleted' as const, state, hasRun: true, allocation: ALLOCATION };
      expect(settle(vm)).toMatchObject({ state: 'deleted', allocation: null });
    },
  );

  it('leaves a VM that has run alone while nobody knows how it is', () => {
    const vm = { state: 'unknown' as const, hasRun: true, allocation: ALLOCATION };
    expect(nextStep({ ...vm, desiredState: 'running' })).toBe('observe');
    expect(nextStep({ ...vm, desiredState: 'stopped' })).toBe('observe');
  });

  it('asks again for a VM that never ran, and places one that has no host', () => {
    const vm = { desiredState: 'running' as const, state: 'unknown' as const, hasRun: false };
    expect(nextStep({ ...vm, allocation: ALLOCATION })).toBe('create');
    expect(nextStep({ ...vm, allocation: null })).toBe('place');
    expect(nextStep({ ...vm, state: 'placed', allocation: null })).toBe('place');
  });
});
