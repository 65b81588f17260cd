/** Advice on moves: by hand, and that it is sound, worth it, and never endless. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isOverFull } from '../../src/model/host.js';
import { addResources, subtractResources } from '../../src/model/resources.js';
import type { PlannedFleet } from '../../src/planner/fleet.js';
import { GOALS, rebalance, type Goal, type Move } from '../../src/planner/rebalance.js';
import { check } from '../support/properties.js';
import { anyFleet, fleetWith, plainHost, plainVm, resultOf } from './fleets.js';

const adviceOn = (fleet: PlannedFleet, goal: Goal, movesMax = 1_000) =>
  resultOf(rebalance({ fleet, goal, gainMin: 0.01, movesMax }));

/** The fleet after the moves. */
function followed(fleet: PlannedFleet, moves: readonly Move[]): PlannedFleet {
  return moves.reduce<PlannedFleet>(({ hosts, vms }, { vm, from, to }) => {
    const moved = vms.find(({ id }) => id === vm.id);
    if (moved?.hostId !== from.id) throw new Error(`${vm.id} is not on ${from.id}`);
    const { resources } = moved;
    return {
      hosts: hosts.map((host) => {
        if (host.id === from.id) {
          return { ...host, allocated: subtractResources(host.allocated, resources) };
        }
        if (host.id !== to.id) return host;
        return { ...host, allocated: addResources(host.allocated, resources) };
      }),
      vms: vms.map((one) => (one === moved ? { ...one, hostId: to.id } : one)),
    };
  }, fleet);
}

const size = { cpu: 10, memory: 10 };
const quarter = { cpu: 2.5, memory: 2.5 };

describe('rebalance', () => {
  const lopsided = fleetWith(
    ['a', 'b'].map((id) => plainHost(id, size)),
    ['1', '2', '3', '4'].map((id) => plainVm(id, 'a', quarter)),
  );

  it('spreads: the moves that even the use out, and no more', () => {
    const { moves, isSettled, before, after } = adviceOn(lopsided, 'spread');
    expect(moves).toMatchObject([
      { vm: { id: '1' }, from: { id: 'a' }, to: { id: 'b' } },
      { vm: { id: '2' }, from: { id: 'a' }, to: { id: 'b' } },
    ]);
    // 1² + 0² − 0.75² − 0.25², both classes alike.
    expect(moves[0]?.gain).toBeCloseTo(0.375);
    expect(isSettled).toBe(true);
    expect(before).toMatchObject({ unevenness: 0.5, emptyHosts: 1, fullest: { share: 1 } });
    expect(after).toMatchObject({ unevenness: 0, emptyHosts: 0, fullest: { share: 0.5 } });
  });

  it('packs: one host is emptied into the other', () => {
    const fleet = fleetWith(
      ['a', 'b'].map((id) => plainHost(id, size)),
      [...['1', '2', '3'].map((id) => plainVm(id, 'a', quarter)), plainVm('4', 'b', quarter)],
    );
    const { moves, after } = adviceOn(fleet, 'pack');
    expect(moves).toMatchObject([{ vm: { id: '4' }, from: { id: 'b' }, to: { id: 'a' } }]);
    expect(after.emptyHosts).toBe(1);
  });

  it('ends after the most moves that are asked for, and says that there are more', () => {
    expect(adviceOn(lopsided, 'spread', 1)).toMatchObject({ isSettled: false, moves: [{}] });
  });

  it('leaves alone what must stay, and hosts that do not answer', () => {
    const pinned = { ...lopsided, vms: lopsided.vms.map((vm) => ({ ...vm, isMovable: false })) };
    expect(adviceOn(pinned, 'spread').moves).toEqual([]);
    const silent = {
      ...lopsided,
      hosts: lopsided.hosts.map((host) => ({ ...host, state: 'down' as const })),
    };
    expect(adviceOn(silent, 'spread').moves).toEqual([]);
  });

  it('says nothing of an empty fleet', () => {
    expect(adviceOn({ hosts: [], vms: [] }, 'spread')).toEqual({
      goal: 'spread',
      moves: [],
      isSettled: true,
      before: { unevenness: 0, emptyHosts: 0, fullest: null },
      after: { unevenness: 0, emptyHosts: 0, fullest: null },
    });
  });

  it.each(GOALS)('has nothing left to say after it was followed (%s)', (goal) => {
    let moved = 0;
    check(
      fc.property(anyFleet, (fleet) => {
        const advice = adviceOn(fleet, goal);
        moved += advice.moves.length;
        expect(advice.isSettled).toBe(true);
        const then = followed(fleet, advice.moves);
        const again = adviceOn(then, goal);
        expect(again.moves).toEqual([]);
        expect(again.before.unevenness).toBeCloseTo(advice.after.unevenness, 9);
      }),
      200,
    );
    expect(moved).toBeGreaterThan(100);
  });

  it.each(GOALS)('books no host above its limit at any step, and each move gains (%s)', (goal) => {
    check(
      fc.property(anyFleet, (fleet) => {
        const { moves } = adviceOn(fleet, goal);
        for (let count = 1; count <= moves.length; count += 1) {
          const { hosts, vms } = followed(fleet, moves.slice(0, count));
          for (const { limits, allocated } of hosts) {
            expect(isOverFull(limits, allocated)).toBe(false);
          }
          const last = moves[count - 1];
          const target = hosts.find(({ id }) => id === last?.to.id);
          const vm = vms.find(({ id }) => id === last?.vm.id);
          expect(target?.mode).toBe('enabled');
          expect(vm?.isMovable).toBe(true);
          expect([undefined, target?.zone]).toContain(vm?.constraints.zone);
          expect(last?.gain).toBeGreaterThanOrEqual(0.01);
        }
      }),
      100,
    );
  });
});
