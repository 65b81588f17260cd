/** A slice of simulated histories, with every fault among them, breaks no rule. */
import { describe, expect, it } from '@jest/globals';
import { CALL_FAULTS, PART_FAULTS } from '../../src/sim/faults.js';
import { describeFailure, runHistories } from '../../src/sim/run.js';

const HISTORIES = 60;

describe('simulated histories', () => {
  it.each(['safety', 'liveness'] as const)(
    'break no rule: %s',
    async (mode) => {
      const run = { seed: 3000, histories: HISTORIES, mode, failuresMax: 1 };
      const { failures, faults, histories } = await runHistories(run);
      expect(failures.map((failure) => describeFailure(failure))).toEqual([]);
      expect(histories).toBe(HISTORIES);
      expect([...faults.keys()].sort()).toEqual([...CALL_FAULTS, ...PART_FAULTS].sort());
    },
    300_000,
  );
});
