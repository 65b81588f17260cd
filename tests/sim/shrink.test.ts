/** A failure is made small: what is left of it breaks the same rule. */
import { describe, expect, it } from '@jest/globals';
import { hasCode } from '../../src/model/errors.js';
import { runHistory } from '../../src/sim/history.js';
import { describeFailure, runHistories } from '../../src/sim/run.js';
import { shrink } from '../../src/sim/shrink.js';
import type { Sabotage } from '../../src/sim/world.js';
import { changed } from './changed.js';

/** A removal that was not answered counts as done. */
const sabotage: Sabotage = ({ agents }) => ({
  agents: changed(agents, {
    removeVm: (...args) =>
      agents.removeVm(...args).catch((error: unknown) => {
        if (hasCode(error, 'agent_unreachable')) return true;
        throw error;
      }),
  }),
});

describe('shrinking', () => {
  it('leaves out what a failure does not need', async () => {
    const run = { seed: 1, histories: 80, mode: null, failuresMax: 1, sabotage };
    const [found] = (await runHistories(run)).failures;
    const { cuts, report } = await shrink(found!, sabotage, 150);
    expect(report.violations[0]!.rule).toBe(found!.violations[0]!.rule);
    expect(cuts.faults.size + cuts.clients.size).toBeGreaterThan(0);
    const { seed, mode } = found!;
    expect((await runHistory({ seed, mode, sabotage, cuts })).hash).toBe(report.hash);
    expect(describeFailure(report, cuts)).toMatch(/with \d+ of \d+ faults, \d+ of \d+ clients/);
  }, 300_000);

  it('does not shift the chances of the clients that stay', async () => {
    const linesOf = async (clients: ReadonlySet<number>) => {
      const cuts = { faults: new Set<number>(), clients, hostsMax: null };
      return runHistory({ seed: 5, mode: 'safety', cuts });
    };
    const [all, without] = [await linesOf(new Set()), await linesOf(new Set([0, 1, 2]))];
    expect(without.turns.clients).toBe(all.turns.clients);
    expect(without.hash).not.toBe(all.hash);
  });
});
