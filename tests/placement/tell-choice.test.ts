/** The sentence that says why the winner won, for a person. */
import { describe, expect, it } from '@jest/globals';
import type { Constraints } from '../../src/model/constraints.js';
import { membershipsOf } from '../../src/model/groups.js';
import type { Resources } from '../../src/model/resources.js';
import type { StrategyName } from '../../src/model/strategies.js';
import { explain } from '../../src/placement/explain.js';
import { HostTable } from '../../src/placement/host-table.js';
import { STRATEGIES } from '../../src/placement/strategies.js';
import { weightsOf } from '../../src/placement/strategy.js';
import { fleetHost } from '../support/hosts.js';

const host = (name: string, size: number, allocated: Resources = {}) =>
  fleetHost({
    ...{ id: name, name, noReserve: true, allocated },
    total: { cpu: size, memory: size, disk: size },
  });

const ONE_EACH = { cpu: 1, memory: 1, disk: 1 };

const explained = (
  table: HostTable,
  strategy: StrategyName,
  resources: Resources = ONE_EACH,
  constraints: Constraints = {},
) =>
  explain(
    table,
    { resources, constraints, path: 'root' },
    { strategy: STRATEGIES[strategy], weights: weightsOf({}) },
  );

const why = (hosts: readonly ReturnType<typeof host>[], strategy: StrategyName = 'cosine') =>
  explained(HostTable.of(hosts), strategy).explanation;

describe('why the winner won', () => {
  it('is not told where nobody did', () => {
    expect(why([])).toBeNull();
    expect(why([host('full', 1, ONE_EACH)])).toBeNull();
  });

  it('is that it was the only one', () => {
    expect(why([host('oak', 5)])).toBe('oak is chosen: it is the only host, and it fits.');
    expect(why([host('full', 1, ONE_EACH), host('oak', 5)])).toBe(
      'oak is chosen: of 2 hosts it is the only one that fits.',
    );
  });

  it.each<[StrategyName, string]>([
    [
      'cosine',
      'near is chosen: what it has left is most like the request (1.0000; next far, 0.8893).',
    ],
    ['best-fit', 'near is chosen: least would be left over on it (-0.4000; next far, -0.6333).'],
    ['worst-fit', 'far is chosen: most would be left over on it (0.6333; next near, 0.4000).'],
    [
      'first-fit',
      'far is chosen: of the hosts that fit it was registered first (-1.0000; next near, -2.0000).',
    ],
  ])('is what %s looks for', (strategy, sentence) => {
    const far = { ...host('far', 10, { cpu: 8 }), seq: 1 };
    const near = { ...host('near', 10, { cpu: 5, memory: 5, disk: 5 }), seq: 2 };
    expect(why([far, near], strategy)).toBe(sentence);
  });

  it('is the rule that parted equal scores', () => {
    const half = host('half', 10, { cpu: 5, memory: 5, disk: 5 });
    expect(why([half, host('empty', 10)])).toBe(
      'empty is chosen: it has the same score as half (1.0000) and more room left.',
    );
    expect(why([host('one', 10), host('two', 10)])).toBe(
      'one is chosen: it has the same score as two (1.0000) and as much room left, and was registered first.',
    );
  });

  it('is that it breaks fewer soft rules, and names those that it breaks', () => {
    const table = HostTable.of([host('oak', 10), host('elm', 10)]);
    const rules = ['web', 'db'].map((name) => ({ name, policy: 'soft-anti-affinity' as const }));
    for (const [id, count] of [
      ['oak', 1],
      ['elm', 2],
    ] as const) {
      for (const rule of rules.slice(0, count)) {
        table.groups.count(membershipsOf('root', [rule]), id, 1);
      }
    }
    expect(explained(table, 'cosine', ONE_EACH, { groups: rules }).explanation).toBe(
      'oak is chosen: it breaks 1 soft rule, the next, elm, 2. It breaks soft-anti-affinity web.',
    );
  });

  it('weighs the parts of the score against each other, and says how the two would end', () => {
    const even = host('even', 20, { cpu: 10, memory: 10, disk: 10 });
    const skew = host('skew', 20, { cpu: 17, memory: 9, disk: 9 });
    const { explanation, candidates } = explained(HostTable.of([skew, even]), 'balanced-fit');
    expect(explanation).toMatch(
      /^even is chosen: it leaves little room unused and stays in proportion \(-0.6500; next skew, -[\d.]+\); ahead in /,
    );
    expect(explanation).toContain('imbalance (0.0000 against -');
    expect(explanation).toContain('behind in leftover (-0.4500 against -0.3667)');
    expect(explanation).toContain(
      'it would end with 45 % cpu, 45 % memory, 45 % disk free, skew with 10 % cpu, 50 % memory, 50 % disk',
    );
    expect(explanation).toMatch(/and the fleet is shortest of cpu \(68 % in use\)\.$/);
    expect(candidates[0]?.addends?.leftover).toBeCloseTo(-0.45, 12);
  });

  it('has the addends of the first two only', () => {
    const { candidates } = explained(
      HostTable.of([host('a', 5), host('b', 6), host('c', 7)]),
      'best-fit',
    );
    expect(candidates.map(({ addends }) => addends)).toEqual([
      { leftover: candidates[0]?.score },
      { leftover: candidates[1]?.score },
      undefined,
    ]);
  });
});
