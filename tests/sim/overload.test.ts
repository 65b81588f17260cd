/** L3: after a burst of more than the control plane can place it is as fast as before. */
import { describe, expect, it } from '@jest/globals';
import { hasCode } from '../../src/model/errors.js';
import { PlannedCalls } from '../../src/sim/crash-points/planned-calls.js';
import { World } from '../../src/sim/world.js';
import { prngOf } from '../../src/std/prng.js';

const STEADY_MS = 50;
const STAGE_MS = 2_000;

/** More than all replicas together let wait, at one instant. */
const BURST = 400;

async function worldWithRoom(): Promise<World> {
  const prng = prngOf('overload');
  const hosts = [1, 2, 3, 4, 5].map((at) => ({
    id: `host-${at}`,
    totals: { cpu: 100_000, memory: 1_000_000 },
    ...{ bootMs: 5, stopMs: 5, failsCreate: () => false, refusesClaim: () => false },
  }));
  const plan = new PlannedCalls([], () => 0, prng.fork('latency'));
  const world = new World(prng, {}, { replicas: 3, hosts, plan, restartMs: 100 });
  await world.start();
  await world.clock.runUntil(5_000);
  return world;
}

describe('an overload', () => {
  it('leaves it as fast as before', async () => {
    const world = await worldWithRoom();
    const { clock, replicas, caller } = world;
    let asked = 0;
    const counts = { placed: 0, overloaded: 0, other: 0 };
    const create = () => {
      const { control } = replicas[(asked += 1) % replicas.length]!;
      control.createVm({ id: `vm-${asked}`, resources: { cpu: 1, memory: 1 } }, caller).then(
        () => (counts.placed += 1),
        (error: unknown) => (counts[hasCode(error, 'overloaded') ? 'overloaded' : 'other'] += 1),
      );
    };
    /** @returns what came of what was asked, or was answered, in this stage */
    const stage = async (first: number) => {
      Object.assign(counts, { placed: 0, overloaded: 0, other: 0 });
      const untilMs = clock.monotonic() + STAGE_MS;
      for (let count = 1; count < first; count += 1) create();
      while (clock.monotonic() < untilMs) {
        create();
        await clock.runUntil(clock.monotonic() + STEADY_MS);
      }
      return { ...counts };
    };
    const before = await stage(1);
    const during = await stage(BURST);
    // What the burst has left is answered or refused within the deadline of a request.
    await clock.runUntil(clock.monotonic() + 2_500);
    const after = await stage(1);
    expect(before.placed).toBeGreaterThan(30);
    expect(during.overloaded).toBeGreaterThan(0);
    expect(after.placed).toBeGreaterThanOrEqual(before.placed * 0.9);
    expect({ ...after, placed: 0 }).toEqual({ placed: 0, overloaded: 0, other: 0 });
    expect(world.violations.found).toEqual([]);
    world.stop();
  }, 120_000);
});
