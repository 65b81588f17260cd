/** Joins the rooms of the host agent, for this machine or for simulated ones. */
import { join } from 'node:path';
import { createAgent } from '../agent/agent.js';
import { startSimulatedFleet } from '../agent/simulated-fleet.js';
import type { Log } from '../model/ports.js';
import { systemClock } from '../std/clock.js';
import { capacityPolicyOf } from './config-schema.js';
import type { Config } from './config.js';
import type { ShutDown } from './shut-down.js';

export interface AgentInputs {
  readonly config: Config;
  readonly log: Log;
  readonly controlPlaneUrl: string;
  readonly joinToken: string;
  /** Overrides the configured port; 0 = any free one. */
  readonly port?: number;
}

/** Starts the agent of this machine. @returns its host id and the address it listens on */
export async function startAgent(
  { config, log, controlPlaneUrl, joinToken, port }: AgentInputs,
  shutDown: ShutDown,
): Promise<{ readonly hostId: string; readonly address: string }> {
  const agent = await createAgent({
    dataDir: join(config.dataDir, 'agent'),
    bind: config.agent.bind,
    port: port ?? config.agent.port,
    ...(config.agent.address === undefined ? {} : { advertiseAddress: config.agent.address }),
    ...(config.agent.name === undefined ? {} : { name: config.agent.name }),
    zone: config.agent.zone,
    labels: {},
    controlPlaneUrl,
    joinToken,
    capacityPolicy: capacityPolicyOf(config),
    // Without polls for three periods the control plane has lost us; see join.ts.
    unpolledMs: config.health.periodS * 3_000,
    log: log.child({ program: 'agent' }),
    clock: systemClock,
    random: Math.random,
  });
  await agent.start();
  shutDown.add('agent', () => agent.stop());
  return agent;
}

/** Starts `count` simulated hosts in this process. @returns their host ids */
export async function startSimulatedHosts(
  count: number,
  { config, log, controlPlaneUrl, joinToken }: AgentInputs,
  shutDown: ShutDown,
): Promise<readonly string[]> {
  const fleet = await startSimulatedFleet({
    count,
    dataDir: join(config.dataDir, 'simulated'),
    controlPlaneUrl,
    joinToken,
    capacityPolicy: capacityPolicyOf(config),
    unpolledMs: config.health.periodS * 3_000,
    log: log.child({ program: 'simulated' }),
    clock: systemClock,
    random: Math.random,
  });
  shutDown.add('simulated hosts', () => fleet.stop());
  return fleet.hostIds;
}
