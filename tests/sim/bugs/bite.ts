/**
 * `npm run bite`: puts each seeded bug in and looks how long it takes to be found. Prints a table and
 * one line of JSON; fails when one is not found in time, or by a rule that is not meant for it.
 * `npm run bite -- --schedules N` runs N orders of the steps of each critical section instead.
 */
import { parseArgs } from 'node:util';
import { systemClock } from '../../../src/std/clock.js';
import { SECTIONS } from '../../schedules/sections.js';
import { checkAsync } from '../../support/properties.js';
import { hunt, type Catch } from './hunt.js';
import { SEEDED_BUGS } from './seeded-bugs.js';
import type { SeededBug } from './seeded-bug.js';

const { values } = parseArgs({
  options: {
    bug: { type: 'string', multiple: true, default: [] },
    seed: { type: 'string' },
    seconds: { type: 'string', default: '60' },
    schedules: { type: 'string' },
  },
});

const whole = (name: string, text: string): number => {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`--${name} must be a whole number, not ${text}`);
};

function chosen(): readonly SeededBug[] {
  if (values.bug.length === 0) return SEEDED_BUGS;
  return values.bug.map((name) => {
    const bug = SEEDED_BUGS.find((one) => one.name === name);
    if (bug !== undefined) return bug;
    const names = SEEDED_BUGS.map((one) => one.name).join(', ');
    throw new Error(`--bug must be one of ${names}; not ${name}`);
  });
}

function lineOf({ name, what }: SeededBug, found: Catch | null): string {
  if (found === null) return `NOT FOUND  ${name}: ${what}`;
  const where = found.seed === null ? '' : `, seed ${found.seed}, history ${found.histories}`;
  return `${found.seconds.toFixed(2).padStart(6)} s  ${name}: ${found.rule}${where}`;
}

async function runSchedules(schedules: number): Promise<void> {
  const ran: Record<string, number> = {};
  for (const [name, section] of Object.entries(SECTIONS)) {
    const startedMs = systemClock.monotonic();
    await checkAsync(section(), schedules);
    const seconds = (systemClock.monotonic() - startedMs) / 1_000;
    console.log(
      `${seconds.toFixed(1).padStart(6)} s  ${name}: ${schedules} orders, none breaks it`,
    );
    ran[name] = schedules;
  }
  console.log(JSON.stringify({ schedules: ran }));
}

async function huntAll(): Promise<void> {
  const limits = {
    seconds: whole('seconds', values.seconds),
    seed: values.seed === undefined ? null : whole('seed', values.seed),
  };
  const catches: Catch[] = [];
  const bugs = chosen();
  for (const bug of bugs) {
    const found = await hunt(bug, limits);
    console.log(lineOf(bug, found));
    const isMeant = found !== null && (!('rules' in bug) || bug.rules.includes(found.rule));
    if (found !== null && !isMeant) console.log('          which is not what it breaks: look why');
    if (found !== null && isMeant) catches.push(found);
  }
  console.log(JSON.stringify({ bugs: bugs.length, found: catches.length, catches }));
  process.exitCode = catches.length === bugs.length ? 0 : 1;
}

// Expected failures are many; where each was made, nobody reads.
Error.stackTraceLimit = 0;

if (values.schedules === undefined) await huntAll();
else await runSchedules(whole('schedules', values.schedules));
