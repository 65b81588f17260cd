/** The fleet of a plan from files, for `capacity` and `rebalance`; without them the live one is asked. */
import { Option, type Command } from 'commander';
import type { PlannedFleet } from '../planner/fleet.js';
import { readHosts, readVms } from '../planner/read-files.js';
import {
  addPolicyOptions,
  policyOf,
  readText,
  understoodFile,
  type PolicyOptions,
} from './plan-files.js';
import { CliFailure, EXIT } from './failure.js';

export interface FleetOptions extends PolicyOptions {
  readonly hosts?: string;
  readonly vms?: string;
}

/** A plan looks at every VM of the fleet; the control plane itself gives up before. */
export const PLAN_TIMEOUT_MS = 60_000;

export const addFleetOptions = (command: Command): Command =>
  addPolicyOptions(
    command
      .addOption(new Option('--hosts <file>', 'CSV of hosts, instead of the live fleet'))
      .addOption(new Option('--vms <file>', 'with --hosts: CSV of the VMs on them')),
  );

/** @returns null when the live fleet is meant. @throws CliFailure */
export async function fleetOf(options: FleetOptions): Promise<PlannedFleet | null> {
  const { hosts: hostsPath, vms: vmsPath, overcommit, reserve } = options;
  if (hostsPath === undefined) {
    if ((vmsPath ?? overcommit ?? reserve) === undefined) return null;
    throw new CliFailure(EXIT.usage, '--vms, --overcommit and --reserve go with --hosts.');
  }
  const hostsFile = await readText(hostsPath);
  const vmsFile = vmsPath === undefined ? null : await readText(vmsPath);
  return understoodFile(() => {
    const hosts = readHosts(hostsFile, policyOf(options), { parts: {} });
    return vmsFile === null ? { hosts, vms: [] } : readVms(vmsFile, hosts, { parts: {} });
  });
}
