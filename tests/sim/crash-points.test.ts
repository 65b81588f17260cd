/**
 * A slice of the crash points: each call of the ports once, with one replica and with three, befallen
 * by two of the faults. `npm run crashpoints` has them all.
 */
import { describe, expect, it } from '@jest/globals';
import { hasCode } from '../../src/model/errors.js';
import { JOURNEYS } from '../../src/sim/crash-points/journeys.js';
import { runMatrix, type MatrixOptions } from '../../src/sim/crash-points/matrix.js';
import type { Mode } from '../../src/sim/crash-points/planned-calls.js';
import {
  describeFailure,
  faultOfText,
  gapsIn,
  replayOf,
  tableOf,
  textOfFault,
} from '../../src/sim/crash-points/report.js';
import type { Sabotage } from '../../src/sim/world.js';
import { changed } from './changed.js';

const SLICE: readonly Mode[] = ['crash-after', 'reply-lost'];

const PAIRS = 40;

const MATRIX: MatrixOptions = {
  journeys: JOURNEYS,
  replicas: [1, 3],
  modes: SLICE,
  first: 1,
  pairs: 0,
  seed: 1,
  failuresMax: 1,
};

const journeysNamed = (...names: readonly string[]) =>
  JOURNEYS.filter(({ name }) => names.includes(name));

/** A removal that was not answered counts as done. */
const hasty: Sabotage = ({ agents }) => ({
  agents: changed(agents, {
    removeVm: (...args) =>
      agents.removeVm(...args).catch((error: unknown) => {
        if (hasCode(error, 'agent_unreachable')) return true;
        throw error;
      }),
  }),
});

/** Bookings that were not recorded are never given back, so that their ids are never free again. */
const leaky: Sabotage = ({ ledger }) => ({
  ledger: changed(ledger, { overdueBookings: () => Promise.resolve([]) }),
});

describe('the crash points', () => {
  it('break no rule, and every call of the ports is among them', async () => {
    const report = await runMatrix({ ...MATRIX, eachSiteOnce: true, pairs: PAIRS });
    expect(report.failures.map(describeFailure)).toEqual([]);
    expect(report.missed).toEqual([]);
    expect(gapsIn(report, SLICE)).toEqual([]);
    expect(report.pairs).toBeGreaterThan(PAIRS / 4);
    expect(tableOf(report)).toMatch(/^catalogue\.record( +[0-9]+){7}$/m);
  }, 300_000);

  it.each([
    ['a removal that was not answered counts as done', 'S15', ['delete'], 'late', hasty],
    ['bookings of the dead are kept', 'J', ['create-batch'], 'crash-before', leaky],
  ] as const)('show that %s', async (_bug, rule, names, mode, sabotage) => {
    const journeys = journeysNamed(...names);
    const { failures } = await runMatrix({ ...MATRIX, journeys, modes: [mode], sabotage });
    const [failure] = failures;
    expect(failure?.report.violations[0]?.rule).toBe(rule);
    expect(failure === undefined ? '' : replayOf(failure.of)).toMatch(
      /^npm run crashpoints -- --journey \S+ --replicas [13] --fault \S+#1:\S+$/,
    );
  });

  it('name what was not covered', async () => {
    const gaps = gapsIn(await runMatrix({ ...MATRIX, journeys: journeysNamed('token') }), SLICE);
    expect(gaps).toContain('catalogue.record was never called');
    expect(gaps).not.toContain('catalogue.createToken was never called');
    expect(gapsIn({ injected: new Map([['agents.status', new Map([['late', 1]])]]) })).toContain(
      'agents.status had no twice',
    );
  });
});

describe('a fault on the command line', () => {
  it.each(['catalogue.record#1:reply-lost', '+ledger.release#12:twice-late'])('%s', (text) => {
    expect(textOfFault(faultOfText(text))).toBe(text);
  });

  it.each(['catalogue.record', 'redis.get#1:late', 'agents.status#0:late', 'agents.status#1:slow'])(
    'is not %s',
    (text) => {
      expect(() => faultOfText(text)).toThrow(/--fault must be like .*; not/);
    },
  );
});
