/** What a host offers under what its operator says. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  bookableOf,
  isOverFull,
  offerOf,
  patchedOverrides,
  type HostOverrides,
  type HostSays,
} from '../../src/model/host.js';
import { inventoryOf, limitsOf } from '../../src/model/inventory.js';

const POLICY = { overcommit: { cpu: 4 }, reserve: { memory: 0.1 } };
const SAYS: HostSays = {
  zone: 'a',
  labels: { disk: 'ssd', rack: 'r1' },
  totals: {
    cpu: { total: 8, source: 'detected' },
    memory: { total: 1_000, source: 'detected' },
  },
};

describe('what a host offers', () => {
  it('is what its agent says, under the configuration, when its operator says nothing', () => {
    expect(offerOf(SAYS, {}, POLICY)).toEqual({
      zone: 'a',
      labels: SAYS.labels,
      inventory: inventoryOf(SAYS.totals, POLICY),
    });
  });

  it('goes by its operator first, class by class and label by label', () => {
    const offer = offerOf(
      SAYS,
      {
        zone: 'b',
        labels: { rack: 'r7', gpu: 'a100' },
        overcommit: { cpu: 2 },
        reserve: { memory: 0.5, cpu: 0.25 },
        totals: { gpu: 4, memory: 600 },
      },
      POLICY,
    );
    expect(offer).toEqual({
      zone: 'b',
      labels: { disk: 'ssd', rack: 'r7', gpu: 'a100' },
      inventory: {
        cpu: { total: 8, reserved: 2, overcommit: 2, source: 'detected' },
        memory: { total: 600, reserved: 300, overcommit: 1, source: 'configured' },
        gpu: { total: 4, reserved: 0, overcommit: 1, source: 'configured' },
      },
    });
  });

  it('is less by what runs there without a record, but never less than nothing', () => {
    const { inventory } = offerOf(SAYS, {}, POLICY);
    expect(bookableOf({ inventory, orphaned: { cpu: 5, memory: 5_000, gpu: 1 } })).toEqual({
      cpu: 27,
      memory: 0,
    });
  });

  it.each([
    [{ cpu: 4 }, { cpu: 4 }, false],
    [{ cpu: 4 }, { cpu: 5 }, true],
    [{ cpu: 4 }, { cpu: 1, gpu: 1 }, true],
    [{}, {}, false],
  ])('limits %j with %j booked: over-full is %s', (limits, allocated, expected) => {
    expect(isOverFull(limits, allocated)).toBe(expected);
  });
});

const amounts = fc.dictionary(
  fc.constantFrom('cpu', 'memory', 'gpu'),
  fc.integer({ min: 1, max: 9 }),
);
const overrides: fc.Arbitrary<HostOverrides> = fc.record(
  {
    zone: fc.constantFrom('a', 'b'),
    labels: fc.dictionary(fc.constantFrom('k', 'l'), fc.constantFrom('1', '2')),
    overcommit: amounts,
    reserve: fc.dictionary(fc.constantFrom('cpu', 'memory'), fc.constantFrom(0, 0.25, 0.5)),
    totals: amounts,
  },
  { requiredKeys: [] },
);

describe('overrides', () => {
  it('keep what a patch does not name, and take back what it sets to null or nothing', () => {
    const before: HostOverrides = { zone: 'b', overcommit: { cpu: 2 }, totals: { gpu: 1 } };
    expect(patchedOverrides(before, { zone: null, totals: {} })).toEqual({
      overcommit: { cpu: 2 },
    });
    expect(patchedOverrides(before, { overcommit: { memory: 1.5 } })).toEqual({
      ...before,
      overcommit: { memory: 1.5 },
    });
    expect(patchedOverrides(before, {})).toEqual(before);
  });

  it('leave no trace when all are taken back', () => {
    fc.assert(
      fc.property(overrides, overrides, (first, second) => {
        const both = patchedOverrides(patchedOverrides({}, first), second);
        const none = { zone: null, labels: null, overcommit: null, reserve: null, totals: null };
        expect(patchedOverrides(both, none)).toEqual({});
        expect(patchedOverrides(both, second)).toEqual(both);
      }),
    );
  });

  it('never make a limit that is not a whole number of at least 0', () => {
    fc.assert(
      fc.property(overrides, (said) => {
        for (const limit of Object.values(limitsOf(offerOf(SAYS, said, POLICY).inventory))) {
          expect(Number.isSafeInteger(limit) && limit >= 0).toBe(true);
        }
      }),
    );
  });
});
