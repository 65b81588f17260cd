/** Plans on the live fleet: true to its books, one at a time, bounded, and without a trace in them. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { plannerVerbs } from '../../src/control/planner-verbs.js';
import type { Ports } from '../../src/control/ports.js';
import { cosine } from '../../src/placement/cosine.js';
import { weightsOf } from '../../src/placement/strategy.js';
import { tester } from '../support/callers.js';
import { ControlFixture, eventually, settled, type TestReplica } from './control-fixture.js';

const RANKING = { strategy: cosine, weights: weightsOf({}) };
const SMALL = { cpu: 2, memory: 1_000, disk: 1_000 };
/** Limits: 32 vCPU, 9,000 MiB, 90,000 MiB: memory runs out first, after nine of SMALL. */
const TOTALS = { cpu: 8, memory: 10_000, disk: 100_000 };
const MORE_MOVES = { goal: 'spread', gainMin: 0.01, movesMax: 20 } as const;

/** A load that keeps a planner busy for a while: it is never asked to the end here. */
const longLoad = Array.from({ length: 20_000 }, (_, index) => ({
  ...{ name: `r${index.toString()}`, arrivalS: index, lifetimeS: 500, path: 'root' },
  ...{ resources: { cpu: 1 + (index % 7), memory: 100 + index }, constraints: {} },
}));

describe('plans on the live fleet', () => {
  let fixture: ControlFixture;
  let replica: TestReplica;
  beforeEach(async () => {
    fixture = await ControlFixture.start();
    replica = await fixture.replica();
    await fixture.host(replica, 'oak', TOTALS);
  });
  afterEach(() => fixture.stop());

  const create = async (name: string, constraints = {}) =>
    settled(
      replica.control,
      await replica.control.createVm({ name, resources: SMALL, constraints }, tester),
    );
  const booked = async () =>
    [...(await replica.ports.ledger.view()).hosts()]
      .map(({ name, allocated }) => [name, allocated.memory ?? 0])
      .sort();
  const capacityOf = async (spare = false) =>
    replica.control.capacity({
      flavors: [{ name: 'small', resources: SMALL }],
      addHost: { cpu: 4, memory: 10_000, disk: 10_000 },
      spare,
    });

  it('counts what the fleet can still take, and reservations are not free', async () => {
    await create('one');
    await replica.control.reserve({ resources: SMALL, expiresInS: 600 }, tester);
    const { flavors, spare } = await capacityOf();
    expect(spare).toBeNull();
    expect(flavors).toEqual([
      {
        ...{ name: 'small', resources: SMALL, alone: 7, tiered: 7, zones: { default: 7 } },
        ...{ pooled: 7, bottleneck: { resource: 'memory', hosts: 1, of: 1 } },
        added: { alone: 2, tiered: 2 },
      },
    ]);
    for (let made = 0; made < 7; made += 1) await create(`more-${made.toString()}`);
    expect((await capacityOf()).flavors).toMatchObject([{ alone: 0 }]);
    await expect(create('too-many')).rejects.toMatchObject({ code: 'no_feasible_host' });
  });

  it('tells which host could not be lost, and that it can once there is another', async () => {
    await create('one');
    expect((await capacityOf(true)).spare).toMatchObject([
      { zone: 'default', hosts: 1, spared: 0, unspared: [{ vms: 1, stranded: 1 }] },
    ]);
    await fixture.host(replica, 'elm', TOTALS);
    expect((await capacityOf(true)).spare).toEqual([
      { zone: 'default', hosts: 2, spared: 1, unspared: [] },
    ]);
  });

  it('advises moves of VMs that may be moved, and moves nothing', async () => {
    await create('bound', { host: 'oak' });
    for (const name of ['a', 'b', 'c']) await create(name);
    await fixture.host(replica, 'elm', TOTALS);
    const before = await booked();
    const advice = await replica.control.rebalance(MORE_MOVES);
    expect(advice.moves).toHaveLength(2);
    expect(advice.isSettled).toBe(true);
    expect(advice.after.unevenness).toBeLessThan(advice.before.unevenness);
    for (const { vm, from, to, cost } of advice.moves) {
      expect(['a', 'b', 'c']).toContain(vm.name);
      expect([from.name, to.name]).toEqual(['oak', 'elm']);
      expect(cost).toEqual({ memoryMib: SMALL.memory, diskMib: SMALL.disk });
    }
    expect(await booked()).toEqual(before);
  });

  it('replays a load on the fleet as it is, or on hosts that are given, and books nothing', async () => {
    await create('one');
    const before = await booked();
    const requests = Array.from({ length: 10 }, (_, index) => ({
      ...{ name: `r${index.toString()}`, arrivalS: index, lifetimeS: null, path: 'root' },
      ...{ resources: SMALL, constraints: {} },
    }));
    const strategies = ['cosine', 'balanced-fit'] as const;
    const live = await replica.control.simulate({ hosts: null, requests, strategies });
    expect(live.map(({ placed, refused }) => ({ placed, refused }))).toEqual([
      { placed: 8, refused: 2 },
      { placed: 8, refused: 2 },
    ]);
    expect(live[0]?.refusedByReason).toEqual({ 'insufficient memory': 2 });
    const [oak] = [...(await replica.ports.ledger.view()).hosts()];
    const empty = oak === undefined ? [] : [{ ...oak, allocated: {} }];
    const given = await replica.control.simulate({ hosts: empty, requests, strategies });
    expect(given.map(({ placed }) => placed)).toEqual([9, 9]);
    expect(await booked()).toEqual(before);
  });

  it('makes one plan at a time, lets creates pass, and ends what takes too long', async () => {
    const late = { by: 0 };
    const clock: Ports['clock'] = {
      now: () => replica.ports.clock.now(),
      sleep: (...args) => replica.ports.clock.sleep(...args),
      monotonic: () => replica.ports.clock.monotonic() + late.by,
    };
    const planner = plannerVerbs({ ...replica.ports, clock }, RANKING);
    const long = planner
      .simulate({ hosts: null, requests: longLoad, strategies: ['cosine', 'stranding'] })
      .then(
        () => null,
        (error: unknown) => error,
      );
    await expect(planner.rebalance(MORE_MOVES)).rejects.toMatchObject({
      code: 'overloaded',
      retryAfterS: 5,
    });
    // Beside it on a busy machine Redis may be late now and then; a create tells so and is safe.
    await eventually('a create beside the plan', async () => {
      const vm = await create('meanwhile').catch(() => null);
      return vm?.state === 'running';
    });
    late.by = 20_000;
    expect(await long).toMatchObject({ code: 'plan_too_long', extra: { limitMs: 20_000 } });
    // The next begins with a deadline of its own.
    expect(await planner.rebalance(MORE_MOVES)).toMatchObject({ moves: [], isSettled: true });
  });

  it('gives up reading a fleet that takes too long to read', async () => {
    let at = 0;
    const clock: Ports['clock'] = {
      now: () => replica.ports.clock.now(),
      sleep: (...args) => replica.ports.clock.sleep(...args),
      monotonic: () => (at += 15_000),
    };
    const planner = plannerVerbs({ ...replica.ports, clock }, RANKING);
    await expect(planner.rebalance(MORE_MOVES)).rejects.toMatchObject({ code: 'plan_too_long' });
  });
});
