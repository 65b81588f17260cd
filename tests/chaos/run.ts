/**
 * `npm run chaos`: real processes, real faults, and what really runs on the hosts as the judge.
 * Options: --faults 200 --seed 1 --redis single|sentinel|both --minutes 40 --only 'Redis flushed,…'
 * Prints a line for each fault, a table, and one line of JSON; ends with 1 when something was wrong
 * and keeps the logs. After so many minutes no fault begins any more. One signal ends it in order,
 * after the fault that is under way; two end it at once.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chaos, type ChaosResult } from './chaos.js';
import { descendantsOf } from './child.js';
import { FAULTS } from './faults.js';
import { Namespace } from './namespace.js';
import { machineMs } from './observed-driver.js';
import { rowsOf, tableOf } from './report.js';
import { signal } from './stack.js';

/** From 60 faults on two busy cores, start of the parts and reckonings included. */
const SECONDS_A_FAULT = 6.2;

const { values } = parseArgs({
  options: {
    faults: { type: 'string', default: '200' },
    seed: { type: 'string', default: Date.now().toString() },
    redis: { type: 'string', default: 'both' },
    minutes: { type: 'string', default: '40' },
    groups: { type: 'string', default: '4' },
    hosts: { type: 'string', default: '5' },
    only: { type: 'string' },
  },
});

const whole = (name: 'faults' | 'minutes' | 'groups' | 'hosts'): number => {
  const value = Number(values[name]);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`--${name} must be a whole number above 0, not "${values[name]}"`);
};

/** How many of the faults each set-up of Redis gets, so that each class comes equally often. */
function shares(faults: number): readonly (readonly ['single' | 'sentinel', number])[] {
  const { redis } = values;
  if (redis === 'single' || redis === 'sentinel') return [[redis, faults]];
  if (redis !== 'both') throw new Error(`--redis must be single, sentinel or both, not "${redis}"`);
  const sentinelOnly = FAULTS.filter((fault) => fault.redis === 'sentinel').length;
  const sentinel = Math.round((faults * sentinelOnly) / FAULTS.length);
  // These first: when the time is over, all classes of the other have had about as many turns.
  return [
    ['sentinel', sentinel],
    ['single', faults - sentinel],
  ];
}

const say = (line: string): void =>
  console.log(`${new Date().toISOString().slice(11, 19)} ${line}`);
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD']).toString().trim();
const root = join(tmpdir(), `berth-chaos-${values.seed}`);
const began = performance.now();
const results: ChaosResult[] = [];
const endsAt = machineMs() + whole('minutes') * 60_000;
const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    if (interrupted.signal.aborted) process.exit(130);
    say(`${name}: ends after the fault that is under way; once more to end at once`);
    interrupted.abort();
  });
}
// Whatever ends this process: what it has started would outlive it, and so would a namespace.
process.on('exit', () => {
  for (const pid of descendantsOf(process.pid)) signal(pid, 'SIGKILL');
  Namespace.removeAll();
});
say(
  `about ${Math.ceil((whole('faults') * SECONDS_A_FAULT) / 60).toString()} minutes, at most ${values.minutes} and a reckoning`,
);
for (const [redis, faults] of shares(whole('faults'))) {
  if (faults === 0) continue;
  const folder = join(root, redis);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  say(`Redis ${redis}: ${faults.toString()} faults, seed ${values.seed}, logs in ${folder}`);
  const only =
    values.only?.split(',') ??
    // What does not depend on Redis was done with the single one.
    (redis === 'sentinel' && values.redis === 'both'
      ? FAULTS.filter((fault) => fault.redis === 'sentinel').map(({ name }) => name)
      : undefined);
  const result = await chaos({
    signal: interrupted.signal,
    ...{ redis, faults, folder, say, seed: `${values.seed}/${redis}` },
    ...(only === undefined ? {} : { only }),
    groups: whole('groups'),
    hostsPerGroup: whole('hosts'),
    endsAt,
  });
  results.push(result);
  if (result.violations.length > 0 || interrupted.signal.aborted) break;
}

const outcomes = results.flatMap((result) => result.outcomes);
const violations = results.flatMap((result) => result.violations);
const undone = outcomes.filter((one) => one.undone !== null);
const rows = rowsOf(outcomes.filter((one) => one.undone === null));
const givenUp = results.flatMap(({ counts }) =>
  Object.entries(counts).filter(([what]) => what.endsWith('given up')),
);
console.log(tableOf(rows));
console.log('Bars with * are of this run itself.');
console.log(
  `${(outcomes.length - undone.length).toString()} of ${values.faults} faults done${interrupted.signal.aborted ? ', interrupted' : machineMs() > endsAt ? `, the ${values.minutes} minutes are over` : ''}.`,
);
const namespace = results.some((result) => result.namespace);
console.log(
  `Agents are cut off ${namespace ? 'in a network namespace' : 'by a proxy: this machine allows no network namespace'}.`,
);
console.log(
  JSON.stringify({
    ...{ commit, seed: values.seed, faults: outcomes.length - undone.length },
    undone: undone.length,
    violations: violations.length,
    barsMissed: rows.flatMap(({ name, bars }) =>
      bars.filter(({ met }) => !met).map(({ text }) => `${name}: ${text}`),
    ),
    requestsGivenUp: givenUp.reduce((sum, [, times]) => sum + times, 0),
    convergedMsMax: Math.round(Math.max(0, ...results.flatMap((result) => result.convergedMs))),
    attempts: results.reduce((sum, result) => sum + result.attempts, 0),
    facts: results.reduce((sum, result) => sum + result.facts, 0),
    minutes: Number(((performance.now() - began) / 60_000).toFixed(1)),
  }),
);
for (const result of results) console.log(JSON.stringify(result.counts));
if (violations.length + undone.length > 0) {
  for (const one of undone) console.error(`NOT DONE ${one.name}: ${one.undone ?? ''}`);
  for (const violation of violations) console.error(`VIOLATION ${violation}`);
  console.error(
    `Again: npm run chaos -- --seed ${values.seed} --faults ${values.faults} --redis ${values.redis}; logs in ${root}`,
  );
  process.exitCode = 1;
} else if (interrupted.signal.aborted) process.exitCode = 130;
else {
  rmSync(root, { recursive: true, force: true });
}
process.exit();
