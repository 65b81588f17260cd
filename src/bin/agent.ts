/** Joins the rooms of the host agent, for this machine or for simulated ones. */
import { join } from 'node:path';
import { createAgent, type AgentOptions } from '../agent/agent.js';
import type { Driver } from '../agent/drivers/driver.js';
import { createSimulatedFleet } from '../agent/simulated-fleet.js';
import type { Log } from '../model/ports.js';
import { systemClock } from '../std/clock.js';
import { driverFor } from './agent-driver.js';
import { capacityPolicyOf } from './config-schema.js';
import type { Config } from './config.js';
import { agentDir } from './data-dir.js';
import type { ShutDown } from './shut-down.js';
import { portFailure } from './start-failure.js';
import { VERSION } from './version.js';

export interface AgentInputs {
  readonly config: Config;
  readonly log: Log;
  readonly controlPlaneUrl: string;
  readonly joinToken: AgentOptions['joinToken'];
  /** Overrides the configured port; 0 = any free one. */
  readonly port?: number;
}

/** The same simulated hosts at every start. */
const SEED = 'berth';

export interface StartedAgent {
  readonly hostId: string;
  /** A line for people: what runs the VMs of this machine. */
  readonly driver: string;
  /** VMs that go on when the agent is stopped. */
  readonly lastingVms: () => number;
}

/** Starts the agent of this machine. */
export async function startAgent(inputs: AgentInputs, shutDown: ShutDown): Promise<StartedAgent> {
  const { config, port } = inputs;
  const { driver, told } = await driverFor(config, inputs.log);
  const agent = createAgent({
    ...whatAllAgentsShare(inputs),
    dataDir: agentDir(config.dataDir),
    bind: config.agent.bind,
    port: port ?? config.agent.port,
    advertiseAddress: config.agent.address,
    name: config.agent.name,
    zone: config.agent.zone,
    labels: labelsOf(driver),
    driver,
    // Without a poll for three periods the control plane has lost us.
    rejoinAfterMs: config.health.periodS * 3_000,
  });
  await agent.start().catch((error: unknown) => {
    throw portFailure(error, 'AGENT_PORT', config.agent.bind, port ?? config.agent.port);
  });
  shutDown.add('hosts', 'agent', () => agent.stop());
  return {
    hostId: agent.hostId,
    driver: told,
    lastingVms: () => (driver.name === 'simulated' ? 0 : agent.runningVms),
  };
}

/** So that a VM can ask for a host that runs it for real, or fast. */
const labelsOf = ({ name, accelerator }: Driver): Readonly<Record<string, string>> => ({
  driver: name,
  ...(accelerator === undefined || accelerator === null ? {} : { accelerator }),
});

/** Starts `count` simulated hosts in this process. @returns their host ids */
export async function startSimulatedHosts(
  count: number,
  inputs: AgentInputs,
  shutDown: ShutDown,
): Promise<readonly string[]> {
  const fleet = createSimulatedFleet({
    ...whatAllAgentsShare(inputs),
    count,
    seed: SEED,
    dataDir: join(inputs.config.dataDir, 'simulated'),
    bind: inputs.config.agent.bind,
  });
  await fleet.start();
  shutDown.add('hosts', 'simulated hosts', () => fleet.stop());
  return fleet.agents.map(({ hostId }) => hostId);
}

const whatAllAgentsShare = ({ config, log, controlPlaneUrl, joinToken }: AgentInputs) => ({
  controlPlaneUrl,
  joinToken,
  capacityPolicy: capacityPolicyOf(config),
  version: VERSION,
  log: log.child({ program: 'agent' }),
  clock: systemClock,
  random: Math.random,
});
