/** The tables of the model hold for every input: steps of VMs, liveness of hosts, amounts. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  afterPoll,
  HOST_STATES,
  MISSED_POLLS_MAX,
  type PollOutcome,
} from '../../src/model/host-liveness.js';
import { limitOf, shortfalls } from '../../src/model/inventory.js';
import {
  AMOUNT_MAX,
  addResources,
  subtractResources,
  withoutZeros,
} from '../../src/model/resources.js';
import { DESIRED_STATES, VM_STATES } from '../../src/model/vm.js';
import { nextStep } from '../../src/model/vm-lifecycle.js';
import { resourcesSchema } from '../../src/wire/fields.js';
import { check } from '../support/properties.js';

const RUNS = 10_000;

const amount = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.maxSafeNat());
const amounts = fc.dictionary(fc.constantFrom('cpu', 'memory', 'disk', 'gpu'), amount);

const vm = fc.record({
  desiredState: fc.constantFrom(...DESIRED_STATES),
  state: fc.constantFrom(...VM_STATES),
  hasRun: fc.boolean(),
  allocation: fc.constantFrom(null, { bookingId: 'b', assignment: 1 }),
  movingTo: fc.constantFrom(null, 'rsv-1'),
});

describe('for every input', () => {
  it('a VM has one next step, and what is gone or holds data is left as it is', () => {
    check(
      fc.property(vm, (seen) => {
        const step = nextStep(seen);
        expect(typeof step).toBe('string');
        expect(nextStep(seen)).toBe(step);
        if (seen.state === 'deleted') expect(step).toBe('none');
        // A VM that is wanted is never removed, and one that has run is never placed elsewhere
        // unless it moves.
        if (seen.desiredState !== 'deleted') expect(step).not.toBe('remove');
        const mayBeElsewhere = seen.state === 'unknown' && seen.hasRun && seen.movingTo === null;
        if (mayBeElsewhere) expect(['observe', 'remove']).toContain(step);
      }),
      RUNS,
    );
  });

  it('a host is up after an answer, and down only after the missed polls in a row that it takes', () => {
    const polls = fc.array(fc.constantFrom<PollOutcome>('answered', 'missed'), { maxLength: 20 });
    check(
      fc.property(fc.constantFrom(...HOST_STATES.slice(0, 2)), polls, (state, outcomes) => {
        let liveness = afterPoll({ state, missedPolls: 0 }, 'answered');
        let missed = 0;
        for (const outcome of outcomes) {
          liveness = afterPoll(liveness, outcome);
          missed = outcome === 'missed' ? missed + 1 : 0;
          expect(liveness.missedPolls).toBe(missed);
          expect(liveness.state).toBe(
            missed === 0 ? 'up' : missed < MISSED_POLLS_MAX ? 'suspect' : 'down',
          );
        }
      }),
      RUNS,
    );
  });

  it('amounts that are added and taken off again are as before', () => {
    const small = fc.dictionary(fc.constantFrom('cpu', 'gpu'), fc.integer({ min: 0, max: 1e12 }));
    check(
      fc.property(small, small, (left, right) => {
        const back = subtractResources(addResources(left, right), right);
        expect(withoutZeros(back)).toEqual(withoutZeros(left));
      }),
      RUNS,
    );
  });

  it('what is short is short by what is told, and what fits is short of nothing', () => {
    check(
      fc.property(amounts, amounts, amounts, (limits, allocated, requested) => {
        const short = new Map(
          shortfalls(limits, allocated, requested).map((one) => [one.resource, one]),
        );
        for (const [name, asked] of Object.entries(requested)) {
          const left = BigInt(limits[name] ?? 0) - BigInt(allocated[name] ?? 0);
          expect(short.has(name)).toBe(asked > 0 && BigInt(asked) > left);
          if (short.has(name)) expect(short.get(name)?.available).toBe(Number(left > 0 ? left : 0));
        }
      }),
      RUNS,
    );
  });

  it('a limit is a whole number that is not below 0', () => {
    const entry = fc.record({
      total: amount,
      reserved: amount,
      overcommit: fc.double({ min: 0, max: 1_000, noNaN: true }),
      source: fc.constant('detected' as const),
    });
    check(
      fc.property(entry, (one) => {
        const limit = limitOf(one);
        expect(Number.isInteger(limit) && limit >= 0).toBe(true);
        if (one.reserved >= one.total) expect(limit).toBe(0);
      }),
      RUNS,
    );
  });

  it('resources are read as amounts that can be booked, or refused', () => {
    check(
      fc.property(fc.dictionary(fc.string(), fc.anything()), (given) => {
        const read = resourcesSchema.safeParse(given);
        if (!read.success) return;
        for (const value of Object.values(read.data)) {
          expect(Number.isSafeInteger(value) && value >= 0 && value <= AMOUNT_MAX).toBe(true);
        }
      }),
      RUNS,
    );
  });
});
