/**
 * Nothing of a VM's network is left, whatever is cut short. Method: VMs are attached and detached in
 * random order; the agent is "killed" before, after and in the midst of random commands, and begun
 * again from its directory; what is in the kernel is compared with the VMs that it should have.
 * Where the machine allows no namespace, the same is done on a kernel that refuses everything.
 */
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { RunTool } from '../../../src/agent/network/commands.js';
import type { HostNetworks } from '../../../src/agent/network/tap-networks.js';
import { prngOf } from '../../../src/std/prng.js';
import { temporaryDir } from '../agent-fixture.js';
import { ALL_ABILITIES, rates, remainsOf, reopen } from './network-fixture.js';
import { openPrivateNetwork, type PrivateNetwork } from './private-network.js';

const STEPS = 50;
const VMS = 8;
const SEED = 'leaks';

let network: PrivateNetwork | null;
let directory: string;
beforeAll(async () => {
  network = await openPrivateNetwork();
  directory = await temporaryDir();
});
afterAll(async () => {
  network?.close();
  await rm(directory, { recursive: true, force: true });
});

class Killed extends Error {}

const killed = () => Promise.reject(new Killed('killed'));

/** Runs so many commands and dies: before the last, after it, or when a part of its lines is done. */
function mortal(run: RunTool, commands: number, how: number): RunTool {
  let left = commands;
  return async (tool, args, input) => {
    left -= 1;
    if (left > 0) return run(tool, args, input);
    if (left < 0 || how === 0) return killed();
    const lines = input?.split('\n') ?? [];
    const part = how === 1 ? input : lines.slice(0, Math.floor(lines.length / 2)).join('\n');
    await run(tool, args, part === undefined ? undefined : `${part}\n`).catch(() => undefined);
    return killed();
  };
}

it(`${STEPS} attachments and detachments with kills between leave nothing`, async () => {
  const kernel: RunTool = network?.run ?? (() => Promise.reject(new Error('not allowed')));
  const chance = prngOf(SEED);
  const below = (end: number) => chance.between(0, end - 1);
  const wanted = new Map<string, number>();
  let kills = 0;

  const attempt = async (work: (networks: HostNetworks) => Promise<unknown>): Promise<void> => {
    const run = below(2) === 0 ? mortal(kernel, 1 + below(8), below(3)) : kernel;
    try {
      await work(await reopen(run, directory, ALL_ABILITIES));
    } catch (cause) {
      if (!(cause instanceof Killed)) throw cause;
      kills += 1;
      // An order that was not obeyed is given again, to the agent that has started anew.
      await work(await reopen(kernel, directory, ALL_ABILITIES));
    }
  };

  if (network === null) {
    await expect(attempt((networks) => networks.attach('vm', rates(1)))).rejects.toThrow();
    return;
  }
  for (let step = 0; step < STEPS; step += 1) {
    const vmId = `vm-${below(VMS)}`;
    if (wanted.has(vmId)) {
      await attempt((networks) => networks.detach(vmId));
      wanted.delete(vmId);
    } else {
      const rate = 1_000_000 + below(1_000_000);
      await attempt((networks) => networks.attach(vmId, rates(rate)));
      wanted.set(vmId, rate);
    }
    const remains = await remainsOf(kernel, directory);
    // Of each: the TAP, its two queues, the class and its queue, and the filter.
    expect({ step, remains: remains.length }).toEqual({ step, remains: wanted.size * 6 });
  }
  expect(kills).toBeGreaterThan(STEPS / 10);

  // Attachments that nobody goes on with are swept away, also when that is cut short.
  for (let vm = 0; vm < VMS; vm += 1) {
    const dying = mortal(kernel, 1 + below(6), below(3));
    const networks = await reopen(dying, directory, ALL_ABILITIES);
    await networks.attach(`stray-${vm}`, rates(1_000_000)).catch(() => undefined);
  }
  await attempt((networks) => networks.sweep(new Set()));
  expect(await remainsOf(kernel, directory)).toEqual([]);
}, 600_000);
