/**
 * `npm run crashpoints`: every port call of every journey, befallen by every fault, with one replica
 * and with three. Prints how often each fault befell each call, and one line of figures; a failure
 * with the command that replays it.
 */
import { parseArgs } from 'node:util';
import { runCase } from '../sim/crash-points/case.js';
import { JOURNEYS } from '../sim/crash-points/journeys.js';
import { runMatrix } from '../sim/crash-points/matrix.js';
import { MODES, type PlannedFault } from '../sim/crash-points/planned-calls.js';
import {
  describeFailure,
  faultOfText,
  gapsIn,
  replayOf,
  tableOf,
  textOfFault,
} from '../sim/crash-points/report.js';
import { systemClock } from '../std/clock.js';
import { commit } from './commit.js';

const FAILURES_MAX = 5;

/** Calls of one site in one journey that are befallen: so many of the first, and the last. */
const FIRST = 2;

const { values } = parseArgs({
  options: {
    journey: { type: 'string', multiple: true },
    replicas: { type: 'string', multiple: true, default: ['1', '3'] },
    fault: { type: 'string', multiple: true },
    latency: { type: 'string' },
    pairs: { type: 'string', default: '500' },
    seed: { type: 'string', default: '1' },
  },
});

const whole = (name: string, text: string): number => {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`--${name} must be a whole number, not ${text}`);
};

function journeysNamed(names: readonly string[] | undefined) {
  if (names === undefined) return JOURNEYS;
  return names.map((name) => {
    const journey = JOURNEYS.find((known) => known.name === name);
    if (journey !== undefined) return journey;
    const known = JOURNEYS.map((each) => each.name).join(', ');
    throw new Error(`--journey must be one of ${known}; not ${name}`);
  });
}

// Expected failures are many; where each was made, nobody reads.
Error.stackTraceLimit = 0;

const journeys = journeysNamed(values.journey);
const replicas = values.replicas.map((text) => whole('replicas', text));

async function matrix(): Promise<void> {
  const startedMs = systemClock.monotonic();
  const report = await runMatrix({
    journeys,
    replicas,
    modes: MODES,
    first: FIRST,
    pairs: whole('pairs', values.pairs),
    seed: whole('seed', values.seed),
    failuresMax: FAILURES_MAX,
    onJourney: (name, cases) => {
      if (process.stderr.isTTY) process.stderr.write(`${name}: ${cases.toString()} cases so far\n`);
    },
  });
  // Some of the journeys cannot reach all sites.
  const gaps = values.journey === undefined ? gapsIn(report) : [];
  console.log(tableOf(report));
  for (const failure of report.failures) console.log(`\n${describeFailure(failure)}`);
  for (const gap of gaps) console.log(`not covered: ${gap}`);
  for (const { journey, faults } of report.missed) {
    console.log(`never happened: ${journey.name} ${faults.map(textOfFault).join(' ')}`);
  }
  const tookS = (systemClock.monotonic() - startedMs) / 1_000;
  console.log(
    JSON.stringify({
      commit: commit(),
      journeys: journeys.length,
      replicas,
      sites: report.injected.size,
      cases: report.cases,
      pairs: report.pairs,
      violating: report.failures.length,
      notCovered: gaps.length,
      neverHappened: report.missed.length,
      seconds: Math.round(tookS),
    }),
  );
  const isWhole = report.failures.length + gaps.length + report.missed.length === 0;
  process.exitCode = isWhole ? 0 : 1;
}

/** One case, as a failure has named it. */
async function again(faults: readonly PlannedFault[]): Promise<void> {
  const latencySeed = values.latency === undefined ? null : whole('latency', values.latency);
  for (const journey of journeys) {
    for (const count of replicas) {
      const of = { journey, replicas: count, faults, latencySeed };
      const report = await runCase(of);
      const isRight = report.violations.length === 0;
      console.log(isRight ? `${replayOf(of)}: no rule is broken` : describeFailure({ of, report }));
      if (!isRight) process.exitCode = 1;
    }
  }
}

if (values.fault === undefined) await matrix();
else await again(values.fault.map(faultOfText));
