/** Rules of groups, case by case: where a VM may go, what a host would break, and how it is told. */
import { describe, expect, it } from '@jest/globals';
import type { GroupPolicy, GroupRule } from '../../src/model/groups.js';
import { membershipsOf } from '../../src/model/groups.js';
import { choose } from '../../src/placement/choose.js';
import { explain } from '../../src/placement/explain.js';
import { firstFit } from '../../src/placement/first-fit.js';
import { HostTable } from '../../src/placement/host-table.js';
import { weightsOf } from '../../src/placement/strategy.js';
import { fleetHost } from '../support/hosts.js';

const RANKING = { strategy: firstFit, weights: weightsOf({}) };
const SMALL = { cpu: 1, memory: 1024, disk: 1024 };

/** Hosts a, b, c, taken in this order unless something else counts. */
function fleet(members: Readonly<Record<string, readonly GroupRule[]>> = {}): HostTable {
  const table = HostTable.of(
    ['a', 'b', 'c'].map((id, index) => fleetHost({ id, name: id, seq: index })),
  );
  for (const [hostId, rules] of Object.entries(members)) {
    for (const rule of rules) table.groups.count(membershipsOf('root', [rule]), hostId, 1);
  }
  return table;
}

const web = (policy: GroupPolicy): GroupRule => ({ name: 'web', policy });
const requestOf = (...groups: GroupRule[]) => ({
  resources: SMALL,
  constraints: { groups },
  path: 'root',
});

function place(table: HostTable, ...groups: GroupRule[]) {
  const decision = choose(table, requestOf(...groups), RANKING);
  return decision.kind === 'placed'
    ? { host: table.factsAt(decision.row).id, violations: decision.violations }
    : decision.summary.byReason;
}

describe('hard rules', () => {
  const apart = web('anti-affinity');
  const together = web('affinity');

  it('keep members apart until no host is left', () => {
    expect(place(fleet(), apart)).toEqual({ host: 'a', violations: [] });
    expect(place(fleet({ a: [apart] }), apart)).toEqual({ host: 'b', violations: [] });
    expect(place(fleet({ a: [apart], b: [apart], c: [apart] }), apart)).toEqual({
      anti_affinity: 3,
    });
  });

  it('keep a hard anti-affinity away from members who do not mind', () => {
    expect(place(fleet({ a: [web('soft-affinity')] }), apart)).toMatchObject({ host: 'b' });
  });

  it.each<GroupPolicy>(['affinity', 'soft-affinity', 'soft-anti-affinity'])(
    'let nobody join a member with a hard anti-affinity, not even for %s',
    (policy) => {
      const everywhere = { a: [apart], b: [apart], c: [apart] };
      expect(place(fleet(everywhere), web(policy))).toMatchObject({ anti_affinity: 3 });
    },
  );

  it('bring members together once there is one, wherever the first wants to go', () => {
    expect(place(fleet(), together)).toEqual({ host: 'a', violations: [] });
    expect(place(fleet({ c: [together] }), together)).toEqual({ host: 'c', violations: [] });
  });

  it('stay when the only member is on a host that is no longer looked at', () => {
    const table = fleet({ c: [together] });
    table.remove('c');
    expect(place(table, together)).toEqual({ affinity: 2 });
  });

  it('hold for every group of the request, and only within its path', () => {
    const db: GroupRule = { name: 'db', policy: 'anti-affinity' };
    expect(place(fleet({ a: [apart], b: [db] }), apart, db)).toMatchObject({ host: 'c' });
    const elsewhere = fleet();
    elsewhere.groups.count(membershipsOf('other', [apart]), 'a', 1);
    expect(place(elsewhere, apart)).toMatchObject({ host: 'a' });
  });
});

describe('soft rules', () => {
  const apart = web('soft-anti-affinity');
  const together = web('soft-affinity');

  it('weigh more than any score', () => {
    expect(place(fleet({ a: [apart] }), apart)).toEqual({ host: 'b', violations: [] });
    expect(place(fleet({ c: [together] }), together)).toEqual({ host: 'c', violations: [] });
  });

  it('are broken when nothing else is left, and it is told which', () => {
    const everywhere = fleet({ a: [apart], b: [apart], c: [apart] });
    expect(place(everywhere, apart)).toEqual({ host: 'a', violations: [apart] });
    const gone = fleet({ c: [together] });
    gone.remove('c');
    expect(place(gone, together)).toEqual({ host: 'a', violations: [together] });
  });

  it('count: the host that breaks fewer wins', () => {
    const db: GroupRule = { name: 'db', policy: 'soft-anti-affinity' };
    const table = fleet({ a: [apart, db], b: [db], c: [apart, db] });
    expect(place(table, apart, db)).toEqual({ host: 'b', violations: [db] });
  });
});

describe('an explanation', () => {
  it('names the group of every rule that a host would break, and ranks by broken wishes', () => {
    const rules = [web('anti-affinity'), { name: 'db', policy: 'soft-affinity' } as const];
    const db: GroupRule = { name: 'db', policy: 'soft-affinity' };
    const table = fleet({ a: [web('soft-affinity')], c: [db] });
    const { candidates, rejected, chosen, summary } = explain(table, requestOf(...rules), RANKING);
    expect(chosen).toBe('c');
    expect(candidates.map(({ host, violations }) => [host.id, violations])).toEqual([
      ['c', []],
      ['b', [db]],
    ]);
    expect(rejected).toEqual([
      { host: { id: 'a', name: 'a' }, reasons: [{ code: 'anti_affinity', group: 'web' }] },
    ]);
    expect(summary.byReason).toEqual({ anti_affinity: 1 });
  });

  it('names no host as the nearest that a group keeps out', () => {
    const table = fleet({ a: [web('anti-affinity')] });
    table.book(table.rowOf('b'), { cpu: 32 });
    table.book(table.rowOf('c'), { cpu: 32 });
    const request = { ...requestOf(web('anti-affinity')), resources: { cpu: 1 } };
    const { summary } = explain(table, request, RANKING);
    expect(summary).toMatchObject({
      feasible: 0,
      byReason: { anti_affinity: 1, insufficient: 2 },
      nearest: { host: { id: 'b' }, missing: { cpu: 1 } },
    });
  });
});
