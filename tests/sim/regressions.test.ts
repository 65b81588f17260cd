/** What once broke a rule is run again; see src/sim/regressions.ts for what that proves. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { runHistory } from '../../src/sim/history.js';
import { historyOf, regressionOf, type Regression } from '../../src/sim/regressions.js';

const FILE = new URL('regressions.json', import.meta.url);

const kept = JSON.parse(readFileSync(FILE, 'utf8')) as readonly Regression[];

describe('a history that once broke a rule', () => {
  it('is kept so that it can be run as it was', async () => {
    const cuts = { faults: new Set([2, 5]), clients: new Set([1]), hostsMax: 3 };
    const report = await runHistory({ seed: 12, mode: 'safety', cuts });
    const entry = regressionOf(report, cuts, 'abc1234');
    const read = JSON.parse(JSON.stringify(entry)) as Regression;
    expect(historyOf(read)).toEqual({ seed: 12, mode: 'safety', cuts });
    expect((await runHistory(historyOf(read))).hash).toBe(report.hash);
  });

  it('breaks none now', async () => {
    for (const one of kept) {
      const { violations } = await runHistory(historyOf(one));
      expect({ name: one.name, violations }).toEqual({ name: one.name, violations: [] });
    }
  });
});
