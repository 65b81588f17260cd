/** Joins what stands around real VMs on this machine, networks and control groups, from the configuration. */
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { kernelGroupFiles } from '../agent/cgroups/group-files.js';
import { openVmGroups } from '../agent/cgroups/vm-groups.js';
import { toolRunner, type RunTool } from '../agent/network/commands.js';
import { openHostNetworks, userNetworks } from '../agent/network/host-networks.js';
import { tagOf } from '../agent/network/names.js';
import { probe } from '../agent/network/probe.js';
import { subnetOf } from '../agent/network/subnet.js';
import type { HostNetworks } from '../agent/network/tap-networks.js';
import type { VmGroups } from '../agent/vm-parts.js';
import type { Log } from '../model/ports.js';
import type { Config } from './config.js';
import { agentDir } from './data-dir.js';

export interface VmSurroundings {
  readonly networks: HostNetworks;
  readonly groups: VmGroups;
  /** What this host cannot hold its VMs to, each a sentence for people. */
  readonly notEnforced: readonly string[];
}

/**
 * Takes up networks and control groups; makes the bridge where it is missing.
 * @param vmUser who runs the VMs, by name or number; root when absent
 * @throws Error when TAPs are asked for and cannot be had
 */
export async function openVmSurroundings(
  config: Config,
  log: Log,
  vmUser?: string,
  run: RunTool = toolRunner(),
): Promise<VmSurroundings> {
  const directory = networkDir(config);
  const { mode, bridge, uplink, subnetCidr } = config.agent.network;
  const networks = await openHostNetworks({
    directory,
    mode,
    bridge,
    uplink,
    subnet: subnetCidr === undefined ? undefined : (subnetOf(subnetCidr) ?? undefined),
    owner: vmUser,
    run,
    log,
  });
  const groups = await openVmGroups({ tag: tagOf(directory), files: kernelGroupFiles, log });
  return { networks, groups, notEnforced: [...networks.notEnforced, ...groups.notEnforced] };
}

/** An absolute path: what is on the machine is marked with it. */
const networkDir = (config: Config): string => join(resolve(agentDir(config.dataDir)), 'network');

/** What `berth agent --check` prints. It tries everything, and leaves no more than empty control groups. */
export async function checkHost(
  config: Config,
  log: Log,
  run: RunTool = toolRunner(),
): Promise<string> {
  const { mode, bridge } = config.agent.network;
  const tag = tagOf(join(tmpdir(), process.pid.toString()));
  const probed =
    mode === 'user'
      ? { mode, notEnforced: userNetworks('it is configured so').notEnforced }
      : await probe(run, tag);
  const groups = await openVmGroups({ tag, files: kernelGroupFiles, log });
  const network =
    probed.mode === 'tap' ? `a TAP for each VM on the bridge ${bridge}` : 'user-mode networking';
  const networkFaults = 'why' in probed ? userNetworks(probed.why).notEnforced : probed.notEnforced;
  const notEnforced = [...networkFaults, ...groups.notEnforced];
  const faults =
    notEnforced.length === 0
      ? ['Every limit of a VM is enforced.']
      : ['Not enforced on this host:', ...notEnforced.map((sentence) => `  ${sentence}`)];
  return `${[`Networking: ${network}.`, ...faults].join('\n')}\n`;
}
