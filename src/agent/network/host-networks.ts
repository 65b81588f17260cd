/**
 * The networks of this host's VMs: TAPs on a bridge where the agent may make them, else what QEMU
 * does itself as an ordinary user. Which it is, and what is not held, is said.
 */
import type { Log } from '../../model/ports.js';
import { ensureBridge } from './bridge.js';
import type { RunTool } from './commands.js';
import { macOf, NUMBERS_MAX, tagOf } from './names.js';
import { openVmNumbers } from './numbers.js';
import { probe, reasonOf } from './probe.js';
import type { Subnet } from './subnet.js';
import { networkRemoval, tapNetworks, type HostNetworks } from './tap-networks.js';

export interface HostNetworksOptions {
  /** Where the numbers of VMs are kept. */
  readonly directory: string;
  /** `auto` takes TAPs where the host can, and says why where it cannot. */
  readonly mode: 'auto' | 'tap' | 'user';
  readonly bridge: string;
  readonly uplink?: string | undefined;
  readonly subnet?: Subnet | undefined;
  /** User (name or number) who runs the VMs and so opens the TAPs; root alone when absent. */
  readonly owner?: string | undefined;
  readonly run: RunTool;
  readonly log: Log;
}

/** @throws Error when TAPs are asked for and cannot be had */
export async function openHostNetworks(options: HostNetworksOptions): Promise<HostNetworks> {
  const { run, mode, directory, owner, log } = options;
  const tag = tagOf(directory);
  if (mode === 'user') return clearing(options, userNetworks('it is configured so'));
  const failed = (why: string): Promise<HostNetworks> => {
    if (mode === 'tap') throw new Error(`VMs cannot have TAPs on this host: ${why}`);
    log.warn('VMs have user-mode networking', { why });
    return clearing(options, userNetworks(why));
  };
  const probed = await probe(run, tag, owner);
  if (probed.mode === 'user') return failed(probed.why);
  try {
    await ensureBridge(run, { ...options, name: options.bridge });
  } catch (cause) {
    return failed(reasonOf(cause));
  }
  const numbersMax = Math.min(NUMBERS_MAX, options.subnet?.vmsMax ?? NUMBERS_MAX);
  const { abilities, notEnforced } = probed;
  return tapNetworks({
    plumbing: { run, tag, bridge: options.bridge, owner },
    prepareBridge: () => ensureBridge(run, { ...options, name: options.bridge }),
    numbers: await openVmNumbers(directory, numbersMax),
    subnet: options.subnet,
    abilities,
    notEnforced,
  });
}

/**
 * Takes away what the same agent made when it had TAPs. Where it may not, that stays, is told, and is
 * tried again by the next sweep: no VM of now depends on it.
 */
async function clearing(
  { run, directory, bridge, log }: HostNetworksOptions,
  networks: HostNetworks,
): Promise<HostNetworks> {
  const numbers = await openVmNumbers(directory, NUMBERS_MAX);
  const made = networkRemoval({ plumbing: { run, tag: tagOf(directory), bridge }, numbers });
  const tried = (work: Promise<void>): Promise<void> =>
    work.catch((cause: unknown) => {
      if (numbers.vmIds().length === 0) return;
      log.warn('TAPs of an earlier start may be left on this host', { why: reasonOf(cause) });
    });
  return {
    ...networks,
    detach: (vmId) => tried(made.detach(vmId)),
    sweep: (vmIds) => tried(made.sweep(vmIds)),
  };
}

/** QEMU's own network for each VM: it reaches nobody, nobody reaches it, and nothing is limited. */
export const userNetworks = (why: string): HostNetworks => ({
  mode: 'user',
  notEnforced: [
    `VMs have user-mode networking, in which they reach nobody and nobody reaches them (${why}).`,
    'Bandwidth limits of VMs are not enforced: user-mode networking has none.',
  ],
  attach: (vmId) => Promise.resolve({ kind: 'user', mac: macOf(vmId) }),
  detach: () => Promise.resolve(),
  sweep: () => Promise.resolve(),
  addressOf: () => Promise.resolve(null),
});
