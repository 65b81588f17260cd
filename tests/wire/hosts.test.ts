/** What agents may say of themselves: nothing that would not be stored, or that stands for something else. */
import { describe, expect, it } from '@jest/globals';
import { agentStatusSchema } from '../../src/wire/agent.js';
import { joinHostSchema } from '../../src/wire/hosts.js';

const TOTALS = { cpu: { total: 8, source: 'detected' } };

const join = (changes: object) => ({
  id: 'host-1',
  name: 'host-1',
  address: 'http://10.0.0.7:8081',
  credential: 'c'.repeat(43),
  totals: TOTALS,
  agent: { version: '0.1.0', bootId: 'boot-1' },
  ...changes,
});

const status = (changes: object) => ({
  hostId: 'host-1',
  version: '0.1.0',
  bootId: 'boot-1',
  report: 1,
  uptimeS: 1,
  load: [0, 0, 0],
  totals: TOTALS,
  used: {},
  allocated: {},
  driver: 'simulated',
  vms: [],
  ...changes,
});

const totalsOf = (classes: number) =>
  Object.fromEntries(
    Array.from({ length: classes }, (_none, index) => [`class_${index.toString()}`, TOTALS.cpu]),
  );

/** The fields that are wrong. */
const wrongIn = (
  schema: typeof joinHostSchema | typeof agentStatusSchema,
  body: object,
): string[] => {
  const { error } = schema.safeParse(body);
  return [...new Set(error?.issues.map(({ path }) => path.join('.')))];
};

describe('an agent', () => {
  it('may say where each total is from, and its own factor and limit', () => {
    const totals = {
      cpu: { total: 8, source: 'detected', overcommit: 2, max: 12 },
      network: { total: 0, source: 'unknown' },
    };
    expect(wrongIn(joinHostSchema, join({ totals }))).toEqual([]);
    expect(wrongIn(agentStatusSchema, status({ totals }))).toEqual([]);
  });

  it.each([
    ['an amount of what is unknown', { total: 1, source: 'unknown' }, 'totals.cpu'],
    ['a guess', { total: 1, source: 'guessed' }, 'totals.cpu.source'],
    ['a factor of nothing', { ...TOTALS.cpu, overcommit: 0 }, 'totals.cpu.overcommit'],
    ['a negative limit', { ...TOTALS.cpu, max: -1 }, 'totals.cpu.max'],
  ])('may not say %s', (_what, cpu, field) => {
    expect(wrongIn(joinHostSchema, join({ totals: { cpu } }))).toEqual([field]);
  });

  it.each([
    'http://10.0.0.7:8081',
    'https://host-1.fleet.example',
    'http://[fd00::7]:8081',
    'HTTP://host_1:80',
  ])('may be at %s', (address) => {
    expect(wrongIn(joinHostSchema, join({ address }))).toEqual([]);
  });

  it.each([
    'http://10.0.0.7/',
    'http://10.0.0.7#',
    'http://10.0.0.7?',
    'http://me@10.0.0.7',
    'http://10.0.0.7\u0000',
    'http://１０.0.0.7',
    'http://10.0.0.7\\@8.8.8.8',
    'http://%31%30.0.0.7',
    'http://10.0.0.7:99999',
  ])('may not be at %j', (address) => {
    expect(wrongIn(joinHostSchema, join({ address }))).toEqual(['address']);
  });

  it.each(['1\u0000', '1\n2', '\ud800'])('may not call its release %j', (version) => {
    const agent = { version, bootId: 'boot-1' };
    expect(wrongIn(joinHostSchema, join({ agent }))).toEqual(['agent.version']);
    expect(wrongIn(agentStatusSchema, status({ version }))).toEqual(['version']);
  });

  it('has as many resource classes as a request may name, and no more', () => {
    for (const classes of [32, 33]) {
      const totals = totalsOf(classes);
      const wrong = classes > 32 ? ['totals'] : [];
      expect(wrongIn(joinHostSchema, join({ totals }))).toEqual(wrong);
      expect(wrongIn(agentStatusSchema, status({ totals }))).toEqual(wrong);
    }
  });
});
