/** Plans of drains: who goes where, in which order, and why not. */
import { describe, expect, it } from '@jest/globals';
import { membershipsOf } from '../../src/model/groups.js';
import type { FleetHost } from '../../src/model/host.js';
import { cosine } from '../../src/placement/cosine.js';
import { HostTable } from '../../src/placement/host-table.js';
import { planDrain, targetFor } from '../../src/placement/plan-drain.js';
import { weightsOf } from '../../src/placement/strategy.js';
import { modelVm } from '../support/control-double.js';
import { fleetHost } from '../support/hosts.js';

const RANKING = { strategy: cosine, weights: weightsOf({}) };
const TOTAL = { cpu: 10, memory: 100, disk: 100 };

const host = (id: string, changes: Partial<FleetHost> & { readonly total?: typeof TOTAL } = {}) =>
  fleetHost({ id, name: `name-${id}`, total: TOTAL, noReserve: true, ...changes });

const vm = (id: string, memory: number, constraints = {}) =>
  modelVm({ id, name: `name-${id}`, resources: { cpu: 1, memory, disk: 1 }, constraints });

/** A fleet in which these VMs are booked on host `a`. */
function fleetWith(vms: readonly ReturnType<typeof vm>[], others: readonly FleetHost[]): HostTable {
  const table = HostTable.of([host('a'), ...others]);
  for (const { path, resources, constraints } of vms) {
    table.book(table.rowOf('a'), resources, membershipsOf(path, constraints.groups));
  }
  return table;
}

const FROM = { id: 'a', name: 'name-a' };
const outcomes = (moves: ReturnType<typeof planDrain>) =>
  moves.map((move) => [move.vm.id, move.state, move.planned?.id ?? null]);

describe('the plan of a drain', () => {
  it('takes the largest first, each with those before it already moved', () => {
    const vms = [vm('small', 30), vm('large', 60), vm('middle', 40)];
    const fleet = fleetWith(vms, [host('b'), host('c', { total: { ...TOTAL, memory: 50 } })]);
    expect(outcomes(planDrain(fleet, FROM, vms, RANKING))).toEqual([
      ['large', 'planned', 'b'],
      ['middle', 'planned', expect.stringMatching(/^[bc]$/)],
      ['small', 'planned', expect.stringMatching(/^[bc]$/)],
    ]);
  });

  it('tells of the other hosts only what blocks a VM, however its own host is closed', () => {
    const one = vm('one', 30, { zone: 'z', exclude: ['c'] });
    const fleet = HostTable.of([
      host('a', { mode: 'draining', zone: 'y' }),
      host('b', { mode: 'cordoned', zone: 'z' }),
      host('c', { zone: 'z' }),
    ]);
    fleet.book(fleet.rowOf('a'), one.resources, []);
    expect(planDrain(fleet, FROM, [one], RANKING)).toMatchObject([
      { state: 'blocked', detail: 'no other host can take it: excluded on 1, cordoned on 1' },
    ]);
  });

  it('ranks each as its VM was asked for', () => {
    const asked = { ...vm('one', 30), strategy: 'worst-fit' } as const;
    const fleet = fleetWith(
      [asked],
      [host('b', { allocated: { cpu: 5, memory: 50, disk: 50 } }), host('c')],
    );
    const targetBy = (strategy: 'best-fit' | 'worst-fit') =>
      outcomes(planDrain(fleet, FROM, [{ ...asked, strategy }], RANKING));
    expect(targetBy('worst-fit')).toEqual([['one', 'planned', 'c']]);
    expect(targetBy('best-fit')).toEqual([['one', 'planned', 'b']]);
  });

  it('leaves the fleet as it was', () => {
    const vms = [
      vm('one', 30, { groups: [{ name: 'g', policy: 'anti-affinity' }] }),
      vm('two', 20),
    ];
    const fleet = fleetWith(vms, [host('b', { allocated: { cpu: 1, memory: 1, disk: 1 } })]);
    const before = JSON.stringify([...fleet.hosts()]);
    planDrain(fleet, FROM, vms, RANKING);
    expect(JSON.stringify([...fleet.hosts()])).toBe(before);
    // The group's member is still known to be on its host.
    const decision = targetFor(
      fleet,
      { id: 'b', name: 'name-b' },
      vm('three', 1, { groups: [{ name: 'g', policy: 'anti-affinity' }] }),
      RANKING,
      null,
    );
    expect(decision.kind).toBe('nowhere');
  });

  it('says what blocks a VM: no room, no other host, a host that it is bound to', () => {
    const big = vm('big', 90);
    const moves = planDrain(
      fleetWith([big], [host('b', { allocated: { memory: 20 } })]),
      FROM,
      [big],
      RANKING,
    );
    expect(moves[0]).toMatchObject({
      state: 'blocked',
      detail:
        'no other host can take it: insufficient on 1; name-b comes nearest and lacks 10 memory',
      summary: { byReason: { insufficient: 1 } },
    });
    const [alone] = planDrain(fleetWith([big], []), FROM, [big], RANKING);
    expect(alone?.detail).toBe('no other host can take it: there is no other');
    const bound = vm('bound', 1, { host: 'name-a' });
    const [pinned] = planDrain(fleetWith([bound], [host('b')]), FROM, [bound], RANKING);
    expect(pinned).toMatchObject({ state: 'blocked', detail: 'it may be on this host only' });
  });

  it('moves a group that wants to be apart to hosts of its own, and blocks who has none', () => {
    const apart = { groups: [{ name: 'g', policy: 'anti-affinity' as const }] };
    const mine = vm('mine', 1, apart);
    const fleet = fleetWith([mine], [host('b'), host('c')]);
    fleet.book(fleet.rowOf('b'), { cpu: 1 }, membershipsOf(mine.path, apart.groups));
    expect(outcomes(planDrain(fleet, FROM, [mine], RANKING))).toEqual([['mine', 'planned', 'c']]);
    fleet.book(fleet.rowOf('c'), { cpu: 1 }, membershipsOf(mine.path, apart.groups));
    const [blocked] = planDrain(fleet, FROM, [mine], RANKING);
    expect(blocked).toMatchObject({
      state: 'blocked',
      summary: { byReason: { anti_affinity: 2 } },
    });
  });

  it('does not hold the only member of a group to the host that it leaves', () => {
    const member = vm('member', 1, { groups: [{ name: 'g', policy: 'affinity' }] });
    const fleet = fleetWith([member], [host('b')]);
    expect(outcomes(planDrain(fleet, FROM, [member], RANKING))).toEqual([
      ['member', 'planned', 'b'],
    ]);
  });
});

describe('the target of a move', () => {
  const one = vm('one', 30);
  const planned = { id: 'b', name: 'name-b' };

  it('is the planned host while it can take the VM, even if another is better now', () => {
    const fleet = fleetWith([one], [host('b', { allocated: { memory: 70 } }), host('c')]);
    expect(targetFor(fleet, FROM, one, RANKING, planned)).toEqual({
      kind: 'found',
      host: planned,
      detail: null,
    });
  });

  it('is the best one otherwise, and says why', () => {
    const full = fleetWith([one], [host('b', { allocated: { memory: 71 } }), host('c')]);
    expect(targetFor(full, FROM, one, RANKING, planned)).toMatchObject({
      host: { id: 'c' },
      detail: 'not to name-b as planned: insufficient memory',
    });
    const gone = fleetWith([one], [host('c')]);
    expect(targetFor(gone, FROM, one, RANKING, planned)).toMatchObject({
      host: { id: 'c' },
      detail: 'not to name-b as planned: it is gone',
    });
  });
});
