/** An order that a replica sends late: its host was fenced meanwhile, and is back. */
import { describe, expect, it } from '@jest/globals';
import type { Agents } from '../../src/model/ports.js';
import { SimHost, unreachable } from '../../src/sim/agents-double.js';
import { World } from '../../src/sim/world.js';
import { prngOf } from '../../src/std/prng.js';
import { changed } from './changed.js';

const UP_MS = 1_500;
const STEP_MS = 50;

/** Long enough for misses to make a host down, or for it to be told what it lost. */
const SOON_MS = 30_000;

async function until(world: World, isSo: () => Promise<boolean>): Promise<void> {
  const end = world.clock.monotonic() + SOON_MS;
  while (!(await isSo())) {
    if (world.clock.monotonic() > end) throw new Error('it never comes about');
    await world.clock.runUntil(world.clock.monotonic() + STEP_MS);
  }
}

/**
 * A replica takes work and stands still before it sends the order. The host dies, is fenced, and the
 * VM runs elsewhere. The host is back, and before anybody has told it anything the replica wakes.
 * @param guarded whether the order says for which start of the machine it is
 */
async function lateOrder(guarded: boolean) {
  const held: { readonly hostId: string; send(): ReturnType<Agents['ensureVm']> }[] = [];
  const world = new World(prngOf('late order'), ({ agents }) => ({
    agents: changed(agents, {
      ensureVm({ bootId, ...contact }, order) {
        const send = () =>
          agents.ensureVm({ ...contact, ...(guarded ? { bootId: bootId! } : {}) }, order);
        if (held.length === 0) {
          held.push({ hostId: contact.hostId, send });
          return new Promise(() => undefined);
        }
        // Nor does anybody else's arrive there before it dies.
        const isThere = contact.hostId === held[0]?.hostId;
        return isThere ? Promise.reject(unreachable(contact.hostId)) : send();
      },
    }),
  }));
  await world.start();
  await world.clock.runUntil(UP_MS);
  const { control } = world.replicas[1]!;
  const input = { id: 'vm-1', resources: { cpu: 1 }, onHostLoss: 'restart' as const };
  void control.createVm(input, world.caller);
  const vm = () => world.catalogue.vm('vm-1');
  await until(world, () => Promise.resolve(held.length > 0));
  const [late] = held;
  const host = world.fleet.hosts.get(late!.hostId);
  if (!(host instanceof SimHost)) throw new Error('the order went to no host');
  const hostNow = () => world.catalogue.host(host.spec.id);
  host.setPower('off');
  await until(world, async () => (await hostNow())?.state === 'down');
  void control.fenceHost(host.spec.id, 'its plug is pulled', world.caller);
  await until(world, async () => (await vm())?.state === 'running');
  expect((await vm())?.host?.id).not.toBe(host.spec.id);

  host.setPower('up');
  let answer: unknown;
  void late!.send().then(
    ({ state }) => (answer = state),
    (error: unknown) => (answer = error),
  );
  await until(world, () => Promise.resolve(answer !== undefined));
  await until(world, async () => (await hostNow())?.fence === null);
  await until(world, async () => (await hostNow())?.state === 'up');
  expect(host.vms.has('vm-1')).toBe(false);
  world.stop();
  return { answer, broken: world.violations.found.map(({ rule }) => rule) };
}

describe('an order from before a fence', () => {
  it('is refused by the host that is back, for it names an earlier start of the machine', async () => {
    const { answer, broken } = await lateOrder(true);
    expect(answer).toMatchObject({ code: 'agent_refused' });
    expect(broken).toEqual([]);
  });

  it('would start a second copy if it did not name one', async () => {
    const { broken } = await lateOrder(false);
    expect(broken).toContain('S5');
  });
});
