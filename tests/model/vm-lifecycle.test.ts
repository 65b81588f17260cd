/** The lifecycle always comes to rest where it is wanted, from wherever it starts. */
import { describe, expect, it } from '@jest/globals';
import { DESIRED_STATES, VM_STATES, type Vm, type VmState } from '../../src/model/vm.js';
import { nextStep, type Step } from '../../src/model/vm-lifecycle.js';

const ALLOCATION = { bookingId: 'b', assignment: 1 };
const NEW_ALLOCATION = { bookingId: 'c', assignment: 2 };

type Seen = Pick<Vm, 'desiredState' | 'state' | 'hasRun' | 'allocation' | 'movingTo'>;

/** What a host that does as it is told makes of each step. */
const EFFECT: Readonly<Record<Step, (vm: Seen) => Seen>> = {
  none: (vm) => vm,
  observe: (vm) => vm,
  place: (vm) => ({ ...vm, allocation: ALLOCATION, state: 'placed' }),
  create: (vm) => ({ ...vm, state: 'running', hasRun: true }),
  start: (vm) => ({ ...vm, state: 'running' }),
  stop: (vm) => ({ ...vm, state: 'stopped' }),
  remove: (vm) => ({ ...vm, state: 'deleted', allocation: null }),
  evict: (vm) => ({ ...vm, state: 'placed', hasRun: false, allocation: null }),
  rebook: (vm) => ({ ...vm, state: 'placed', allocation: NEW_ALLOCATION, movingTo: null }),
};

function settle(vm: Seen): Seen {
  let seen = vm;
  for (let steps = 0; steps < 8; steps += 1) seen = EFFECT[nextStep(seen)](seen);
  return seen;
}

describe('lifecycle', () => {
  for (const desiredState of DESIRED_STATES) {
    const from = VM_STATES.filter(
      (state) => !['waiting', 'deleted', 'deleting', 'failed', 'unknown'].includes(state),
    );
    it.each(from)(`reaches ${desiredState} from %s`, (state) => {
      const vm = {
        desiredState,
        state,
        hasRun: state !== 'placed',
        allocation: ALLOCATION,
        movingTo: null,
      };
      expect(settle(vm).state).toBe(desiredState);
    });
  }

  it.each<VmState>(['failed', 'unknown', 'deleting'])(
    'removes what is %s once it is deleted',
    (state) => {
      const vm = {
        desiredState: 'deleted' as const,
        state,
        hasRun: true,
        allocation: ALLOCATION,
        movingTo: null,
      };
      expect(settle(vm)).toMatchObject({ state: 'deleted', allocation: null });
    },
  );

  it('leaves a VM that has run alone while nobody knows how it is', () => {
    const vm = {
      state: 'unknown' as const,
      hasRun: true,
      allocation: ALLOCATION,
      movingTo: null,
    };
    expect(nextStep({ ...vm, desiredState: 'running' })).toBe('observe');
    expect(nextStep({ ...vm, desiredState: 'stopped' })).toBe('observe');
  });

  it('asks again for a VM that never ran, and places one that has no host', () => {
    const vm = {
      desiredState: 'running' as const,
      state: 'unknown' as const,
      hasRun: false,
      movingTo: null,
    };
    expect(nextStep({ ...vm, allocation: ALLOCATION })).toBe('create');
    expect(nextStep({ ...vm, allocation: null })).toBe('place');
    expect(nextStep({ ...vm, state: 'placed', allocation: null })).toBe('place');
  });
});

describe('a VM that moves', () => {
  const moving = (state: VmState, changes: Partial<Seen> = {}): Seen => ({
    desiredState: 'running',
    state,
    hasRun: true,
    allocation: ALLOCATION,
    movingTo: 'rsv-1',
    ...changes,
  });

  it.each<[VmState, Step]>([
    ['waiting', 'none'],
    ['placed', 'evict'],
    ['creating', 'evict'],
    ['running', 'stop'],
    ['stopping', 'stop'],
    ['stopped', 'evict'],
    ['starting', 'stop'],
    ['deleting', 'none'],
    ['deleted', 'none'],
    ['failed', 'none'],
    ['unknown', 'stop'],
  ])('from %s: %s, whatever is wanted of it', (state, step) => {
    expect(nextStep(moving(state))).toBe(step);
    expect(nextStep(moving(state, { desiredState: 'stopped' }))).toBe(step);
  });

  it.each<VmState>(['running', 'stopping', 'starting', 'stopped', 'unknown'])(
    'is evicted from %s without a stop when it holds no data',
    (state) => {
      expect(nextStep(moving(state, { hasRun: false }))).toBe('evict');
    },
  );

  it('is booked again once it is nowhere, and only then', () => {
    expect(nextStep(moving('placed', { hasRun: false, allocation: null }))).toBe('rebook');
    expect(nextStep(moving('placed', { hasRun: false }))).toBe('evict');
  });

  it.each<VmState>(['placed', 'running', 'stopped', 'unknown'])(
    'is removed from %s when it is deleted meanwhile',
    (state) => {
      expect(nextStep(moving(state, { desiredState: 'deleted' }))).toBe('remove');
    },
  );

  for (const desiredState of ['running', 'stopped'] as const) {
    it.each<VmState>(['placed', 'creating', 'running', 'stopping', 'stopped', 'starting'])(
      `ends ${desiredState} on its new host, from %s`,
      (state) => {
        const end = settle(moving(state, { desiredState, hasRun: state !== 'placed' }));
        expect(end).toMatchObject({ state: desiredState, allocation: NEW_ALLOCATION });
      },
    );
  }
});
